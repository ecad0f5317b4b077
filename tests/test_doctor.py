"""`doctor` finds what keeps tracing from working, and what is missing from a record; ends with 1 where it matters."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import raytrace_analyze as rt
from raytrace_analyze.cli import app
from raytrace_analyze.diagnosis.checks import Check, Level
from raytrace_analyze.diagnosis.environment import check_directory, check_ray, check_variables
from raytrace_analyze.diagnosis.ray_versions import lacks
from raytrace_analyze.views.doctor.doctor_words import words
from raytrace_analyze.views.spans_read.evidence_view import evidence_sentences
from tests.real_ray import OPEN_CLUSTER, cluster

SAMPLES = Path(__file__).parent.parent / "sample_spans"
OLD_HOOK = """
from opentelemetry import trace
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleExportSpanProcessor
def setup_tracing():
    trace.get_tracer_provider().add_span_processor(SimpleExportSpanProcessor(ConsoleSpanExporter()))
"""


def doctor(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


def levels(*paths: str | Path) -> dict[Check, Level]:
    return {finding.check: finding.level for finding in rt.doctor([*paths]).findings}


def test_a_whole_record_of_ours_is_fine() -> None:
    done = doctor(SAMPLES / "map_reduce-ours" / "spans")
    assert done.exit_code == 0, done.output
    assert set(levels(SAMPLES / "map_reduce-ours" / "spans").values()) == {Level.FINE}


@pytest.mark.parametrize("hook", ["stock", "doc-old"])
def test_another_hook_is_a_note_that_says_how_to_use_ours(hook: str) -> None:
    found = levels(SAMPLES / f"map_reduce-{hook}" / "spans")
    assert found[Check.OTHER_HOOK] is found[Check.TASK_EVENTS] is Level.NOTE
    shown = doctor(SAMPLES / f"map_reduce-{hook}" / "spans")
    assert shown.exit_code == 0
    said = " ".join(shown.output.split())
    assert "of another hook than ours" in said and "raytrace_hook:setup_tracing" in said


def test_what_is_missing_is_serious(tmp_path: Path) -> None:
    spans = Path(shutil.copytree(SAMPLES / "map_reduce-ours" / "spans", tmp_path / "spans"))
    next(file for file in sorted(spans.glob("*.jsonl")) if "remote_worker" in file.read_text()).unlink()
    assert levels(spans)[Check.MISSING_RUNS] is Level.SERIOUS
    done = doctor(spans, "--format", "json")
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document["is_serious"]
    (row,) = [row for row in document["findings"] if row["level"] == "serious"]
    assert row["check"] == "missing runs" and row["do"] and row["facts"]["runs"] > 0


def test_what_is_missing_may_be_what_is_cut_off(tmp_path: Path) -> None:
    spans = Path(shutil.copytree(SAMPLES / "map_reduce-ours" / "spans", tmp_path / "spans"))
    driver = next(file for file in sorted(spans.glob("*.jsonl")) if '"ray.driver"' in file.read_text())
    whole = driver.read_bytes()
    driver.write_bytes(whole[:-60])
    assert levels(spans)[Check.CUT] is Level.NOTE
    said = " ".join(doctor(spans).output.split())
    assert said.count("the record that is cut off or damaged here may be what is missing; if not, fetch") == 2
    assert "are missing: fetch" not in said
    rests_on = rt.evidence(rt.load(spans))
    assert "The files of who called them are missing" not in " ".join(evidence_sentences(rests_on))
    # Where no record is broken, it is the files that are missing.
    driver.unlink()
    said = " ".join(doctor(spans).output.split())
    assert "the files of who called them are missing: fetch" in said and "may be what is missing" not in said
    assert "The files of who called them are missing" in " ".join(evidence_sentences(rt.evidence(rt.load(spans))))


def test_nothing_recorded_is_serious(tmp_path: Path) -> None:
    assert levels(tmp_path)[Check.SPANS] is Level.SERIOUS
    assert doctor(tmp_path).exit_code == 1


def test_the_old_documentations_hook_and_the_hooks_own_words_are_found_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "my_hook.py").write_text(OLD_HOOK)
    said = "raytrace: tracing could not be set up, the program goes on without (OSError: /x is a link)"
    (tmp_path / "worker-1.err").write_text(f"2026 WARNING {said}\n" * 3)
    (tmp_path / "pipe.log").symlink_to("/dev/zero")
    found = rt.doctor(tmp_path).findings
    (old,) = (each for each in found if each.check is Check.OLD_HOOK)
    (failed,) = (each for each in found if each.check is Check.HOOK_FAILED)
    assert old.level is failed.level is Level.SERIOUS
    assert str(tmp_path / "my_hook.py") in words(old)[0] and "SimpleSpanProcessor" in words(old)[1]
    assert "/x is a link" in words(failed)[0]


def test_the_folder_is_looked_at_as_the_hook_does(tmp_path: Path) -> None:
    own, open_to_all, file, link = (tmp_path / name for name in ("own", "open", "file", "link"))
    own.mkdir(0o700)
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    file.touch()
    link.symlink_to(own)
    problems = {path: check_directory(path).facts["problem"] for path in (own, own / "new", open_to_all, file, link)}
    assert problems == {
        own: None,
        own / "new": None,
        open_to_all: "everybody may write",
        file: "no folder",
        link: "link",
    }
    assert check_directory(Path(f"{link}/")).facts["problem"] == "link"


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, []),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, []),
        ({"OTEL_SDK_DISABLED": "true"}, [(Check.SDK_OFF, Level.SERIOUS)]),
        ({"OTEL_TRACES_SAMPLER": "traceidratio"}, [(Check.SAMPLING, Level.NOTE)]),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, [(Check.SAMPLING, Level.SERIOUS)]),
        ({"RAYTRACE_WAITS": "0"}, [(Check.SETTINGS, Level.NOTE)]),
    ],
)
def test_variables_that_keep_spans_back(variables: dict[str, str], found: list[tuple[Check, Level]]) -> None:
    assert [(each.check, each.level) for each in check_variables(variables)] == found


def test_what_a_version_of_ray_lacks() -> None:
    assert lacks((2, 4)) == ["too old"] and lacks((2, 9)) == ["states"] and lacks((2, 30)) == []
    (old,) = check_ray("2.4.0")
    assert old.level is Level.SERIOUS and "Ray 2.9 or newer" in words(old)[1]
    assert list(check_ray(None)) == list(check_ray("nightly")) == []


def test_every_check_has_its_words() -> None:
    from raytrace_analyze.views.doctor import doctor_words

    assert set(doctor_words._WORDS_OF) == set(Check)


@pytest.fixture
def open_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OPEN_CLUSTER.items():
        monkeypatch.setenv(name, value)


@pytest.mark.ray
@pytest.mark.usefixtures("open_cluster")
def test_a_cluster_with_the_hook_is_fine(tmp_path: Path) -> None:
    spans = tmp_path / "spans"
    spans.mkdir(0o700)
    hook = ["--tracing-startup-hook", "raytrace_hook:setup_tracing"]
    with cluster(tmp_path, hook, RAYTRACE_DIR=str(spans), OTEL_TRACES_SAMPLER="always_on") as address:
        done = doctor("--address", address, "--format", "json")
    found = {row["check"]: row["level"] for row in json.loads(done.stdout)["findings"]}
    assert done.exit_code == 0, done.output
    assert found["tracing on"] == found["workers"] == found["cluster"] == "fine"


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.usefixtures("open_cluster")
def test_a_cluster_with_the_old_documentations_hook_says_so(tmp_path: Path) -> None:
    (tmp_path / "my_old_hook.py").write_text(OLD_HOOK)
    hook = ["--tracing-startup-hook", "my_old_hook:setup_tracing"]
    path = f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}"
    with cluster(tmp_path, hook, PYTHONPATH=path) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        done = doctor("--address", address)
    assert done.exit_code == 1
    assert "SimpleExportSpanProcessor" in done.output and "use SimpleSpanProcessor" in done.output


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("open_cluster")
def test_a_cluster_without_tracing_says_how_to_switch_it_on(tmp_path: Path) -> None:
    with cluster(tmp_path, []) as address:
        done = doctor("--address", address)
    assert done.exit_code == 1
    assert "started without tracing" in done.output and "record --address" in done.output


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("open_cluster")
def test_a_cluster_whose_hook_fails_says_that(tmp_path: Path) -> None:
    (tmp_path / "my_hook.py").write_text("def setup_tracing():\n    raise RuntimeError('no such backend')\n")
    path = f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}"
    hook = ["--tracing-startup-hook", "my_hook:setup_tracing"]
    with cluster(tmp_path, hook, PYTHONPATH=path) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        done = doctor("--address", address)
    assert done.exit_code == 1
    said = " ".join(done.output.split())
    assert "hook my_hook:setup_tracing fails here" in said and "no such backend" in said
    assert "cannot be reached" not in said


NODE = {"node_id": "a", "host": "host-a", "error": None, "took_ns": 1000, "offset_ns": 0, "is_traced": True}
NODE |= {"is_ours": True, "directory": "/data/spans", "directory_error": None, "free_bytes": 10**12, "variables": {}}
NODE |= {"versions": {"ray": "2.60.0", "opentelemetry-sdk": "1", "raytrace-hook": "1"}, "serve_exporter": ""}


@pytest.mark.parametrize(
    ("seen", "code", "says"),
    [
        ({}, 0, "The hook runs in workers on 2 nodes"),
        ({"free_bytes": 5000}, 1, "On host-b nothing can be written: /data/spans has next to no room left"),
        ({"directory_error": "No space left"}, 1, "On host-b nothing can be written: No space left"),
        ({"offset_ns": 10**9}, 0, "The clock of host-b is 1.00 s ahead"),
        ({"is_traced": False, "is_ours": False}, 1, "Workers on host-b do not record: tracing is off there"),
        ({"is_ours": False}, 1, "Workers on host-b do not record: the hook did not set itself up there"),
        ({"error": "WorkerCrashedError: x"}, 1, "Workers on host-b do not record: WorkerCrashedError"),
        ({"versions": NODE["versions"] | {"raytrace-hook": None}}, 0, "different versions of raytrace-hook: 1, none"),
        ({"variables": {"OTEL_TRACES_SAMPLER": "traceidratio"}}, 0, "OTEL_TRACES_SAMPLER is set (traceidratio)"),
        ({"variables": {"OTEL_SDK_DISABLED": "true"}}, 1, "OTEL_SDK_DISABLED is set"),
    ],
)
def test_what_is_wrong_on_one_node_of_a_cluster_is_told(
    seen: dict[str, Any], code: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [NODE, NODE | {"host": "host-b"} | seen]
    answer = {"error": None, "hook": "raytrace_hook:setup_tracing", "serves": False, "nodes": nodes}
    monkeypatch.setattr("raytrace_analyze.diagnosis.cluster._probe", lambda _: answer)
    done = doctor("--address", "ray://x")
    assert (done.exit_code, says in " ".join(done.output.split())) == (code, True), done.output


def test_a_worker_that_cannot_write_says_so(tmp_path: Path) -> None:
    program = "from raytrace_analyze.ray_programs.cluster_probe import look_around as look; print(look()['%s'])"
    for limit, told in ((resource.RLIM_INFINITY, "None"), (1000, "File too large")):
        done = subprocess.run(
            [sys.executable, "-c", program % "directory_error"],
            env={**os.environ, "RAYTRACE_DIR": str(tmp_path / "spans")},
            preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
            capture_output=True,
            text=True,
            check=True,
        )
        assert told in done.stdout
        assert list((tmp_path / "spans").iterdir()) == []


def test_a_cluster_that_is_not_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.Popen", None)  # without asking Ray, which tries it for minutes
    done = doctor("--address", "127.0.0.1:1")
    assert done.exit_code == 1 and "127.0.0.1:1 cannot be reached: [Errno" in done.output
