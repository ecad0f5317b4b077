"""The difference between runs: it adds up, noise is called noise, a true change is found, the gate holds."""

import json
import math
import random
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import raytrace_analyze as rt
from raytrace_analyze import RunDiff, diff, read_spans, write_table
from raytrace_analyze.analyses.diff.significance import Significance
from raytrace_analyze.views.diff_view import answer
from tests.command_line import cli
from tests.simulator import programs, simulate
from tests.sizes import counted, first
from tests.tables import run, span, submit, table, wait

SAMPLES = Path(__file__).parent.parent / "sample_spans"
OURS, STOCK = SAMPLES / "map_reduce-ours" / "spans", SAMPLES / "map_reduce-stock" / "spans"
MILLISECOND = 1_000_000
STAGES = {"etl.load": 2_000, "etl.clean": 1_000, "train.step": 3_000, "report.save": 500}
"""A program that calls one function after the other; what each takes, in ms."""


def one_run(number: int, seed: str, noise: float, factors: Mapping[str, float], session: str = "s") -> pl.DataFrame:
    """Run the program: three tasks of each stage side by side, the next stage when all are done.

    driver  |-submit-------wait-|-submit-------wait-|
    stage 1  |== task 0 =====|   |== task 0 =====|
             |== task 1 ==|      |== task 1 ==|        (0 decides)
    """
    draw = random.Random(f"{seed} {number}")
    now, rows = 0, []
    for stage, took in STAGES.items():
        ids = [f"{number}-{stage}-{index}" for index in range(3)]
        start, ends = now, []
        for index, task in enumerate(ids):
            scale = (1 - 0.2 * index) * factors.get(stage, 1.0) * (1 + draw.uniform(-noise, noise))
            rows.append(submit(f"s{task}", now, now + MILLISECOND, f"d{number}", function=stage))
            begin = now + 5 * MILLISECOND
            ends.append(begin + int(took * scale * MILLISECOND))
            rows.append(run(f"r{task}", begin, ends[-1], f"s{task}", task, function=stage))
            now += MILLISECOND
        now = max(ends) + MILLISECOND
        rows.append(wait(f"w{start}-{number}", start + 3 * MILLISECOND, now, f"d{number}", ids))
    driver = span(f"d{number}", 0, now, name="ray.driver", attributes=f'{{"raytrace.entrypoint": "job.py {number}"}}')
    named = [{**row, "session": f"{session}{number}", "trace_id": f"{session}{number}"} for row in (driver, *rows)]
    return table(*named, recorded=True)


def group(count: int, seed: str, noise: float = 0.03, **factors: float) -> pl.DataFrame:
    """Runs of the program; `train_step=1.2` makes a function slower."""
    named = {stage: factors.get(stage.replace(".", "_"), 1.0) for stage in STAGES}
    return pl.concat([one_run(number, seed, noise, named, seed) for number in range(count)])


def parts_of(found: RunDiff) -> dict[str, dict[str, Any]]:
    return {row["function"]: row for row in found.by("function").iter_rows(named=True)}


def assert_adds_up(found: RunDiff) -> None:
    for frame in (found.parts, *(found.by(by) for by in ("function", "category", "cause"))):
        assert frame["base_ns"].sum() == found.base.makespan_ns
        assert frame["new_ns"].sum() == found.new.makespan_ns
        assert frame["difference_ns"].sum() == found.difference_ns
        assert (frame["new_ns"] - frame["base_ns"]).equals(frame["difference_ns"])
    for side in (found.base, found.new):
        exact = side.runs["makespan_ns"].sum() / side.count
        assert abs(side.makespan_ns - exact) <= 1
    # No part is further than a nanosecond from the mean that it stands for.
    for name, side in (("base", found.base), ("new", found.new)):
        key = ["function", "category", "cause"]
        sums = found.run_parts.filter(side=name).group_by(key).agg(pl.col("path_ns").sum())
        both = found.parts.join(sums, on=key, nulls_equal=True)
        assert ((both[f"{name}_ns"] * side.count - both["path_ns"]).abs() < side.count).all()


def assert_zero(found: RunDiff) -> None:
    assert (found.difference_ns, found.verdict) == (0, "same")
    for by in ("function", "category", "cause"):
        parts = found.by(by)
        assert (parts["difference_ns"] == 0).all()
        assert (parts["presence"] == "both").all()
        assert parts["is_noise"].fill_null(True).all()
    assert (found.functions["p50_difference_ns"].drop_nulls() == 0).all()
    assert (found.functions["path_difference_ns"] == 0).all()
    assert not found.exceeds(0)


