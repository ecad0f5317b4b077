"""What was recorded: is there anything, is all of it there, and by which hook."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from raytrace_analyze.analyses.clock_offsets import clock_offsets
from raytrace_analyze.analyses.evidence import Evidence, evidence
from raytrace_analyze.diagnosis.checks import Check, Level
from raytrace_analyze.diagnosis.finding import Finding
from raytrace_analyze.diagnosis.texts import look_into
from raytrace_analyze.errors import NoSpansError
from raytrace_analyze.ingest.loading import Ingested, load
from raytrace_analyze.table.events.attempts import only_spans

_SERVE_ACTORS = r"(?:^|\.)(?:ServeReplica|ProxyActor|ServeController)\b"
_SERVE_SPANS = r"^(?:proxy_http_request|proxy_grpc_request|route_to_replica|replica_handle_request)\b"
_SHOWN = 5


def check_recorded(paths: Sequence[Path]) -> Iterator[Finding]:
    """Look at files and folders, at the spans in them and at logs and programs beside them.

    Raises UsageError for a path that does not exist.
    """
    yield from _check_texts(paths)
    try:
        found = load(paths)
    except NoSpansError as error:
        yield Finding(Check.SPANS, Level.SERIOUS, {"spans": 0, "error": str(error)})
        return
    report = found.report
    facts = {"spans": report.spans, "files": len(report.files), "processes": report.processes, "jobs": report.jobs}
    hosts = found.spans.get_column("host").drop_nulls().unique().sort()
    yield Finding(Check.SPANS, Level.FINE, {**facts, "hosts": hosts.head(_SHOWN).to_list()})
    rests_on = evidence(found)
    yield from _check_hook(found, rests_on)
    yield from _check_whole(found, rests_on)
    yield from _check_clocks(found)


def _check_texts(paths: Sequence[Path]) -> Iterator[Finding]:
    told = look_into(paths)
    if told.old_hook:
        yield Finding(Check.OLD_HOOK, Level.SERIOUS, {"files": told.old_hook[:_SHOWN], "count": len(told.old_hook)})
    for message, file in list(told.failures.items())[:_SHOWN]:
        yield Finding(Check.HOOK_FAILED, Level.SERIOUS, {"message": message, "file": file})


def _check_hook(found: Ingested, rests_on: Evidence) -> Iterator[Finding]:
    """Tell whether our hook recorded it, all or part of it, and whether it knew Ray's task events."""
    spans = only_spans(found.spans)
    if rests_on.without_waits:
        others = spans.filter(~pl.col("records_waits").fill_null(False))
        hosts = others.select(pl.coalesce("host", "node_id")).to_series().drop_nulls().unique().sort()
        facts = {"spans": rests_on.without_waits, "of": rests_on.spans, "hosts": hosts.head(_SHOWN).to_list()}
        yield Finding(Check.OTHER_HOOK, Level.NOTE, facts)
    else:
        yield Finding(Check.OTHER_HOOK, Level.FINE)
    if not _has_events(found.spans):
        yield Finding(Check.TASK_EVENTS, Level.NOTE, {"is_ours": rests_on.without_waits < rests_on.spans})
    if rests_on.samplers:
        yield Finding(Check.SAMPLING, Level.SERIOUS, {"samplers": list(rests_on.samplers), "is_setting": False})
    names, functions = spans.get_column("name"), found.spans.get_column("function")
    is_served = functions.str.contains(_SERVE_ACTORS).any() or names.str.contains(_SERVE_ACTORS).any()
    if is_served and not names.str.contains(_SERVE_SPANS).any():
        yield Finding(Check.SERVE, Level.NOTE)


def _has_events(table: pl.DataFrame) -> bool:
    return table.select(pl.col("state_running", "state_finished", "state_failed").is_not_null().any()).row(0) != (
        False,
        False,
        False,
    )


def _check_whole(found: Ingested, rests_on: Evidence) -> Iterator[Finding]:
    counts = (
        (Check.LOST, Level.SERIOUS, {"spans": rests_on.lost, "reasons": _reasons(found)}),
        (Check.DAMAGED, Level.SERIOUS, {"places": rests_on.damaged}),
        (Check.CUT, Level.NOTE, {"files": rests_on.cut}),
        (Check.UNREADABLE, Level.SERIOUS, {"files": rests_on.unreadable, "first": _first_unreadable(found)}),
        (
            Check.MISSING_NODES,
            Level.SERIOUS,
            {"runs": rests_on.unrecorded_there, "nodes": list(rests_on.nodes_without_files)},
        ),
        (Check.MISSING_RUNS, Level.SERIOUS, {"runs": rests_on.unrecorded - rests_on.unrecorded_there}),
        (
            Check.MISSING_PARENTS,
            Level.SERIOUS,
            {
                **{"spans": rests_on.without_parent, "of": rests_on.spans},
                **{"hosts": list(rests_on.parentless_hosts), "broken_records": rests_on.broken_records},
            },
        ),
        (
            Check.MISSING_DRIVER,
            Level.NOTE,
            {"sessions": rests_on.driverless, "broken_records": rests_on.broken_records},
        ),
        (Check.FORGOTTEN, Level.NOTE, {"attempts": rests_on.forgotten}),
    )
    for check, level, facts in counts:
        if next(iter(facts.values())):
            yield Finding(check, level, facts)


def _reasons(found: Ingested) -> list[str]:
    told = dict.fromkeys(problem.detail.partition(": ")[2] for problem in found.report.all_problems if problem.lost)
    return list(told)[:_SHOWN]


def _first_unreadable(found: Ingested) -> str:
    named = [problem.path for problem in found.report.problems if problem.is_damage and problem.path]
    return next(iter([*found.report.unreadable, *named]), "")


def _check_clocks(found: Ingested) -> Iterator[Finding]:
    offsets = clock_offsets(found.spans)
    for row in offsets.filter(pl.col("is_contradictory")).head(_SHOWN).iter_rows(named=True):
        yield Finding(Check.CLOCKS, Level.SERIOUS, {"host": row["host"], "offset_ns": None})
    off = offsets.filter("is_proven", pl.col("offset_ns") != 0).sort(pl.col("offset_ns").abs(), descending=True)
    for row in off.head(_SHOWN).iter_rows(named=True):
        yield Finding(Check.CLOCKS, Level.NOTE, {"host": row["host"], "offset_ns": row["offset_ns"]})
