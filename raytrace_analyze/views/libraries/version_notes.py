"""What a version of Ray has no place for, in words: why columns of a library's table are not known."""

import polars as pl
from rich.console import Console

from raytrace_analyze.analyses.libraries.not_recorded import not_recorded
from raytrace_analyze.views.screen.label import label
from raytrace_analyze.vocabulary.spans import Library


def version_notes(spans: pl.DataFrame, library: Library) -> list[str]:
    """Say for each version of Ray what of a library the hook finds no place for in it; `spans` has `resource`."""
    return [
        f"{version} has no place where raytrace_hook could record {', or '.join(features)}: that is not known"
        for version, features in not_recorded(spans, library)
    ]


def show_version_notes(spans: pl.DataFrame, library: Library, console: Console) -> None:
    """Print them, each a line."""
    for note in version_notes(spans, library):
        console.print(label(f"Note: {note}.", style="dim"))