# It adds up


@settings(max_examples=5, deadline=None)
@given(st.lists(programs(4), min_size=2, max_size=5), st.data())
def test_the_parts_add_up_to_the_nanosecond(written: list[Any], data: st.DataObject) -> None:
    tables = [simulate(program, session=f"s{number}").spans for number, program in enumerate(written)]
    cut = data.draw(st.integers(1, len(tables) - 1))
    found = diff(tables[:cut], tables[cut:], queues=data.draw(st.sampled_from(["follow", "show"])))
    assert (found.base.count, found.new.count) == (cut, len(tables) - cut)
    assert_adds_up(found)
    back = diff(tables[cut:], tables[:cut])
    assert_adds_up(back)
    assert back.difference_ns == -found.difference_ns


@settings(max_examples=4, deadline=None)
@given(programs(5))
def test_a_run_against_itself_is_zero_everywhere(program: Any) -> None:
    spans = simulate(program).spans
    assert_zero(diff(spans, spans))
    assert_zero(diff([spans, spans], [spans, spans]))


def test_groups_of_unequal_size_add_up() -> None:
    for sizes in ((1, 2), (3, 7), (7, 3), (5, 1)):
        found = diff(group(sizes[0], "a"), group(sizes[1], "b", train_step=1.2))
        assert (found.base.count, found.new.count) == sizes
        assert_adds_up(found)


def test_several_tables_are_the_runs_of_one_table() -> None:
    whole = diff(group(3, "a"), group(3, "b"))
    split = diff(group(3, "a").partition_by("session"), group(3, "b"))
    assert split.difference_ns == whole.difference_ns
    assert split.by("function").equals(whole.by("function"))


# Noise and true changes


@pytest.mark.parametrize("seed", first(2, range(6)))
@pytest.mark.parametrize("runs", [3, 5])
def test_three_percent_of_noise_is_noise_and_passes_a_gate(runs: int, seed: int) -> None:
    found = diff(group(runs, f"a{seed}"), group(runs, f"b{seed}"))
    assert not found.exceeds(0.1)
    assert found.verdict == "noise"
    assert found.by("function")["is_noise"].all()


@counted(6, 12)
def test_chance_alone_is_rarely_called_a_difference(count: int) -> None:
    found = [diff(group(5, f"a{seed}"), group(5, f"b{seed}")) for seed in range(6, 6 + count)]
    assert sum(one.verdict != "noise" for one in found) <= count / 4
    assert sum(not one.by("function")["is_noise"].all() for one in found) <= count / 4


@pytest.mark.parametrize("seed", first(1, range(3)))
@pytest.mark.parametrize(("base", "new"), [(3, 3), (5, 5), (4, 8), (10, 10)])
def test_a_function_that_is_twenty_percent_slower_is_found(base: int, new: int, seed: int) -> None:
    found = diff(group(base, f"a{seed}"), group(new, f"b{seed}", train_step=1.2))
    parts = parts_of(found)
    assert found.verdict == "longer"
    assert found.exceeds(0.05)
    assert found.by("function")["function"][0] == "train.step"
    assert parts["train.step"]["is_noise"] is False
    assert parts["train.step"]["difference_ns"] / parts["train.step"]["base_ns"] == pytest.approx(0.2, abs=0.06)
    assert all(parts[stage]["is_noise"] for stage in STAGES if stage != "train.step")


def test_a_change_that_matters_as_much_as_ten_percent_fails_that_gate() -> None:
    base, new = group(5, "a"), group(5, "b", train_step=1.4)
    assert diff(base, new).exceeds(0.1)
    assert not diff(base, new).exceeds(0.4)
    assert not diff(new, base).exceeds(0)
    assert diff(new, base).verdict == "shorter"


def test_one_run_gone_wrong_raises_no_alarm_and_is_named() -> None:
    wrong = one_run(9, "b", 0.03, {"train.step": 5.0}, "wrong")
    found = diff(group(5, "a"), [group(5, "b"), wrong])
    assert found.difference_ns > 0.1 * found.base.makespan_ns
    assert (found.verdict, found.exceeds(0.1)) == ("noise", False)
    assert any("wrong9/01 of NEW took" in note for note in found.notes)


def test_other_arguments_make_no_other_program() -> None:
    assert diff(group(3, "a"), group(3, "b")).notes == ()


def test_without_any_noise_every_change_counts() -> None:
    found = diff(group(2, "a", 0.0), group(2, "b", 0.0, etl_load=1.01))
    assert found.verdict == "longer"
    assert parts_of(found)["etl.load"]["is_noise"] is False
    assert parts_of(found)["etl.clean"]["difference_ns"] == 0


