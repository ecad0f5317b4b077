"""Protocol Buffers' wire format: fields of messages as bytes.

Source: the encoding page of Protocol Buffers' documentation.
"""

import struct
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeVar

VARINT, FIXED64, BYTES = 0, 1, 2
UINT64 = 1 << 64
_WIDTHS = {FIXED64: 8, 5: 4}

Value = TypeVar("Value")


def message(field: int, content: bytes) -> bytes:
    """Give a field that holds a message, or other bytes, which may be empty."""
    return key(field, BYTES) + varint(len(content)) + content


def many(field: int, values: Iterable[Value], encode: Callable[[Value], bytes]) -> bytes:
    """Give a repeated field of messages."""
    return b"".join(message(field, encode(value)) for value in values)


def text(field: int, value: str | None) -> bytes:
    """Give a field of text in UTF-8; nothing for none."""
    return message(field, value.encode()) if value else b""


def number(field: int, value: int) -> bytes:
    """Give a field that holds a number from 0 up, or an enum or bool; nothing for 0, which is what lacks."""
    return set_number(field, value) if value else b""


def set_number(field: int, value: int) -> bytes:
    """Give a field that holds a number even where it is 0; a negative one as 64 bits."""
    return key(field, VARINT) + varint(value % UINT64)


def fixed64(field: int, value: int) -> bytes:
    """Give a field that holds a number of 64 bits."""
    return key(field, FIXED64) + struct.pack("<Q", value)


def double(field: int, value: float) -> bytes:
    """Give a field that holds a float."""
    return key(field, FIXED64) + struct.pack("<d", value)


@cache
def key(field: int, kind: int) -> bytes:
    """Give what stands before a field's value."""
    return varint(field << 3 | kind)


def varint(value: int) -> bytes:
    """Encode a number from 0 up, seven bits a byte."""
    return _small(value) if value < _SMALL else _encoded(value)


def _encoded(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


_SMALL = 1 << 14
"""Up to here numbers are lengths or stand for texts, as most do: each is encoded once."""
_small = cache(_encoded)


def fields(content: Any) -> dict[tuple[int, int], Any]:
    """Read a message as far as it can be read: the last value of each field, by its number and kind."""
    found: dict[tuple[int, int], Any] = {}
    position = 0
    try:
        while position < len(content):
            tag, position = _varint_at(content, position)
            kind = tag & 7
            if kind == BYTES:
                length, position = _varint_at(content, position)
                value: Any = content[position : position + length]
                position += length
            elif kind == VARINT:
                value, position = _varint_at(content, position)
            else:
                value = None
                position += _WIDTHS[kind]
            found[tag >> 3, kind] = value
    except (IndexError, KeyError):
        pass
    return found


def _varint_at(content: bytes, position: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        byte = content[position + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, position + place + 1
    raise IndexError
