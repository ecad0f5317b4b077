"""What a result rests on: a sentence for each thing that is missing, and what that means for the figures."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console

from raytrace_analyze.analyses.evidence import Evidence
from raytrace_analyze.text.units import count_text

_NAMES_SHOWN = 3
_SHORT_ID = 12


def show_evidence(found: Evidence, console: Console, *, of: str = "") -> None:
    """Print what is missing of a record, and nothing where it is whole; `of` says whose it is."""
    sentences = evidence_sentences(found)
    if not sentences:
        return
    console.print()
    console.print(f"What {of or 'this'} rests on is not the whole record:", style="yellow")
    for sentence in sentences:
        console.print(f"- {sentence}", style="yellow")


def evidence_document(found: Evidence) -> dict[str, Any]:
    """Give the document of what a result rests on; `sentences` says it in words."""
    return {**asdict(found), "sentences": evidence_sentences(found)}


def evidence_sentences(found: Evidence) -> list[str]:
    """Give a sentence for each thing that is missing, the gravest first; empty where the record is whole."""
    return [*_never_written(found), *_not_readable(found), *_not_here(found), *_not_as_it_was(found)]


def _never_written(found: Evidence) -> Iterator[str]:
    if found.lost:
        yield (
            f"{count_text(found.lost, 'span')} could not be written when they ended: what was done in them shows as "
            "waiting, or as the own time of what is around it."
        )
    if found.samplers:
        yield (
            f"Not all spans are kept ({_listed(found.samplers)}): counts are too small, and the path goes through what "
            "was kept only. Trace without sampling to know it."
        )
    if found.forgotten:
        yield (
            f"Ray's head had dropped {count_text(found.forgotten, 'task attempt')} before they were saved: why some "
            "runs waited is told from spans alone."
        )


def _not_readable(found: Evidence) -> Iterator[str]:
    if found.unreadable:
        yield (
            f"{count_text(found.unreadable, 'file')} could not be read, or not to the end: what stands there shows as "
            "waiting."
        )
    if found.damaged:
        yield (
            f"{count_text(found.damaged, 'place')} in the files {_is(found.damaged)} damaged and left out: spans may "
            "be missing anywhere, so a wait on the path may be for one of them."
        )
    if found.cut:
        yield (
            f"{count_text(found.cut, 'file')} {_end(found.cut)} in the middle of a record: the process was killed "
            "while it wrote; nothing that had ended before is missing."
        )


def _not_here(found: Evidence) -> Iterator[str]:
    if found.without_parent:
        where = f"; all of them were on {_listed(found.parentless_hosts)}" if found.parentless_hosts else ""
        yield (
            f"{found.without_parent:,} of {count_text(found.spans, 'span')} have no parent here{where}. "
            f"{_who_called(found)}, so these calls begin a chain of their own, and who waited for them is told "
            "from tasks' ids and times alone."
        )
    if found.unrecorded_there:
        nodes = _listed(tuple(node[:_SHORT_ID] for node in found.nodes_without_files))
        yield (
            f"{count_text(found.unrecorded_there, 'run')} ended well on node {nodes} and left no span: of that node no "
            "file is here. What was done there shows as waiting."
        )
    if rest := found.unrecorded - found.unrecorded_there:
        yield (
            f"{count_text(rest, 'run')} ended well, as Ray says, and left no span: their files are missing, their "
            "process was not traced, or they were not sampled. Their time shows as waiting."
        )
    if found.driverless:
        yield (
            f"The driver of {count_text(found.driverless, 'session')} is not here: a job begins with its first span, "
            "and what its driver did before, between and after is unknown."
        )


def _who_called(found: Evidence) -> str:
    if found.broken_records:
        return (
            "The records of who called them are among those that are cut off or damaged, or in files that are not here"
        )
    return "The files of who called them are missing"


def _not_as_it_was(found: Evidence) -> Iterator[str]:
    if 0 < found.without_waits < found.spans:
        yield (
            f"{found.without_waits:,} of {count_text(found.spans, 'span')} are of processes that do not record what "
            "they waited for: there it is inferred from times."
        )
    if found.backwards:
        yield (
            f"{count_text(found.backwards, 'span')} ended before they started, by the clock: they are taken to have "
            "taken no time, so what they did is missing from the path."
        )
    if found.conflicting:
        yield (
            f"Of {count_text(found.conflicting, 'span')} there are records that differ: the one that ended later is "
            "taken."
        )


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _end(count: int) -> str:
    return "ends" if count == 1 else "end"


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown} and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else shown
