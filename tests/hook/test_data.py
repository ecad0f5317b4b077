"""Ray Data, whose operators all run the same function: the task's name tells them apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray

from .reader import run_program

pytest.importorskip("pyarrow", reason="Ray Data is not installed")
pytest.importorskip("pandas", reason="Ray Data is not installed")
pytestmark = pytest.mark.ray


@pytest.mark.skipif(
    ray.__version__.startswith(("2.9.", "2.40.")), reason="this Ray Data names no task after its operator"
)
def test_operators_are_named(tmp_path: Path) -> None:
    run = run_program("operating.py", tmp_path)
    assert run.output.endswith("\ndone\n"), run.errors
    runs = [span for span in run.recording.spans if span.name.endswith("._map_task ray.remote_worker")]
    assert "ReadRange->Map(double)" in {span.attributes.get("raytrace.task_name") for span in runs}
    # What an operator's task asks actors of Ray Data for, it waits for, though no code of the program stands there.
    asking = {span.parent_id for span in run.recording.spans if span.name.startswith("FooterReader.read_footers")}
    waits = {span.parent_id for span in run.recording.spans if span.name in ("ray.next", "ray.get")}
    assert {one.span_id for one in runs} & asking <= waits
