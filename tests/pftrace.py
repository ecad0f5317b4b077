"""Reads Perfetto's binary format as its documentation says: what a trace holds, as dicts."""

BYTES, FIXED64 = 2, 1


def fields(content):
    """The fields of a message, in order: pairs of number and value."""
    found, at = [], 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = content[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(content):
        key = varint()
        if key & 7 == BYTES:
            size = varint()
            found.append((key >> 3, content[at : at + size]))
            at += size
        elif key & 7 == FIXED64:
            found.append((key >> 3, content[at : at + 8]))
            at += 8
        else:
            assert key & 7 == 0
            found.append((key >> 3, varint()))
    return found


def read(content):
    """Give the slices (track, name, category, start, end, span id), the names of tracks, and the ends of arrows."""
    names, tracks, slices, arrows, began = {}, {}, [], [], {}
    for _, packet in fields(content):
        said = dict(fields(packet))
        for kind, one in fields(said.get(12, b"")):
            told = dict(fields(one))
            names[kind, told[1]] = told[2].decode()
        if 60 in said:
            track = dict(fields(said[60]))
            tracks[track[1]] = dict(fields(track[3]))[6].decode() if 3 in track else track[2].decode()
        if 11 not in said:
            continue
        event = dict(fields(said[11]))
        if event.get(9) == 2:
            slices.append({**began.pop(event[11]), "end": said[8]})
            continue
        name = names[2, event[10]] if 10 in event else event[23].decode()
        category = names[1, event[3]] if 3 in event else event.get(22, b"").decode()
        shown = {"track": event[11], "name": name, "category": category, "start": said[8]}
        if event.get(9) == 1:
            assert event[11] not in began, "a slice is not ended right behind its beginning"
            notes = [dict(fields(note)) for number, note in fields(said[11]) if number == 4]
            ids = [note[6].decode() for note in notes if names[3, note[1]] == "span_id"]
            began[event[11]] = shown | {"span_id": ids[0] if ids else None}
        else:
            arrows.append((chr(dict(fields(event[6]))[2]), shown))
    assert not began
    return slices, tracks, arrows
