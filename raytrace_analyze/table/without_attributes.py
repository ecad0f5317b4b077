"""A span table without what the program itself wrote into its spans: to give to others."""

from collections.abc import Callable, Mapping

import msgspec
import polars as pl

from raytrace_analyze.decode.records.record import NOT_AS_TYPED
from raytrace_analyze.names import attributes

_KEPT = ("ray.", "raytrace.")
"""Ray's names and the hook's: analyses need them, and programs do not write them."""
_KEPT_OF_PROCESS = (*_KEPT, "service.instance.id", "process.pid", "host.name", "telemetry.sdk.")
_TEXTS = (attributes.ENTRYPOINT, attributes.STACKS, attributes.IDLE, attributes.CALL_SITE)
"""Of these the values that tell of the program's arguments and files."""

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def drop_attributes(spans: pl.DataFrame) -> pl.DataFrame:
    """Leave out the attributes of a span table (columns of `schema.TABLE`) that are not Ray's or the hook's.

    So are events, links, the messages of exceptions (their type stays), where in the program something stands, and the
    program's arguments. Functions, ids, times and what was waited for stay: paths are the same.
    """
    return spans.with_columns(
        attributes=_of_texts(spans.get_column("attributes"), _attributes),
        resource=_of_texts(spans.get_column("resource"), _resource),
        events=pl.lit("[]"),
        links=pl.lit("[]"),
        status_message=pl.col("status_message").str.extract(r"^\s*([\w.]{1,100})\s*(?::|$)"),
    )


def _of_texts(texts: pl.Series, change: Callable[[str], str]) -> pl.Series:
    distinct = texts.unique()
    changed = [None if text is None else change(text) for text in distinct.to_list()]
    return texts.replace_strict(distinct, pl.Series(changed, dtype=pl.String), return_dtype=pl.String)


def _attributes(text: str) -> str:
    return _only(text, _KEPT).decode()


def _resource(text: str) -> str:
    try:
        members = _decode(text)
    except NOT_AS_TYPED:
        return "{}"
    kept = _only(bytes(members.get("attributes", b"{}")).decode(), _KEPT_OF_PROCESS)
    return _encode({"attributes": msgspec.Raw(kept)}).decode()


def _only(text: str, names: tuple[str, ...]) -> bytes:
    try:
        members: Mapping[str, msgspec.Raw] = _decode(text)
    except NOT_AS_TYPED:
        return b"{}"
    return _encode({name: value for name, value in members.items() if name.startswith(names) and name not in _TEXTS})