def test_one_run_each_says_that_the_spread_is_unknown() -> None:
    found = diff(group(1, "a"), group(1, "b", train_step=1.5))
    assert (found.test, found.p_value, found.is_noise) == ("none", None, None)
    assert found.exceeds(0.1)
    assert any("Two more runs of each would tell" in note for note in found.notes)
    # Nothing is called noise: one run cannot tell.
    assert True not in found.by("function")["is_noise"].to_list()
    assert parts_of(found)["etl.clean"]["is_noise"] is None
    assert found.by("function")["p_value"].null_count() == found.by("function").height


def test_the_test_is_named_and_fits_the_groups() -> None:
    names = {sizes: Significance(*sizes).name for sizes in ((1, 1), (2, 2), (3, 3), (1, 5), (3, 4), (5, 5), (9, 9))}
    assert names[1, 1] == "none"
    assert {names[sizes] for sizes in ((2, 2), (3, 3), (1, 5))} == {"Student's t test"}
    assert names[3, 4] == "permutation test, all 35 relabelings"
    assert names[5, 5] == "permutation test, all 252 relabelings"
    assert names[9, 9] == "permutation test, 10,000 relabelings"


@pytest.mark.parametrize(
    ("base", "new", "expected"),
    [
        ([1, 2], [3, 4], 0.1056),  # t = 2.828, 2 degrees of freedom
        ([1, 2, 3], [4, 5, 6], 0.0213),  # t = 3.674, 4
        ([1], [2, 3], 0.3333),  # t = 1.732, 1
        ([1, 2], [3, 4, 5], 0.0577),  # t = 3.000, 3
    ],
)
def test_students_t_is_that_of_the_tables(base: list[float], new: list[float], expected: float) -> None:
    (p_value,) = Significance(len(base), len(new)).p_values(np.array([base + new], dtype=float))
    assert p_value == pytest.approx(expected, abs=2e-4)


def test_the_permutation_test_counts_relabelings() -> None:
    apart = np.array([[1.0, 2, 3, 4, 11, 12, 13, 14]])
    assert Significance(4, 4).p_values(apart) == [2 / math.comb(8, 4)]
    assert Significance(4, 4).p_values(apart * 0 + 5) == [1.0]
    mixed = np.array([[1.0, 2, 11, 12, 3, 4, 13, 14]])
    (p_value,) = Significance(4, 4).p_values(mixed)
    assert p_value is not None
    assert p_value > 0.5


# Other programs, other shapes


def test_functions_in_only_one_of_them_are_new_or_gone() -> None:
    base = table(
        span("d", 0, 100, name="ray.driver"), submit("s", 0, 5, "d"), run("r", 10, 60, "s", "t", function="f"),
        wait("w", 5, 65, "d", ["t"]), recorded=True,
    )  # fmt: skip
    new = table(
        span("d", 0, 140, name="ray.driver"), submit("s", 0, 5, "d"), run("r", 10, 100, "s", "t", function="g"),
        wait("w", 5, 105, "d", ["t"]), recorded=True,
    )  # fmt: skip
    found = diff(base, new)
    assert_adds_up(found)
    parts = parts_of(found)
    assert (parts["g"]["presence"], parts["(driver)"]["presence"]) == ("new", "both")
    assert parts["g"]["is_noise"] is False
    assert any("different programs" in note for note in found.notes)
    changed = {row["function"]: row for row in found.functions.iter_rows(named=True)}
    assert (changed["g"]["base_count"], changed["g"]["new_count"]) == (0, 1)
    assert changed["g"]["p50_difference_ns"] is None


def test_what_changed_off_the_path_is_told_apart() -> None:
    """
    driver |----- wait for slow ------|
    slow    |======================|
    aside   |====|                        then |==========|, and it did not matter
    """

    def program(aside: int) -> pl.DataFrame:
        return table(
            span("d", 0, 1000, name="ray.driver"),
            *(submit("s1", 0, 1, "d", function="slow"), run("r1", 5, 900, "s1", "t1", function="slow")),
            *(submit("s2", 1, 2, "d", function="aside"), run("r2", 6, aside, "s2", "t2", function="aside")),
            wait("w", 2, 905, "d", ["t1"]),
            recorded=True,
        )

    found = diff(program(100), program(400))
    assert found.verdict == "same"
    first = found.functions.row(0, named=True)
    assert (first["function"], first["p50_difference_ns"], first["path_difference_ns"]) == ("aside", 300, 0)


