"""Records to the span table: copies, sessions, jobs, what is inherited, the Parquet file."""

from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytrace_analyze.model import ProblemKind
from raytrace_analyze.schema import FILE, TABLE
from raytrace_analyze.table.assemble import assemble, write_table
from tests.tables import Row, decoded, run, span, submit, table, wait


def one(spans: pl.DataFrame, span_id: str) -> Row:
    return spans.row(by_predicate=pl.col("span_id") == span_id, named=True)


def test_columns_and_types_are_those_of_the_schema() -> None:
    assert table(span("a", 0, 1)).schema == TABLE
    assert assemble([])[0].schema == TABLE


def test_a_copy_counts_once_and_is_no_problem() -> None:
    spans, problems = assemble([decoded(span("a", 0, 1)), decoded(span("a", 0, 1, source="copy"))])
    assert spans.height == 1
    assert problems == ()


def test_a_span_that_ended_wins_over_its_open_record() -> None:
    for order in ([0, 1], [1, 0]):
        both = [decoded(span("a", 0, None, source="open")), decoded(span("a", 0, 9))]
        spans, problems = assemble([both[index] for index in order])
        assert spans["end"].null_count() == 0
        assert problems == ()


def test_of_contradicting_copies_the_later_ended_stays_and_is_reported() -> None:
    spans, problems = assemble([decoded(span("a", 0, 5000)), decoded(span("a", 0, 9000, source="g"))])
    assert spans["end"].to_physical().to_list() == [9000]
    assert [problem.kind for problem in problems] == [ProblemKind.CONFLICT]
    assert "2 records of span a" in problems[0].detail


def test_the_same_span_written_with_less_exact_times_is_no_contradiction() -> None:
    spans, problems = assemble([decoded(span("a", 1234, 5678)), decoded(span("a", 1000, 5000, attributes="{ }"))])
    assert spans["end"].to_physical().to_list() == [5678]
    assert problems == ()


def test_a_missing_parent_is_reported() -> None:
    _, problems = assemble([decoded(span("a", 0, 1, "gone"), span("b", 0, 1))])
    assert [problem.kind for problem in problems] == [ProblemKind.MISSING_PARENT]
    assert "1 of 2 spans" in problems[0].detail


def test_a_custom_span_inherits_from_its_task() -> None:
    spans = table(
        submit("s", 0, 1, pid=1),
        run("r", 2, 9, "s", "T", function="work", actor_id="A", pid=5, worker_id="w"),
        span("c", 3, 4, "r", job_id=None, node_id=None, pid=None),
        span("cc", 3, 4, "c", job_id=None, node_id=None, pid=None),
    )
    for span_id in ("c", "cc"):
        inherited = {
            name: one(spans, span_id)[name] for name in ("function", "task_id", "actor_id", "worker_id", "pid")
        }
        assert inherited == {"function": "work", "task_id": "T", "actor_id": "A", "worker_id": "w", "pid": 5}
        assert (one(spans, span_id)["job_id"], one(spans, span_id)["node_id"]) == ("01", "n")


def test_a_span_of_a_thread_belongs_to_the_task_it_names() -> None:
    spans = table(
        run("r", 2, 9, None, "T", function="work", actor_id="A"),
        wait("lost", 3, 4, None, [], trace_id="u", task_id="T"),
        submit("s", 3, 4, None, trace_id="v", task_id="T", function="other"),
    )
    assert (one(spans, "lost")["function"], one(spans, "lost")["actor_id"]) == ("work", "A")
    assert (one(spans, "s")["function"], one(spans, "s")["actor_id"]) == ("other", None)


def test_a_submit_keeps_its_callee_and_inherits_its_submitter() -> None:
    spans = table(
        run("r", 2, 9, None, "T", function="outer", actor_id="A"),
        submit("s", 3, 4, "r", function="inner", task_id=None),
    )
    inner = one(spans, "s")
    assert (inner["function"], inner["task_id"], inner["actor_id"]) == ("inner", "T", None)


def test_categories() -> None:
    spans = table(
        span("d", 0, 9, name="ray.driver"),
        submit("s", 0, 1, "d"),
        run("r", 2, 9, "s"),
        wait("w", 3, 4, "d", []),
        span("p", 3, 4, "d", name="ray.put"),
        span("c", 3, 4, "d"),
        span("k", 3, 4, "c", kind="CONSUMER"),
    )
    found = dict(spans.select("span_id", pl.col("category").cast(pl.String)).iter_rows())
    assert found == {
        "d": "driver", "s": "submit", "r": "task", "w": "wait", "p": "put", "c": "custom", "k": "custom",
    }  # fmt: skip


def test_runs_of_one_program_in_two_clusters_are_two_sessions() -> None:
    # The same job id, task id and pid; only the nodes differ, as with Ray's own hook.
    first = [submit("s1", 0, 1, trace_id="t1", node_id="n1"), run("r1", 2, 3, "s1", "T", trace_id="t1", node_id="n1")]
    other = [
        submit("s2", 9, 10, trace_id="t2", node_id="n2"),
        run("r2", 11, 12, "s2", "T", trace_id="t2", node_id="n2"),
    ]
    nameless = [{**row, "session": None} for row in first + other]
    spans = table(*nameless)
    assert spans.select("session", "job_id").n_unique() == 2
    assert spans.group_by("session").agg(pl.col("trace_id").n_unique())["trace_id"].to_list() == [1, 1]


