"""`-` in the place of a file: what comes on standard input."""

import mmap
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from raytrace_analyze.command_line.memory import watch_memory
from raytrace_analyze.errors import RaytraceError, UsageError

if TYPE_CHECKING:
    from raytrace_analyze.ingest.loading import Ingested
    from raytrace_analyze.ingest.merging import LargeIngested
    from raytrace_analyze.model import Progress

DASH = Path("-")
NAME = "standard input"

_Read = TypeVar("_Read", "Ingested", "LargeIngested", "Ingested | LargeIngested")


def load_given(
    paths: Sequence[Path],
    progress: "Progress | None" = None,
    *,
    job: str | None = None,
    trace: str | None = None,
    lean: bool = False,
    for_paths: bool = False,
) -> "Ingested":
    """Read span files as `ingest.load` does, `-` among them being standard input. Raises what that raises.

    Of a large table only what has to do with a job or a trace may be read, or with `lean` only what commands need that
    show no rows, with `for_paths` of these what paths are told from (see `ingest.large_tables`).
    """
    from raytrace_analyze.ingest.loading import find, load_found

    def read(files: Sequence[Path]) -> "Ingested":
        found = find(files)
        some = None
        if found.is_one_table:
            from raytrace_analyze.ingest.large_tables import load_needed

            some = load_needed(found, job=job, trace=trace, lean=lean, for_paths=for_paths)
        return load_found(found, progress=progress) if some is None else some

    return read_given(paths, read)


def read_given(paths: Sequence[Path], read: Callable[[Sequence[Path]], _Read]) -> _Read:
    """Have span files read, `-` among them being standard input; within the memory that a command may take."""
    watch_memory()
    with given_files(paths) as (given, starts):
        return _renamed(read(given), starts) if starts else read(given)


@contextmanager
def given_files(paths: Sequence[Path]) -> Iterator[tuple[list[Path], dict[str, int]]]:
    """Give the paths with files in the place of `-` that hold standard input within this.

    And of these files where in the stream each begins.
    """
    if DASH not in paths:
        yield list(paths), {}
        return
    with _spooled() as files:
        given = [file for path in paths for file in (files if path == DASH else [path])]
        yield given, {str(file): start for file, start in files.items()}


def shown_name(path: Path) -> str:
    """What a path that was given is called in results."""
    from raytrace_analyze.files.opened import readable

    return NAME if path == DASH else readable(path)


def check_read_once(sides: Sequence[Path]) -> None:
    """Raise UsageError where standard input is to be read more than once."""
    if sides.count(DASH) > 1:
        raise UsageError(f"{NAME} can be read once only; name a file for the other side")


@contextmanager
def _spooled() -> Iterator[dict[Path, int]]:
    """Write standard input to files that are there within this, each of one kind; errors name them as what they are.

    Gives each file with the byte offset at which it began in what came, unpacked where there is more than one.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "- stands for standard input, and nothing is piped there: zcat spans.gz | raytrace-analyze ... -"
        )
    import tempfile

    with ExitStack() as until_read:
        try:
            folder = until_read.enter_context(tempfile.TemporaryDirectory(prefix="raytrace-"))
            file = Path(folder) / "stdin"
            with file.open("wb") as stream:
                shutil.copyfileobj(sys.stdin.buffer, stream, 1 << 20)
            files = _parted(file)
        except OSError as error:
            raise UsageError(
                f"cannot keep {NAME} in the temporary folder while it is read: {error.strerror or error}; set "
                "TMPDIR to one with more room, or write it to a file and name that"
            ) from error
        try:
            yield files
        except RaytraceError as error:
            error.args = (_with_name(str(error), files),)
            raise


def _parted(file: Path) -> dict[Path, int]:
    """Take files of the hook that were given one after the other apart, packed ones too."""
    from raytrace_analyze.decode.concatenated import files_in
    from raytrace_analyze.files.streams import BLOCK_BYTES

    file = _unpacked(file)
    if not file.stat().st_size:
        return {file: 0}
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        places = list(files_in(content))
        if len(places) == 1:
            return {file: 0}
        files = {file.with_name(f"{file.name}-{number}"): start for number, (start, _) in enumerate(places)}
        for part, (start, end) in zip(files, places, strict=True):
            with part.open("wb") as written:
                written.writelines(content[at : min(at + BLOCK_BYTES, end)] for at in range(start, end, BLOCK_BYTES))
        return files


def _unpacked(file: Path) -> Path:
    """Unpack a file in which side files begin; what else is packed is read as it is."""
    from raytrace_analyze.decode.concatenated import has_side_file
    from raytrace_analyze.files.streams import BLOCK_BYTES, BrokenStream, compression_of, unpack
    from raytrace_analyze.model import Compression

    with file.open("rb") as stream:
        compression = compression_of(stream.read(4))

        def blocks() -> Iterator[bytes]:
            stream.seek(0)
            return unpack(iter(lambda: stream.read(BLOCK_BYTES), b""), compression, BLOCK_BYTES)

        try:
            if compression is Compression.NONE or not has_side_file(blocks()):
                return file
        except BrokenStream:  # told as damage where it is read
            return file
        unpacked = file.with_name("unpacked")
        with unpacked.open("wb") as written:
            written.writelines(blocks())
        return unpacked


def _with_name(text: str, files: Iterable[Path | str]) -> str:
    for file in sorted(map(str, files), key=len, reverse=True):
        text = text.replace(file, NAME)
    return text


def _renamed(found: _Read, starts: dict[str, int]) -> _Read:
    """Let everything that names the files (given with where in the stream each starts) name standard input."""
    import polars as pl

    problems = (
        replace(
            one,
            path=NAME if one.path in starts else one.path,
            detail=_with_name(one.detail, starts),
            offset=one.offset + starts[one.path] if one.offset is not None and one.path in starts else one.offset,
        )
        for one in found.report.problems
    )
    files = tuple(file for file in found.report.files if str(file) not in starts)
    source = pl.col("source").replace(dict.fromkeys(starts, NAME))
    renamed = found.changed(lambda rows: rows.with_columns(source=source))
    return replace(renamed, report=replace(found.report, problems=tuple(problems), files=files))