def test_jobs_without_tasks() -> None:
    found = diff(table(span("a", 0, 100)), table(span("a", 0, 150)))
    assert (found.difference_ns, found.growth) == (50, 0.5)
    assert found.functions.is_empty()
    assert_adds_up(found)
    nothing = diff(table(span("a", 5, 5)), table(span("a", 0, 150)))
    assert (nothing.difference_ns, nothing.growth) == (150, None)
    assert nothing.exceeds(0.1)
    assert_adds_up(nothing)


def test_jobs_are_chosen_on_each_side() -> None:
    two = table(
        span("a", 0, 100, trace_id="1", job_id="01"), span("b", 500, 700, trace_id="2", job_id="02"),
        span("c", 0, 1000, trace_id="3", job_id=None, pid=3, source="other"),
    )  # fmt: skip
    assert diff(two, two).base.count == 2
    assert diff(two, two, job=("01", "02")).difference_ns == 100
    assert diff(two, two, job="s/02").difference_ns == 0
    with pytest.raises(rt.UsageError, match=r"no job '03' in NEW; there is .*s/01, s/02"):
        diff(two, two, job=("01", "03"))
    with pytest.raises(rt.NoSpansError, match="BASE"):
        diff(two.clear(), two)
    with pytest.raises(rt.UsageError, match="there is no group 'node'"):
        diff(two, two).by("node")


@pytest.mark.parametrize("program", ["map_reduce", "wait_loop", "failures"])
def test_captures_of_one_program_by_two_hooks(program: str) -> None:
    ours, stock = (read_spans(SAMPLES / f"{program}-{hook}" / "spans") for hook in ("ours", "stock"))
    found = diff(ours, stock)
    assert_adds_up(found)
    assert any("waits are recorded in BASE" in note for note in found.notes)
    assert (found.base.makespan_ns, found.new.makespan_ns) == tuple(
        rt.critical_path(spans).makespan_ns for spans in (ours, stock)
    )


def test_programs_are_told_apart_behind_their_interpreter() -> None:
    driver = {"name": "ray.driver", "category": "driver"}
    runs = [
        table(
            span("d", 0, 10, session=program, attributes=f'{{"raytrace.entrypoint": "python {program} {n}"}}', **driver)
        )
        for n, program in enumerate(["a.py", "b.py"])
    ]
    notes = diff(pl.concat(runs), runs[0]).notes
    assert any("BASE holds runs of different programs (a.py, b.py)" in note for note in notes)


def test_captures_of_different_programs() -> None:
    everything = read_spans(SAMPLES)
    found = diff(everything, read_spans(OURS))
    assert_adds_up(found)
    assert found.base.count == rt.jobs(everything).height >= len(list(SAMPLES.glob("*/truth.json")))
    assert any("BASE holds runs of different programs" in note for note in found.notes)
    assert parts_of(found)["__main__.convert"]["presence"] == "gone"


# The command


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("groups")
    # Of which train.step is about 60 %, so that 20 % in it are more than 10 % of the whole.
    tables = {
        "base": group(4, "a", etl_load=0.1),
        "same": group(4, "b", etl_load=0.1),
        "slow": group(4, "c", etl_load=0.1, train_step=1.2),
    }
    for name, spans in tables.items():
        write_table(spans, place / f"{name}.parquet")
    (place / "nothing").mkdir()
    return place


