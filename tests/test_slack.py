"""Slack is what can be added to a run without moving the end of its job: no more and no less."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from raytrace_analyze import UsageError, critical_path, read_spans, slack
from raytrace_analyze.analyses.slack import near_chains
from raytrace_analyze.cli import app
from raytrace_analyze.replay.constraints import as_it_was
from raytrace_analyze.replay.job import Job, read_job
from raytrace_analyze.replay.passes.forward import replay
from tests.simulator import simulate
from tests.test_what_if import two_branches

SAMPLES = Path(__file__).parent.parent / "sample_spans"


def test_the_branch_that_nobody_waits_for_longest_has_slack() -> None:
    found = slack(two_branches())
    assert found.select("span_id", "slack_ns").rows() == [("r1", 0), ("r2", 190)]
    assert found["share"].to_list() == [0, 0.38]


def makespan_if_longer(job: Job, span_id: str, by_ns: int) -> int:
    """The makespan if a run took longer, who gets whose slot staying as it was."""
    graph = as_it_was(job.graph)
    row = int(graph.events.scoped.structure.spans.get_column("span_id").index_of(span_id))
    fixed = graph.fixed.copy()
    fixed[graph.events.end_of[row]] += by_ns
    return replay(replace(graph, fixed=fixed)).makespan_ns


def test_slack_can_be_added_and_not_a_nanosecond_more() -> None:
    checked = 0
    for seed in range(15):
        job = read_job(simulate(seed).spans)
        ends = job.graph.end_ns
        for row in slack(simulate(seed).spans).iter_rows(named=True):
            assert makespan_if_longer(job, row["span_id"], row["slack_ns"]) == job.makespan_ns
            if row["end_ns"] + row["slack_ns"] < ends:
                checked += 1
                assert makespan_if_longer(job, row["span_id"], row["slack_ns"] + 1000) == job.makespan_ns + 1000
    assert checked > 50


def test_runs_that_the_path_enters_at_their_end_have_no_slack() -> None:
    for capture in SAMPLES.glob("*-ours"):
        spans = read_spans(capture / "spans")
        found = slack(spans)
        assert (found["slack_ns"] >= 0).all()
        entered = found.join(critical_path(spans).segments.select("span_id", "end_ns"), on=["span_id", "end_ns"])
        assert entered.height
        assert (entered["slack_ns"] == 0).all(), capture.name


def test_chains_that_are_near() -> None:
    found = slack(two_branches())
    assert near_chains(found, 0.1).is_empty()
    (chain,) = near_chains(found, 0.4).to_dicts()
    assert (chain["slack_ns"], chain["runs"], chain["functions"], chain["run_ns"]) == (190, 1, ["fast"], 200)


def test_every_run_with_little_slack_is_in_one_chain() -> None:
    for seed in range(10):
        found = slack(simulate(seed).spans)
        chains = near_chains(found, 0.3)
        near = found.filter((found["slack_ns"] > 0) & (found["share"] <= 0.3))
        assert chains["runs"].sum() == near.height
        assert np.all(np.diff(chains["slack_ns"].to_numpy()) > 0)


def test_near_on_the_command_line() -> None:
    spans = str(SAMPLES / "actor_pipeline-ours" / "spans")
    done = CliRunner().invoke(app, ["critical-path", spans, "--near", "10%"])
    assert done.exit_code == 0
    assert "Critical next" in done.stdout
    assert "Cleaner.clean" in done.stdout.split("Critical next")[1]
    for wrong in (["--near", "much"], ["--near", "5%", "--task", "x"]):
        failed = CliRunner().invoke(app, ["critical-path", spans, *wrong])
        assert isinstance(failed.exception, UsageError)
