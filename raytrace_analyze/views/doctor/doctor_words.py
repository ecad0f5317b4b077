"""What `doctor` says of each thing that it looks at: how it is, and what to do about it."""

from collections.abc import Callable, Mapping
from typing import Any

from raytrace_analyze.diagnosis.checks import Check
from raytrace_analyze.diagnosis.finding import Finding
from raytrace_analyze.text.units import bytes_text, count_text, duration_text

_SHORT_ID = 12
_START = (
    'start Ray with --tracing-startup-hook "raytrace_hook:setup_tracing", or in the program '
    'ray.init(_tracing_startup_hook="raytrace_hook:setup_tracing")'
)
_OURS = f"to record what is waited for, {_START}"

Facts = Mapping[str, Any]
Words = tuple[str, str]
"""How it is, and what to do; the latter empty where there is nothing to do."""


def words(finding: Finding) -> Words:
    """Say of a finding how it is, and what to do about it."""
    return _WORDS_OF[finding.check](finding.facts)


def _listed(names: Any) -> str:
    return ", ".join(map(str, names))


def _hook(facts: Facts) -> Words:
    if facts["version"] is None:
        return "raytrace-hook is not installed here.", "pip install raytrace-hook, on every node of the cluster"
    if facts["error"]:
        return (
            f"raytrace-hook {facts['version']} does not load: {facts['error']}",
            "mend that first: workers fail likewise",
        )
    return f"raytrace-hook {facts['version']} is installed here and loads.", ""


def _opentelemetry(facts: Facts) -> Words:
    if facts["version"] is None:
        return "opentelemetry-sdk is not installed here.", "pip install opentelemetry-sdk, on every node of the cluster"
    return f"opentelemetry-sdk {facts['version']} is installed here.", ""


_LACKS = {
    "too old": "tracing fails for functions that were decorated before ray.init, and attempts are not numbered",
    "states": "its task events have no time for each state, so less is told of why a task waited",
    "client": "tracing fails for Ray Client drivers",
    "generators": "its own tracing skips generator methods of actors; raytrace-hook records them",
}


def _ray_version(facts: Facts) -> Words:
    told = "; ".join(_LACKS[each] for each in facts["lacks"])
    if not told:
        return f"Ray {facts['version']} has all that is needed.", ""
    do = "use Ray 2.9 or newer" if "too old" in facts["lacks"] else ""
    return f"Ray {facts['version']}: {told}.", do


_DIRECTORIES = {
    "link": ("is a link, which the hook does not follow", "name the folder itself in RAYTRACE_DIR"),
    "no folder": ("is not a folder", "name a folder in RAYTRACE_DIR"),
    "somebody else's": ("belongs to another user", "name a folder of your own in RAYTRACE_DIR"),
    "everybody may write": ("may be written in by everybody, so the hook does not use it", "chmod o-w it"),
    "not writable": ("cannot be written in", "name a folder that can be, in RAYTRACE_DIR"),
    "full": ("has next to no room left", "make room, or set RAYTRACE_MAX_DIR_MB"),
}


def _directory(facts: Facts) -> Words:
    if facts["problem"] == "on node":
        return f"On {facts['host']} nothing can be written: {facts['path']}.", "mend it there, or set RAYTRACE_DIR"
    if facts["problem"] is None:
        return f"Spans go to {facts['path']} ({bytes_text(facts['free_bytes'])} free).", ""
    what, do = _DIRECTORIES[facts["problem"]]
    return f"{facts['path']} {what}.", do


def _sdk_off(_: Facts) -> Words:
    return "OTEL_SDK_DISABLED is set: nothing is recorded at all.", "unset it where the cluster starts"


def _sampling(facts: Facts) -> Words:
    where = "OTEL_TRACES_SAMPLER is set" if facts["is_setting"] else "These spans were sampled"
    return (
        f"{where} ({_listed(facts['samplers'])}): what is not kept shows as waiting, and counts are too small.",
        "unset OTEL_TRACES_SAMPLER where the cluster starts; a path needs all spans of its job",
    )


def _settings(facts: Facts) -> Words:
    return (
        f"{facts['variable']} is off: what was waited for has to be inferred from times.",
        f"unset {facts['variable']}",
    )


def _cluster(facts: Facts) -> Words:
    if facts["error"]:
        return (
            f"The cluster at {facts['address']} cannot be reached: {facts['error']}",
            "check the address, Ray's token where it asks for one (RAY_AUTH_TOKEN), and that Ray and Python have the "
            "same version here and there",
        )
    return f"The cluster at {facts['address']} has {count_text(facts['nodes'], 'node')}.", ""