def test_nodes_that_share_a_trace_are_one_session() -> None:
    rows = [
        submit("s", 0, 1, node_id="n1"),
        run("r", 2, 3, "s", node_id="n2"),
        run("q", 5, 6, None, trace_id="u", node_id="n2"),
    ]
    assert table(*({**row, "session": None} for row in rows))["session"].to_list() == ["node-n1"] * 3


def test_a_trace_without_node_goes_with_its_files_nearest_span() -> None:
    bare = {"session": None, "job_id": None, "pid": None}
    spans = table(
        span("early", 0, 10, trace_id="a", **{**bare, "node_id": "n1", "job_id": "01"}),
        span("late", 1000, 1010, trace_id="b", **{**bare, "node_id": "n2", "job_id": "02"}),
        span("x", 900, 905, trace_id="c", **{**bare, "node_id": None}),
        span("y", 40, 45, trace_id="d", **{**bare, "node_id": None}),
    )
    assert one(spans, "x")["session"] == "node-n2"
    assert one(spans, "y")["session"] == "node-n1"
    assert (one(spans, "x")["job_id"], one(spans, "y")["job_id"]) == ("02", "01")


def test_traces_that_know_nothing_of_ray_are_a_session_with_the_files_they_share() -> None:
    bare = {"session": None, "job_id": None, "node_id": None, "pid": None}
    spans = table(
        span("a", 0, 1, trace_id="1", source="f1", **bare),
        span("b", 0, 1, "a", trace_id="1", source="f2", **bare),
        span("c", 2, 3, trace_id="2", source="f2", **bare),
        span("z", 2, 3, trace_id="3", source="f9", **bare),
    )
    assert spans.sort("span_id")["session"].to_list() == ["trace-1", "trace-1", "trace-1", "trace-3"]


def test_a_session_that_the_hook_named_stands() -> None:
    spans = table(
        span("a", 0, 1, session="session_1", node_id="n1"),
        span("b", 2, 3, trace_id="u", session=None, node_id="n1"),
    )
    assert spans["session"].to_list() == ["session_1"] * 2


ROWS = st.lists(
    st.builds(
        span,
        st.sampled_from("abcdef"),
        st.integers(0, 50),
        st.none() | st.integers(0, 50),
        st.none() | st.sampled_from("abcdefx"),
        trace_id=st.sampled_from("tu"),
        session=st.none() | st.sampled_from(["s1", "s2"]),
        node_id=st.none() | st.sampled_from(["n1", "n2"]),
        job_id=st.none() | st.sampled_from(["01", "02"]),
        kind=st.sampled_from(["INTERNAL", "PRODUCER", "CONSUMER"]),
        source=st.sampled_from(["f", "g"]),
    ),
    min_size=1,
    max_size=12,
)


@given(rows=ROWS, order=st.randoms(use_true_random=False))
def test_merging_in_any_order_gives_the_same_table(rows: list[Row], order: object) -> None:
    frames = [decoded(row) for row in rows]
    expected = assemble(frames)[0]
    order.shuffle(frames)  # type: ignore[attr-defined]
    assert assemble(frames)[0].equals(expected)
    assert expected.select("trace_id", "span_id").is_duplicated().sum() == 0
    assert expected["session"].null_count() == 0


def test_the_parquet_file_gives_back_the_table_and_is_readable_by_others(tmp_path: Path) -> None:
    spans = table(submit("s", 0, 1), run("r", 2, 9, "s", "T"), wait("w", 3, None, None, ["T"]))  # type: ignore[arg-type]
    path = tmp_path / "spans.parquet"
    write_table(spans, str(path))
    assert pl.read_parquet(path, columns=TABLE.names()).equals(spans)
    assert pl.read_parquet(path).schema == FILE
    assert pl.read_parquet_metadata(path)["raytrace.schema_version"] == "2"
    assert duckdb.sql(f"select count(*), sum(len(ready_task_ids)) from '{path}'").fetchall() == [(3, 1)]
    assert [entry.name for entry in tmp_path.iterdir()] == ["spans.parquet"]


def test_a_table_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "spans.parquet"
    path.mkdir()
    with pytest.raises(OSError):
        write_table(table(span("a", 0, 1)), path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["spans.parquet"]


def test_a_run_belongs_to_the_job_that_submitted_it() -> None:
    """
    d2 (job 02)  |s ------|
    r  (process of job 01)  |-- s2 --|      a detached actor that two jobs share
    r2 (process of job 01)      |--|
    """
    spans = table(
        span("d1", 0, 100, category="driver", name="ray.driver", job_id="01", trace_id="t1"),
        span("d2", 0, 100, name="ray.driver", job_id="02"),
        submit("s", 10, 20, "d2", job_id="02", submitted_task_id="1"),
        run("r", 30, 60, "s", "1", job_id="01", actor_id="a"),
        submit("s2", 35, 40, "r", job_id="01", submitted_task_id="2"),
        run("r2", 45, 55, "s2", "2", job_id="01"),
    )
    jobs = dict(spans.select("span_id", "job_id").iter_rows())
    assert jobs == {"d1": "01", "d2": "02", "s": "02", "r": "02", "s2": "02", "r2": "02"}
