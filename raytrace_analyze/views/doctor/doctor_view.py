"""What `doctor` found: a sentence for each thing, and what to do about it."""

from typing import Any

import polars as pl
from rich.console import Console

from raytrace_analyze.diagnosis.checks import Level
from raytrace_analyze.diagnosis.finding import Diagnosis, Finding
from raytrace_analyze.text.units import count_text
from raytrace_analyze.views.doctor.doctor_words import words
from raytrace_analyze.views.screen.label import label

_STYLES = {Level.FINE: "green", Level.NOTE: "yellow", Level.SERIOUS: "bold red"}
_WORDS = {Level.FINE: "fine", Level.NOTE: "note", Level.SERIOUS: "SERIOUS"}
_ORDER = (Level.SERIOUS, Level.NOTE, Level.FINE)


def show_diagnosis(found: Diagnosis, console: Console) -> None:
    """Print all findings, the serious ones first, each with what to do."""
    for level in _ORDER:
        for finding in (each for each in found.findings if each.level is level):
            what, do = words(finding)
            line = label(f"{_WORDS[level]:8} ", _STYLES[level])
            line.append_text(label(what))
            console.print(line)
            if do:
                console.print(f"         -> {do}", style="dim" if level is Level.FINE else "")
    counts = {level: sum(each.level is level for each in found.findings) for level in _ORDER}
    serious, notes = counts[Level.SERIOUS], counts[Level.NOTE]
    console.print()
    if serious:
        console.print(f"{count_text(serious, 'serious finding')}, {count_text(notes, 'note')}.", style="bold")
    else:
        console.print(f"Nothing serious, {count_text(notes, 'note')}.", style="bold")


def diagnosis_document(found: Diagnosis) -> dict[str, Any]:
    """Give the document of a diagnosis."""
    return {
        "is_serious": found.is_serious,
        "findings": [_row(each) | {"facts": dict(each.facts)} for each in found.findings],
    }


def diagnosis_frame(found: Diagnosis) -> pl.DataFrame:
    """Give one row a finding: `check`, `level`, `what`, `do`."""
    return pl.DataFrame(
        [_row(each) for each in found.findings], schema=dict.fromkeys(("check", "level", "what", "do"), pl.String)
    )


def _row(finding: Finding) -> dict[str, Any]:
    what, do = words(finding)
    return {"check": str(finding.check), "level": str(finding.level), "what": what, "do": do}
