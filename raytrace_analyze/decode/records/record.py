"""One span record: the fields that the table needs, decoded, and the rest as the JSON text it was."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from raytrace_analyze.names import attributes

EMPTY_OBJECT = msgspec.Raw(b"{}")
EMPTY_LIST = msgspec.Raw(b"[]")

NOT_AS_TYPED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for JSON that is damaged, or whole and of other types than expected."""

_INT32_MAX = 2**31 - 1
_INT64_MAX = 2**63 - 1


class Context(msgspec.Struct, gc=False):
    """A span's ids, as they stand in the file."""

    trace_id: str
    span_id: str


class Status(msgspec.Struct, gc=False):
    """A span's status."""

    status_code: str | None = None
    description: str | None = None


class Record(msgspec.Struct, gc=False):
    """A span as ConsoleSpanExporter writes it. What is required here is what makes a record a span."""

    context: Context
    start_time: str
    name: str = ""
    kind: str | None = None
    parent_id: str | None = None
    end_time: str | None = None
    status: Status | None = None
    attributes: msgspec.Raw = EMPTY_OBJECT
    events: msgspec.Raw = EMPTY_LIST
    links: msgspec.Raw = EMPTY_LIST
    resource: msgspec.Raw = EMPTY_OBJECT


def _named(key: str) -> Any:
    """Declare a field that stands under another name in the file, and may be missing."""
    return msgspec.field(default=None, name=key)


class Attributes(msgspec.Struct, gc=False):
    """The attributes that become columns. The types are those that Ray and the hook write."""

    job_id: str | None = _named("ray.job_id")
    function: str | None = _named("ray.function")
    task_id: str | None = _named("ray.task_id")
    actor_id: str | None = _named("ray.actor_id")
    node_id: str | None = _named("ray.node_id")
    worker_id: str | None = _named("ray.worker_id")
    pid: str | None = _named("ray.pid")
    submitted_task_id: str | None = _named(attributes.SUBMITTED_TASK_ID)
    dependency_task_ids: list[str] | None = _named(attributes.DEPENDENCY_TASK_IDS)
    ready_task_ids: list[str] | None = _named(attributes.READY_TASK_IDS)
    attempt: Annotated[int, msgspec.Meta(ge=0, le=_INT32_MAX)] | None = _named(attributes.ATTEMPT)
    concurrent: bool | None = _named(attributes.CONCURRENT)
    task_name: str | None = _named(attributes.TASK_NAME)


class Resource(msgspec.Struct, frozen=True):
    """What a resource says about its process, and its text in the one-line form."""

    text: str
    session: str | None
    job_id: str | None
    node_id: str | None
    worker_id: str | None
    host: str | None
    pid: int | None
    records_waits: bool | None
    instance_id: str | None


_decode_attributes = msgspec.json.Decoder(Attributes).decode
_decode_all_attributes = msgspec.json.Decoder(list[Attributes]).decode


def attributes_of(raws: Sequence[msgspec.Raw]) -> list[Attributes]:
    """Decode the attributes of records; a value of a wrong type is coerced or null, never an error."""
    try:
        return _decode_all_attributes(b"[" + b",".join(raws) + b"]")
    except NOT_AS_TYPED:
        return [_attributes_of_one(raw) for raw in raws]


def _attributes_of_one(raw: msgspec.Raw) -> Attributes:
    try:
        return _decode_attributes(raw)
    except NOT_AS_TYPED:
        values = _object(bytes(raw))
    coerced: dict[str, Any] = {
        field.name: _COERCE.get(field.name, as_text)(values.get(field.encode_name))
        for field in msgspec.structs.fields(Attributes)
    }
    return Attributes(**coerced)


@lru_cache(maxsize=4096)
def resource_of(raw: bytes) -> Resource:
    """Decode a resource, which all records of a process share.

    Old SDKs write the attributes straight into the resource; both are read.
    """
    resource = _object(raw)
    nested = resource.get("attributes")
    values = nested if isinstance(nested, dict) else resource
    return Resource(
        text=one_line(raw.decode("utf-8", "replace")),
        session=as_text(values.get(attributes.SESSION)),
        job_id=as_text(values.get("ray.job_id")),
        node_id=as_text(values.get("ray.node_id")),
        worker_id=as_text(values.get("ray.worker_id")),
        host=as_text(values.get("host.name")),
        pid=as_int(values.get("process.pid"), _INT64_MAX),
        records_waits=as_bool(values.get(attributes.RECORDS_WAITS)),
        instance_id=as_text(values.get("service.instance.id")),
    )


