"""What the commands share that tell a library's program group by group: in tables, as a document, one group as rows."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import open_spans, write_result
from raytrace_analyze.vocabulary.spans import Library

if TYPE_CHECKING:
    import polars as pl

    from raytrace_analyze.prepared import PreparedTrace

_Group = TypeVar("_Group", bound=StrEnum)


def tell_by_group(
    spans: Sequence[Path] | None,
    tell: "Callable[[PreparedTrace, _Group], pl.DataFrame]",
    show: "Callable[..., None]",
    keys: Mapping[_Group, str],
    *,
    by: _Group,
    clock_correct: bool,
    output_format: options.OutputFormat,
    library: Library,
) -> NoReturn:
    """Read spans, and write what `tell` finds of each group; ends the command.

    `show` gets the groups' tables in the order of `keys`, which name them in the document; CSV has the group `by`.
    """
    from raytrace_analyze.prepared import prepare
    from raytrace_analyze.views.documents import records
    from raytrace_analyze.views.libraries.version_notes import show_version_notes, version_notes
    from raytrace_analyze.views.screen.console import output

    found, exit_code = open_spans(spans)
    trace = prepare(found.spans, clock_correct=clock_correct)

    def show_all() -> None:
        show(*frames.values())
        show_version_notes(trace.spans, library, output())

    def document() -> dict[str, Any]:
        found = {key: records(frames[group]) for group, key in keys.items()}
        return {**found, "notes": version_notes(trace.spans, library)}

    frames = {group: tell(trace, group) for group in keys}
    write_result(
        output_format,
        found=found,
        table=show_all,
        document=document,
        frame=lambda: frames[by],
    )
    raise typer.Exit(exit_code)
