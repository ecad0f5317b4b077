"""What `doctor` says of what was recorded: what it is, and what is missing from it."""

from raytrace_analyze.diagnosis.checks import Check
from raytrace_analyze.text.units import count_text, duration_text
from raytrace_analyze.views.doctor.said import HOW_TO_RECORD, HOW_TO_START, Facts, Words, WordsOf, listed

_SHORT_ID = 12


def _sampling(facts: Facts) -> Words:
    where = "OTEL_TRACES_SAMPLER is set" if facts["is_setting"] else "These spans were sampled"
    return (
        f"{where} ({listed(facts['samplers'])}): what is not kept shows as waiting, and counts are too small.",
        "unset OTEL_TRACES_SAMPLER where the cluster starts; a path needs all spans of its job",
    )


def _spans(facts: Facts) -> Words:
    if "error" in facts:
        return f"There is nothing to analyse: {facts['error']}", ""
    where = f", recorded on {listed(facts['hosts'])}" if facts["hosts"] else ""
    return (
        f"{count_text(facts['spans'], 'span')} of {count_text(facts['processes'], 'process', 'processes')} in "
        f"{count_text(facts['jobs'], 'job')}, from {count_text(facts['files'], 'file')}{where}.",
        "",
    )


def _other_hook(facts: Facts) -> Words:
    if not facts:
        return "All of it was recorded by raytrace-hook.", ""
    if "hook" in facts:
        return f"Tracing is done by {facts['hook']}, which does not record what is waited for.", HOW_TO_RECORD
    where = f" on {listed(facts['hosts'])}" if facts["hosts"] else ""
    return (
        f"{facts['spans']:,} of {count_text(facts['of'], 'span')}{where} are of another hook than ours, or with "
        "waits off: what they waited for is inferred from times.",
        HOW_TO_RECORD,
    )


def _task_events(facts: Facts) -> Words:
    what = (
        "There are no task events of Ray: why tasks waited is told from spans alone, and attempts that were killed "
        "before they began are unknown."
    )
    if facts["is_ours"]:
        return what, "read the driver's .events file too: it lies beside its spans, on the driver's machine"
    return what, f"to have them saved, {HOW_TO_START}"


def _forgotten(facts: Facts) -> Words:
    return (
        f"Ray's head had dropped {count_text(facts['attempts'], 'task attempt')} before they were saved.",
        "start the cluster with RAY_task_events_max_num_task_in_gcs=1000000, or set RAYTRACE_EVENTS_INTERVAL_S=2",
    )


def _clocks(facts: Facts) -> Words:
    if "nodes" in facts:
        return f"The clocks of {count_text(facts['nodes'], 'node')} agree.", ""
    if facts["offset_ns"] is None:
        return (
            f"The times of {facts['host']} contradict each other: no shift makes them possible.",
            "its clock was set meanwhile; run NTP there",
        )
    way = "behind" if facts["offset_ns"] > 0 else "ahead"
    off = duration_text(abs(facts["offset_ns"]))
    return f"The clock of {facts['host']} is {off} {way}.", "paths are corrected by that; run NTP there to be rid of it"


def _lost(facts: Facts) -> Words:
    return (
        f"{count_text(facts['spans'], 'span')} could not be written: {listed(facts['reasons'])}.",
        "make room where they are written, or set RAYTRACE_DIR to where there is",
    )


def _damaged(facts: Facts) -> Words:
    return (
        f"{count_text(facts['places'], 'place')} in the files could not be read.",
        "copy the files again from their machine; raytrace-analyze merge names each place",
    )


def _cut(facts: Facts) -> Words:
    end = "ends" if facts["files"] == 1 else "end"
    return (
        f"{count_text(facts['files'], 'file')} {end} in the middle of a record, as of a process that was killed while "
        "it wrote: what that span was is not known.",
        "if it was copied while the job ran, or not to its end, copy it again",
    )


def _unreadable(facts: Facts) -> Words:
    first = f" (first: {facts['first']})" if facts["first"] else ""
    return (
        f"{count_text(facts['files'], 'file')} could not be read to the end{first}.",
        "copy them again, or read them as who wrote them",
    )


def _missing_nodes(facts: Facts) -> Words:
    nodes = listed(node[:_SHORT_ID] for node in facts["nodes"])
    return (
        f"{count_text(facts['runs'], 'run')} ended well on node {nodes}, and no file of that node is here.",
        "fetch the hook's folder of that machine; if there is none, install raytrace-hook there",
    )


def _missing_runs(facts: Facts) -> Words:
    return (
        f"{count_text(facts['runs'], 'run')} ended well, as Ray says, and left no span.",
        "look for files that were not copied, and for the hook's messages in the workers' logs",
    )


def _missing_parents(facts: Facts) -> Words:
    where = f" on {listed(facts['hosts'])}" if facts["hosts"] else ""
    return (
        f"{facts['spans']:,} of {count_text(facts['of'], 'span')}{where} have no parent here.",
        (_unless_broken(facts) or "the files of who called them are missing: ")
        + "fetch the hook's folder of every machine, the driver's too",
    )


def _missing_driver(facts: Facts) -> Words:
    return (
        f"The driver of {count_text(facts['sessions'], 'session')} is not in the files.",
        _unless_broken(facts) + "fetch the hook's folder of the machine that the program was started on",
    )


def _unless_broken(facts: Facts) -> str:
    """Say that what is missing may be here, and cannot be read."""
    match facts["broken_records"]:
        case 0:
            return ""
        case 1:
            return "the record that is cut off or damaged here may be what is missing; if not, "
        case broken:
            return f"the {broken:,} records that are cut off or damaged here may be what is missing; if not, "


OF_RECORD: WordsOf = {
    Check.SAMPLING: _sampling,
    Check.SPANS: _spans,
    Check.OTHER_HOOK: _other_hook,
    Check.TASK_EVENTS: _task_events,
    Check.FORGOTTEN: _forgotten,
    Check.CLOCKS: _clocks,
    Check.LOST: _lost,
    Check.DAMAGED: _damaged,
    Check.CUT: _cut,
    Check.UNREADABLE: _unreadable,
    Check.MISSING_NODES: _missing_nodes,
    Check.MISSING_RUNS: _missing_runs,
    Check.MISSING_PARENTS: _missing_parents,
    Check.MISSING_DRIVER: _missing_driver,
}
