"""How the hook is switched on, what it adds to, and what the settings change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .reader import PROGRAMS, Run, run_program

pytestmark = pytest.mark.ray


def compose(how: str, directory: Path, **settings: str) -> Run:
    run = run_program(
        "composing.py", directory, how, PYTHONPATH=f"{PROGRAMS}{os.pathsep}{os.environ['PYTHONPATH']}", **settings
    )
    assert run.code == 0, run.errors
    return run


def test_without_waits_the_spans_are_exactly_the_stock_set(tmp_path: Path) -> None:
    run = compose("plain", tmp_path, RAYTRACE_WAITS="0")
    names = sorted(span.name for span in run.recording.spans)
    assert names == sorted(
        [
            "__main__.work ray.remote",
            "__main__.work ray.remote_worker",
            "custom",
            "last",
            "main.<locals>.Counter.__init__ ray.remote",
            "Counter.__init__ ray.remote_worker",
            *["main.<locals>.Counter.add ray.remote"] * 4,
            *["Counter.add ray.remote_worker"] * 4,
        ]
    )
    assert all(span.resource["raytrace.records_waits"] is False for span in run.recording.spans)
    assert run.recording.one("custom").trace_id == run.recording.one("__main__.work ray.remote_worker").trace_id


def test_an_existing_provider_is_extended(tmp_path: Path) -> None:
    run = compose("existing", tmp_path)
    assert run.output == "1\n"  # its own processor still gets each span, once
    assert run.recording.driver()
    assert len(run.recording.runs("__main__.work")) == 1


def test_setting_up_before_ray_is_loaded_works_as_well(tmp_path: Path) -> None:
    recording = compose("early", tmp_path).recording
    assert recording.driver()
    assert recording.named("ray.get")
    assert len(recording.named("last")) == 1


def test_a_hook_of_the_users_own_adds_processors_and_resource_once(tmp_path: Path) -> None:
    run = compose("own", tmp_path)
    assert run.output == "1\n"
    assert {span.resource["team"] for span in run.recording.spans} == {"blue"}
    assert {span.resource["service.name"] for span in run.recording.spans} == {"mine"}
    assert len(run.recording.runs("Counter.add")) == 4


@pytest.fixture(scope="module")
def with_settings(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A program with many settings, which have nothing to do with each other."""
    return compose(
        "plain",
        tmp_path_factory.mktemp("settings") / "new" / "spans",
        RAYTRACE_MIN_WAIT_US="50000",
        RAYTRACE_INSTRUMENT="no_such_library",
        OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="60",
        OTEL_SERVICE_NAME="named",
        OTEL_RESOURCE_ATTRIBUTES="a=b",
    )


def test_waits_below_the_limit_are_counted_not_recorded(with_settings: Run) -> None:
    driver = with_settings.recording.driver()
    assert 20 <= driver.attributes["raytrace.short_waits"] <= 42  # 20 waits, 20 puts, perhaps a get
    assert with_settings.recording.named("ray.wait") == []


def test_opentelemetrys_own_settings_hold(with_settings: Run) -> None:
    spans = with_settings.recording.spans
    assert with_settings.recording.one("custom").attributes["long"] == "x" * 60
    assert {(span.resource["service.name"], span.resource["a"]) for span in spans} == {("named", "b")}


def test_unsampled_traces_leave_nothing(tmp_path: Path) -> None:
    run = compose("plain", tmp_path, OTEL_TRACES_SAMPLER="parentbased_always_off")
    assert run.recording.spans == run.recording.open == []


def test_a_directory_that_can_not_be_used_costs_the_spans_alone(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    run = compose("plain", link)
    assert "link is a link" in run.errors
    assert list(real.iterdir()) == []


def test_files_are_the_users_alone(with_settings: Run) -> None:
    directory = with_settings.directory
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in directory.iterdir()} == {0o600}
    assert with_settings.recording.spans


def test_a_missing_instrumentation_is_named(with_settings: Run) -> None:
    assert "install opentelemetry-instrumentation-no_such_library" in with_settings.errors
    assert with_settings.recording.driver()
