"""Path and replay rest on the same constraints: what is on the path wins something, what is not wins nothing.

True of what a function does itself: at least a twentieth of the time on the path, and infinitely fast, it makes the
job shorter; not on the path at all, it makes it no shorter, unless it held slots or turns that others then get in
another order.
"""

import math
from pathlib import Path

import polars as pl
import pytest

from raytrace_analyze import advise, critical_path, prepare, read_spans
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.replay.change import Change
from raytrace_analyze.replay.job import read_job
from raytrace_analyze.replay.passes.forward import replay
from tests import agreement_programs

SAMPLES = Path(__file__).parent.parent / "sample_spans"
CAPTURES = sorted(path.name for path in SAMPLES.glob("*-ours"))
_LEAST = 0.05
_NOISE = 0.001


def check_advice(trace: PreparedTrace) -> None:
    """What a finding would save lies on the path: in the spans that it is about, or in a queue that they held up."""
    path = critical_path(trace)
    at_most = path.makespan_ns
    queued = path.by("category").filter(pl.col("category") == "queue")["total_ns"].sum()
    for row in advise(trace).iter_rows(named=True):
        assert 0 <= row["saved_ns"] <= at_most
        assert row["saved_ns"] == 0 or row["cost_ns"] + queued > 0, row["what"]


def check_agreement(spans: pl.DataFrame) -> int:
    """Compare path and replay of the longest job; gives how many functions were on the path for long enough."""
    trace = prepare(spans)
    path, job = critical_path(trace), read_job(trace)
    assert replay(job.graph).makespan_ns == path.makespan_ns
    on_path = {}
    for row in path.by("function").iter_rows(named=True):
        on_path[row["function"]] = (row["self_ns"] + row["submit_ns"], row["self_ns"] / max(path.makespan_ns, 1))
    check_advice(trace)
    compared = 0
    for function in filter(None, job.graph.functions):
        won = path.makespan_ns - replay(job.graph, Change({function: math.inf})).makespan_ns
        took, share = on_path.get(function, (0, 0.0))
        if share >= _LEAST:
            assert won > 0, f"{function}: {share:.1%} of the path, made infinitely fast wins nothing"
            compared += 1
        if not took and job.graph.slots is None and job.graph.lanes is None:
            assert won <= _NOISE * path.makespan_ns, f"{function}: not on the path, wins {won} ns"
    return compared


@pytest.mark.parametrize("capture", CAPTURES)
def test_captures_agree(capture: str) -> None:
    assert check_agreement(read_spans(SAMPLES / capture / "spans")) > 0


@pytest.mark.parametrize("name", sorted(agreement_programs.PROGRAMS))
def test_programs_with_every_kind_of_wait_agree(name: str) -> None:
    program = agreement_programs.PROGRAMS[name]
    check_agreement(program.spans)
    job = read_job(program.spans)
    total = job.makespan_ns
    for function, wins in program.wins.items():
        won = total - replay(job.graph, Change({function: math.inf})).makespan_ns
        assert won == wins, function
