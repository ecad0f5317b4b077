"""What `doctor` says of the machine and the cluster: is tracing on, and can it be."""

from raytrace_analyze.diagnosis.checks import Check
from raytrace_analyze.text.units import bytes_text, count_text
from raytrace_analyze.views.doctor.said import HOW_TO_START, Facts, Words, WordsOf, listed


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
            f"mend that, or {HOW_TO_START}",
        )
    if facts["hook"]:
        return f"Tracing is on: {facts['hook']}.", ""
    return (
        "The cluster was started without tracing, so nothing is recorded unless a job asks for it.",
        f"{HOW_TO_START}; or leave the cluster as it is and run: raytrace-analyze record --address ADDR SCRIPT",
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
        f"Nodes have different versions of {facts['package']}: {listed(facts['versions'])}.",
        "install one version everywhere",
    )


def _old_hook(facts: Facts) -> Words:
    return (
        f"{listed(facts['files'])}: SimpleExportSpanProcessor, as in the hook of Ray's old documentation, is no "
        "longer in OpenTelemetry: workers with that hook do not start.",
        f"use SimpleSpanProcessor there; or {HOW_TO_START}",
    )


def _hook_failed(facts: Facts) -> Words:
    return f"{facts['file']}: the hook said: {facts['message']}", "mend that; those processes recorded nothing"


def _serve(_: Facts) -> Words:
    return (
        "Ray Serve runs, and its requests are not recorded.",
        "set RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH=raytrace_hook:serve_span_processors and "
        "RAY_SERVE_TRACING_SAMPLING_RATIO=1 where the cluster starts",
    )


OF_SETUP: WordsOf = {
    Check.HOOK: _hook,
    Check.OPENTELEMETRY: _opentelemetry,
    Check.RAY_VERSION: _ray_version,
    Check.DIRECTORY: _directory,
    Check.SDK_OFF: _sdk_off,
    Check.SETTINGS: _settings,
    Check.CLUSTER: _cluster,
    Check.TRACING_ON: _tracing_on,
    Check.WORKERS: _workers,
    Check.SAME_VERSIONS: _same_versions,
    Check.OLD_HOOK: _old_hook,
    Check.HOOK_FAILED: _hook_failed,
    Check.SERVE: _serve,
}
