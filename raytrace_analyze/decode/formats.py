"""All input formats, and what is done with any of them: find its files, decode them."""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

from raytrace_analyze.decode.input_format import InputFormat
from raytrace_analyze.decode.problems import ProblemList
from raytrace_analyze.decode.records.batch import Batch, decode_batches, frame_of
from raytrace_analyze.files.discover import find_files
from raytrace_analyze.model import Decoded, Discovery, Head, InputFile

FORMATS = (
    "parquet.FORMAT",
    "parquet.EVENT_TABLE_FORMAT",
    "open_spans.FORMAT",
    "task_events.FORMAT",
    "otlp.FORMAT",
    "jaeger.FORMAT",
    "ray_events.FORMAT",
    "ray_timeline.FORMAT",
    "span_json.FORMAT",
    "console_log.FORMAT",
)
"""In the order in which they are asked whether a file is theirs, each loaded then: most files are of the first."""


def find_span_files(paths: Sequence[Path]) -> Discovery:
    """Find the files of all these formats among the given files and in the given folders, recursively.

    Raises UsageError as `find_files` does, and for a given Parquet file that is damaged or none of ours.
    """
    return find_files(paths, _recognise, _foreign_kind)


def _recognise(head: Head) -> str | None:
    return next((one.name for one in map(_loaded, FORMATS) if one.recognise(head)), None)


def _foreign_kind(head: bytes) -> str | None:
    from raytrace_analyze.decode.recognised.foreign import foreign_kind

    return foreign_kind(head)


@cache
def _loaded(place: str) -> InputFormat:
    module, name = place.split(".")
    found: InputFormat = getattr(import_module(f"{__package__}.{module}"), name)
    return found


@cache
def _named(name: str) -> InputFormat:
    return next(one for one in map(_loaded, FORMATS) if one.name == name)


def format_of(file: InputFile) -> InputFormat:
    """Give the format that the file was found to have."""
    return _named(file.format)


def decode_file(file: InputFile) -> Iterator[Decoded]:
    """Give the spans of the file, stretch by stretch, in frames of `schema.DECODED`.

    Bad content becomes problems. Raises UsageError for a given span table of a newer version, and ValueError
    for a format that holds no spans.
    """
    format_ = format_of(file)
    if format_.decode is not None:
        return format_.decode(file)
    if format_.read is not None:
        problems = ProblemList(file.path)
        return decode_batches(format_.read(file, problems), problems)
    raise ValueError(f"{file.path} holds {format_.name}, no spans")


def decode_part(file: InputFile, start: int, stop: int | None) -> Iterator[Decoded]:
    """Give the spans of a part of the file, whose format must have `parts`, as `decode_file` does."""
    parts = format_of(file).parts
    assert parts is not None
    problems = ProblemList(file.path)
    return decode_batches(parts.read(file, problems, start, stop), problems)


def decode_small_files(files: Sequence[InputFile]) -> Decoded:
    """Give the spans of several files in one frame, in their order: a tenth of the time of one by one.

    All of the files are in memory at once. Their formats must have `read`.
    """
    batches: list[Batch] = []
    problem_lists: list[ProblemList] = []
    for file in files:
        read = format_of(file).read
        assert read is not None
        problems = ProblemList(file.path)
        problem_lists.append(problems)
        batches.extend(read(file, problems))
    frame = frame_of(batches)
    return Decoded(frame, tuple(problem for problems in problem_lists for problem in problems.finish()))
