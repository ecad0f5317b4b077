"""From a span file to its decoder, by format."""

from collections.abc import Iterator

from raytrace_analyze.decode.open_spans import decode_open_spans
from raytrace_analyze.decode.parquet import decode_parquet
from raytrace_analyze.decode.span_json import decode_span_json
from raytrace_analyze.model import Decoded, Format, SpanFile


def decode_file(file: SpanFile) -> Iterator[Decoded]:
    """Give the spans of the file, stretch by stretch, in frames of `schema.DECODED`.

    Bad content becomes problems. Raises UsageError for a span table of a newer version, and ValueError
    for task events, which are no spans: `decode_task_events` reads those.
    """
    match file.format:
        case Format.SPANS_JSON:
            return decode_span_json(file)
        case Format.OPEN_SPANS:
            return decode_open_spans(file)
        case Format.PARQUET:
            return decode_parquet(file)
        case Format.TASK_EVENTS:
            raise ValueError(f"{file.path} holds task events, no spans")
