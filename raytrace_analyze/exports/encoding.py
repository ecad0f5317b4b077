"""What goes into JSON and text of other tools: nothing that acts on a terminal, nothing that UTF-8 cannot hold."""

from functools import lru_cache
from typing import Any

import msgspec

from raytrace_analyze.names.attributes import json_of
from raytrace_analyze.text.printable import printable_json

_encode = msgspec.json.Encoder().encode
_DELETE = b"\x7f"
_EMPTY = (None, "[]", "{}")


@lru_cache(maxsize=1024)
def resource_attributes(text: str | None) -> dict[str, Any]:
    """Give the attributes of a resource; old SDKs write them straight into it. Not to be changed: it is cached."""
    resource = decoded(text, {})
    nested = resource.get("attributes")
    return nested if isinstance(nested, dict) else resource


def decoded(text: str | None, default: Any) -> Any:
    """Decode what stands in a JSON column, as `json_of`; all text in it is as `in_utf8` gives it."""
    if text in _EMPTY:
        return default
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):  # the other takes more: NaN, halves of surrogate pairs
        value = _in_utf8(json_of(text, default))
    return value if isinstance(value, type(default)) else default


def _in_utf8(value: Any) -> Any:
    match value:
        case str():
            return in_utf8(value)
        case list():
            return [_in_utf8(item) for item in value]
        case dict():
            return {in_utf8(key): _in_utf8(item) for key, item in value.items()}
        case _:
            return value


def json_bytes(value: Any) -> bytes:
    """Encode a value as JSON; in it is nothing that acts on a terminal, which may be where it goes."""
    content: bytes = _encode(value)
    if content.isascii() and _DELETE not in content:
        return content
    return printable_json(content.decode()).encode()


def in_utf8(text: str) -> str:
    """Give a text as UTF-8 can hold it: a lone surrogate becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