def _tracing_on(facts: Facts) -> Words:
    if facts.get("error"):
        return (
            f"The cluster's hook {facts['hook']} fails here, and so does every program that connects: {facts['error']}",
            f"mend that, or {_START}",
        )
    if facts["hook"]:
        return f"Tracing is on: {facts['hook']}.", ""
    return (
        "The cluster was started without tracing, so nothing is recorded unless a job asks for it.",
        f"{_START}; or leave the cluster as it is and run: raytrace-analyze record --address ADDR SCRIPT",
    )


def _workers(facts: Facts) -> Words:
    if "error" in facts:
        return (
            f"Workers on {facts['host']} do not record: {facts['error']}",
            "install the hook and opentelemetry-sdk there, and look into the workers' logs of that node",
        )
    return f"The hook runs in workers on {count_text(facts['nodes'], 'node')}.", ""


def _same_versions(facts: Facts) -> Words:
    return (
        f"Nodes have different versions of {facts['package']}: {_listed(facts['versions'])}.",
        "install one version everywhere",
    )


def _spans(facts: Facts) -> Words:
    if "error" in facts:
        return f"There is nothing to analyse: {facts['error']}", ""
    where = f", recorded on {_listed(facts['hosts'])}" if facts["hosts"] else ""
    return (
        f"{count_text(facts['spans'], 'span')} of {count_text(facts['processes'], 'process', 'processes')} in "
        f"{count_text(facts['jobs'], 'job')}, from {count_text(facts['files'], 'file')}{where}.",
        "",
    )


def _old_hook(facts: Facts) -> Words:
    return (
        f"{_listed(facts['files'])}: SimpleExportSpanProcessor, as in the hook of Ray's old documentation, is no "
        "longer in OpenTelemetry: workers with that hook do not start.",
        f"use SimpleSpanProcessor there; or {_START}",
    )


def _other_hook(facts: Facts) -> Words:
    if not facts:
        return "All of it was recorded by raytrace-hook.", ""
    if "hook" in facts:
        return f"Tracing is done by {facts['hook']}, which does not record what is waited for.", _OURS
    where = f" on {_listed(facts['hosts'])}" if facts["hosts"] else ""
    return (
        f"{facts['spans']:,} of {count_text(facts['of'], 'span')}{where} are of another hook than ours, or with "
        "waits off: what they waited for is inferred from times.",
        _OURS,
    )


def _hook_failed(facts: Facts) -> Words:
    return f"{facts['file']}: the hook said: {facts['message']}", "mend that; those processes recorded nothing"


def _task_events(facts: Facts) -> Words:
    what = (
        "There are no task events of Ray: why tasks waited is told from spans alone, and attempts that were killed "
        "before they began are unknown."
    )
    if facts["is_ours"]:
        return what, "read the driver's .events file too: it lies beside its spans, on the driver's machine"
    return what, f"to have them saved, {_START}"


def _forgotten(facts: Facts) -> Words:
    return (
        f"Ray's head had dropped {count_text(facts['attempts'], 'task attempt')} before they were saved.",
        "start the cluster with RAY_task_events_max_num_task_in_gcs=1000000, or set RAYTRACE_EVENTS_INTERVAL_S=2",
    )


def _serve(_: Facts) -> Words:
    return (
        "Ray Serve runs, and its requests are not recorded.",
        "set RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH=raytrace_hook:serve_span_processors and "
        "RAY_SERVE_TRACING_SAMPLING_RATIO=1 where the cluster starts",
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
        f"{count_text(facts['spans'], 'span')} could not be written: {_listed(facts['reasons'])}.",
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
    nodes = _listed(node[:_SHORT_ID] for node in facts["nodes"])
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
    where = f" on {_listed(facts['hosts'])}" if facts["hosts"] else ""
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


_WORDS_OF: dict[Check, Callable[[Facts], Words]] = {
    Check.HOOK: _hook,
    Check.OPENTELEMETRY: _opentelemetry,
    Check.RAY_VERSION: _ray_version,
    Check.DIRECTORY: _directory,
    Check.SDK_OFF: _sdk_off,
    Check.SAMPLING: _sampling,
    Check.SETTINGS: _settings,
    Check.CLUSTER: _cluster,
    Check.TRACING_ON: _tracing_on,
    Check.WORKERS: _workers,
    Check.SAME_VERSIONS: _same_versions,
    Check.SPANS: _spans,
    Check.OLD_HOOK: _old_hook,
    Check.OTHER_HOOK: _other_hook,
    Check.HOOK_FAILED: _hook_failed,
    Check.TASK_EVENTS: _task_events,
    Check.FORGOTTEN: _forgotten,
    Check.SERVE: _serve,
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