def gate(folder: Path, new: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return cli("diff", "base.parquet", new, *arguments, cwd=folder)


def test_the_gate_fails_on_a_true_change(folder: Path) -> None:
    done = gate(folder, "slow.parquet", "--fail-over", "10%")
    assert done.returncode == 1
    assert "gate failed" in done.stderr
    first = done.stdout.splitlines()[0]
    assert first.startswith("NEW takes ")
    assert "longer than BASE: train.step explains " in first
    assert "permutation test, all 70 relabelings" in done.stdout
    assert "noise" in done.stdout


def chain(number: int, side: str, functions: str, slower: float) -> pl.DataFrame:
    """A driver that does one task after the other: `b` takes 1,000 times `slower`, `a` 500, up to 2 % more or less."""
    draw = random.Random(f"{side} {number}")
    now, rows = 0, []
    for index, function in enumerate(functions):
        task, took = f"{side}{number}-{index}", {"a": 500, "b": int(1000 * slower)}[function]
        end = now + 2 + int(took * draw.uniform(0.98, 1.02))
        rows.append(submit(f"s{task}", now, now + 1, f"d{number}", function=function))
        rows.append(run(f"r{task}", now + 2, end, f"s{task}", task, function=function))
        rows.append(wait(f"w{task}", now + 1, end + 1, f"d{number}", [task]))
        now = end + 1
    named = [{**row, "session": f"{side}{number}", "trace_id": f"{side}{number}"} for row in rows]
    driver = span(f"d{number}", 0, now, name="ray.driver", session=f"{side}{number}", trace_id=f"{side}{number}")
    return table(driver, *named, recorded=True)


def test_where_the_path_changes_from_run_to_run_the_runs_tell_who_it_was() -> None:
    base = pl.concat([chain(number, "base", kind, 1.0) for number, kind in enumerate(("aab", "bb", "aab", "bb", "bb"))])
    new = pl.concat([chain(number, "new", kind, 1.4) for number, kind in enumerate(("bb", "aab", "aab", "bb", "aab"))])
    found = diff(base, new)
    assert found.verdict == "longer"
    assert found.by("function")["is_noise"].all()
    assert re.search(r": b explains [^,]+ of it\.$", answer(found))


def test_the_gate_lets_noise_pass(folder: Path) -> None:
    done = gate(folder, "same.parquet", "--fail-over", "0")
    assert (done.returncode, "gate passed" in done.stderr) == (0, True)
    assert "no difference beyond the run-to-run spread (permutation test" in " ".join(done.stdout.split())
    assert gate(folder, "slow.parquet", "--fail-over", "50").returncode == 0
    assert gate(folder, "slow.parquet").returncode == 0


def test_a_wrong_percentage_is_wrong_usage(folder: Path) -> None:
    done = gate(folder, "same.parquet", "--fail-over=0.2")
    assert done.returncode == 2
    assert done.stderr.startswith("raytrace-analyze: --fail-over")
    assert done.stdout == ""


def test_exit_codes_of_bad_input(folder: Path, tmp_path: Path) -> None:
    assert gate(folder, "nowhere.parquet").returncode == 2
    assert gate(folder, "nothing").returncode == 3
    assert gate(folder, "same.parquet", "--job", "77").returncode == 2
    assert gate(folder, "same.parquet", *["--job", "01"] * 3).returncode == 2
    damaged = tmp_path / "damaged.txt"
    lines = max(STOCK.iterdir(), key=lambda file: file.stat().st_size).read_bytes().splitlines(keepends=True)
    damaged.write_bytes(lines[0] + lines[1][:200] + b"\n" + b"".join(lines[2:]))
    done = cli("diff", damaged, OURS)
    assert done.returncode == 4
    assert "damaged record" in done.stderr
    assert "NEW takes" in done.stdout


def test_json_says_all_of_it_and_adds_up(folder: Path) -> None:
    done = gate(folder, "slow.parquet", "--format", "json", "--by", "cause")
    found = json.loads(done.stdout)
    assert found["schema_version"] == 1
    assert found["verdict"] == "longer"
    assert found["difference_ns"] == found["new"]["makespan_ns"] - found["base"]["makespan_ns"]
    for breakdown in ("by_function", "by_cause", "parts"):
        assert sum(row["difference_ns"] for row in found[breakdown]) == found["difference_ns"]
    assert len(found["base"]["runs"]) == 4
    assert {row["function"] for row in found["functions"]} == set(STAGES)


def test_csv_and_raw_span_files(folder: Path) -> None:
    done = cli("diff", OURS, STOCK, "--format", "csv", "--by", "category")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].startswith("category,base_ns,new_ns,difference_ns")
    assert cli("diff", OURS, STOCK).stdout.startswith("NEW takes ")


def test_the_function_is_what_the_package_gives() -> None:
    assert callable(rt.diff)
    assert rt.diff is diff


def test_the_library_example_of_the_docs_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (SAMPLES.parent / "docs" / "diff.md").read_text(), re.DOTALL)
    exec(code.replace('"runs/main"', repr(str(OURS))).replace('"runs/branch"', repr(str(STOCK))), {})
    assert capsys.readouterr().out.startswith("shorter ")


def test_task_events_tell_the_causes_of_queues() -> None:
    found = rt.load([OURS])
    compared = diff(found.spans, found.spans, found.task_events, found.task_events)
    assert_zero(compared)
    path = rt.critical_path(found.spans, found.task_events)
    by_cause = compared.by("cause").select("cause", total_ns="base_ns").sort("cause")
    assert by_cause.equals(path.by("cause").select("cause", "total_ns").sort("cause"))
    with pytest.raises(rt.UsageError, match="do not go together"):
        diff(found.spans, found.spans, [found.task_events] * 2)
