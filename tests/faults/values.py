"""What damages files and puts odd values into records: shared by all that makes input for the fuzz."""

import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parents[2] / "sample_spans"

HOSTILE: list[Any] = [
    *(None, True, -1, 0, 1e30, float("nan"), float("inf"), 2**63, 2**70, 10**400, [], {}, [[]], {"a": {}}),
    *("", "²", "x" * 5000, "\0", "\ud800", "0x", "0x" + "f" * 40, "ffffffff", ["\u202e", None, 7]),
    *("1677-09-21T00:12:43.000000Z", "1969-12-31T23:59:59Z", "2261-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59Z"),
    *("2026-02-30T00:00:00Z", "2026-11-23T08:55:46", '{"CPU": 1e30}', '{"CPU": NaN}', '{"CPU": -1, "GPU": "x"}'),
    *("/dev/zero:²", "/proc/self/mem:1"),
]
TOKENS = [
    *(b"{", b"}", b"[" * 300, b'"', b"\\", b"\n", b"\0" * 70, b"\xff\xfe", b"\xef\xbb\xbf", b"NaN", b"1e400"),
    *(b",,", b"}{"),
]


def mutated(chance: random.Random, content: bytes) -> bytes:
    start = chance.randrange(len(content) + 1)
    length = chance.choice([1, 1, 2, 10, 100, 1000, 10_000])
    piece = content[start : start + length]
    new: bytes = chance.choice(
        [
            bytes(chance.randrange(256) for _ in range(min(length, 10))),
            b"",
            piece * 2,
            chance.choice(TOKENS),
            piece[::-1],
            b"9" * min(length, 400),
        ]
    )
    return content[:start] + new + content[start + chance.choice([0, length]) :]


def place_value(chance: random.Random, record: Any) -> None:
    """Put a hostile value, or one from elsewhere in the record, somewhere into a record."""
    places = [(owner, key) for owner, key in _places(record) if isinstance(owner, (dict, list))]
    if places:
        owner, key = chance.choice(places)
        other_owner, other_key = chance.choice(places)
        other = other_owner[other_key]
        # A copy: what is put there may get the same put into itself.
        owner[key] = deepcopy(chance.choice([chance.choice(HOSTILE), chance.choice(HOSTILE), other]))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _places(inner)