def one_line(text: str) -> str:
    r"""Undo pretty-printing: `json.dumps(x, indent=n)` becomes what `json.dumps(x)` gives.

    Exact, as a JSON string cannot hold a raw line break.
    """
    if "\n" not in text:
        return text
    lines = [line.strip() for line in text.split("\n")]
    return "".join(f"{line} " if line.endswith(",") else line for line in lines)


def _object(raw: bytes) -> dict[str, Any]:
    """Decode with the standard library, which takes what msgspec does not: NaN, lone surrogates."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def as_text(value: object) -> str | None:
    """Give a string for a string or a number, else None. Lone surrogates become question marks."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return str(value)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def as_int(value: object, largest: int) -> int | None:
    """Give an integer from 0 to `largest` for a number or a string of digits, else None."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= largest:
        return value
    return None


def as_bool(value: object) -> bool | None:
    """Give a boolean for a boolean or its name, else None."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _as_texts(value: object) -> list[str] | None:
    if not isinstance(value, list):
        return None
    return [text for item in value if (text := as_text(item)) is not None]


_COERCE: dict[str, Callable[[object], object]] = {
    "attempt": lambda value: as_int(value, _INT32_MAX),
    "concurrent": as_bool,
    "dependency_task_ids": _as_texts,
    "ready_task_ids": _as_texts,
}


def record_of(text: str, start: int) -> Record | None:
    """Build a record from the JSON object that starts at `text[start]`, which is known to be whole.

    Takes fields of any type; None if it is not a span (no ids, no start time).
    """
    values: dict[str, Any] = {}
    texts: dict[str, str] = {}
    for key, value, begin, end in members(text, start):
        values[key] = value
        texts[key] = text[begin:end]
    context = values.get("context")
    if not isinstance(context, dict):
        return None
    trace_id, span_id = as_text(context.get("trace_id")), as_text(context.get("span_id"))
    start_time = as_text(values.get("start_time"))
    if trace_id is None or span_id is None or start_time is None:
        return None
    return Record(
        context=Context(trace_id, span_id),
        start_time=start_time,
        name=as_text(values.get("name")) or "",
        kind=as_text(values.get("kind")),
        parent_id=as_text(values.get("parent_id")),
        end_time=as_text(values.get("end_time")),
        status=_status(values.get("status")),
        attributes=_raw(texts, "attributes", EMPTY_OBJECT),
        events=_raw(texts, "events", EMPTY_LIST),
        links=_raw(texts, "links", EMPTY_LIST),
        resource=_raw(texts, "resource", EMPTY_OBJECT),
    )


def _status(value: object) -> Status | None:
    if isinstance(value, dict):
        return Status(as_text(value.get("status_code")), as_text(value.get("description")))
    return Status(as_text(value)) if isinstance(value, str) else None


def _raw(texts: dict[str, str], key: str, default: msgspec.Raw) -> msgspec.Raw:
    return msgspec.Raw(texts[key].encode()) if key in texts else default


_decoder = json.JSONDecoder()


def members(text: str, start: int) -> Iterator[tuple[str, Any, int, int]]:
    """Give key, value, and where the value's text starts and ends, for each member of a whole JSON object."""
    position = skip_blank(text, start + 1)
    while text[position] != "}":
        key, position = _decoder.raw_decode(text, position)
        position = skip_blank(text, skip_blank(text, position) + 1)
        value, end = _decoder.raw_decode(text, position)
        yield key, value, position, end
        position = skip_blank(text, end)
        if text[position] == ",":
            position = skip_blank(text, position + 1)


def skip_blank(text: str, position: int) -> int:
    """Give the position of the next character that is neither white space nor a byte order mark."""
    while position < len(text) and text[position] in " \t\r\n\ufeff":
        position += 1
    return position
