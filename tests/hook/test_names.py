"""The names that hook and analyser must agree on: each has them in one place of its own."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import ModuleType

from raytrace_hook import names

from raytrace_analyze.names import attributes
from raytrace_analyze.names import spans as span_names

ROOT = Path(__file__).parents[2]
CONTRACT = {
    # The resource.
    "raytrace.records_waits",
    "raytrace.session",
    # Submits.
    "raytrace.submitted_task_id",
    "raytrace.dependency_task_ids",
    "raytrace.resources",
    "raytrace.placement_resources",
    "raytrace.argument_bytes",
    "raytrace.put_arguments",
    "raytrace.call_site",
    # Runs.
    "raytrace.attempt",
    "raytrace.concurrent",
    "raytrace.actor_name",
    "raytrace.cancelled",
    "raytrace.concurrency_group",
    "raytrace.max_concurrency",
    "raytrace.item_ready",
    "raytrace.cpu_ns",
    "raytrace.stacks",
    "raytrace.busy",
    "raytrace.idle",
    # Waits and puts.
    "raytrace.ready_task_ids",
    "raytrace.awaited_count",
    "raytrace.awaited_task_ids",
    "raytrace.awaited",
    "raytrace.item",
    "raytrace.polls",
    "raytrace.timed_out",
    "raytrace.put_bytes",
    # What ended a task; the driver.
    "raytrace.target_task_id",
    "raytrace.entrypoint",
}
"""What the public contract names: the hook may write it, the analyser may read it."""
ALSO_WRITTEN = {
    "raytrace.lost_spans",
    "raytrace.short_waits",
    "raytrace.alive",
    "raytrace.task_name",
    "raytrace.sampler",
    "raytrace.not_recorded",
    "raytrace.library",
    "raytrace.code_bytes",
}
ALSO_WRITTEN |= {
    "raytrace.cluster_resources",
    "raytrace.lost_because",
    "raytrace.process_cpu_ns",
    "raytrace.cpu_delay_ns",
    "raytrace.sampled_times",
    "raytrace.loops",
    "raytrace.held_by",
}
ALSO_WRITTEN |= {"raytrace.caller_job_id", "raytrace.on_event_loop", "raytrace.items", "raytrace.answered_ns"}
ALSO_WRITTEN |= {"raytrace.sent", "raytrace.batch_size", "raytrace.max_batch_size", "raytrace.model"}
ALSO_WRITTEN |= {"raytrace.loop_ns", "raytrace.loop_idle_ns", "raytrace.handler_cpu_ns"}
ALSO_WRITTEN |= {"raytrace.rank", "raytrace.world_size", "raytrace.experiment", "raytrace.report"}
ALSO_WRITTEN |= {
    "raytrace.placement_group_id",
    "raytrace.placement_group_resources",
    "raytrace.has_checkpoint",
    "raytrace.trial",
    "raytrace.parameters",
    "raytrace.step",
}
ALSO_WRITTEN |= {f"raytrace.{name}" for name in ("operator", "operator_name", "operator_index", "operator_metrics")}
ALSO_WRITTEN |= {f"raytrace.{name}" for name in ("execution", "dataset", "outcome", "began_ns", "back_pressure")}
"""What the hook's README tells besides."""
NOT_ATTRIBUTES = {
    f"raytrace.{name}"
    for name in ("schema_version", "table", "inputs", "problems", "checksum", "times", "path_attributes", "toml")
}
"""Keys of the analyser's own Parquet files, and the name of the file with its defaults."""
SPAN_NAMES = {"ray.driver", "ray.get", "ray.wait", "ray.put", "ray.next", "await"}
SPAN_NAMES |= {"ray.data.operator", "ray.delivery", "back-pressure", "ray.cancel", "ray.kill"}
SPAN_NAMES |= {
    "placement_group.wait",
    "placement_group.remove",
    "step",
    "ray.train.report",
    "ray.train.checkpoint",
    "ray.train.batch",
}
SPAN_NAMES |= {"ray.serve.batch_fill", "ray.serve.batch_turn", "ray.serve.load_model"}
SPAN_NAMES |= {"ray.tune.trial", "ray.tune.suggest", "ray.tune.scheduler", "ray.tune.callbacks"}
NAME = re.compile(r"raytrace\.[a-z_]+")


def written() -> set[str]:
    return set(constants(names))


def read() -> set[str]:
    return set(constants(attributes))


def named_in(package: str) -> list[str]:
    """The modules in which the name of an attribute stands in a literal, whole or within another text."""
    return [
        str(file.relative_to(ROOT))
        for file in sorted((ROOT / package).rglob("*.py"))
        if any(set(NAME.findall(text)) - NOT_ATTRIBUTES for text in literals(file))
    ]


def literals(file: Path) -> list[str]:
    """The texts (and bytes) in a module's code, docstrings left out."""
    tree = ast.parse(file.read_text("utf-8"))
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in told]
    return [
        value if isinstance(value, str) else value.decode("latin-1")
        for value in values
        if isinstance(value, str | bytes)
    ]


def test_the_hook_writes_what_the_contract_names_and_nothing_unknown() -> None:
    assert written() <= CONTRACT | ALSO_WRITTEN


def test_the_hook_has_its_names_in_one_place() -> None:
    assert named_in("hook/raytrace_hook") == ["hook/raytrace_hook/names.py"]


def test_the_analyser_has_its_names_in_one_place() -> None:
    assert named_in("raytrace_analyze") == ["raytrace_analyze/names/attributes.py"]


def test_the_analyser_has_names_of_spans_in_one_place() -> None:
    texts = {name: value for name, value in vars(span_names).items() if isinstance(value, str)}
    names = [value for name, value in texts.items() if name.isupper() and "ray." in value]
    literal = re.compile("|".join(rf"""["']{re.escape(name)}["']""" for name in names))
    files = [path for path in (ROOT / "raytrace_analyze").rglob("*.py") if literal.search(path.read_text())]
    assert [str(path.relative_to(ROOT)) for path in files] == ["raytrace_analyze/names/spans.py"]


def test_the_analyser_reads_only_what_the_hook_writes_or_the_contract_names() -> None:
    assert "raytrace.ready_task_ids" in read() & written()
    assert read() <= written() | CONTRACT


def test_a_name_is_the_same_constant_in_both() -> None:
    ours, theirs = constants(attributes), constants(names)
    both = ours.keys() & theirs.keys()
    assert len(both) > 10
    assert {value: ours[value] for value in both} == {value: theirs[value] for value in both}


def constants(module: ModuleType) -> dict[str, str]:
    return {value: name for name, value in vars(module).items() if isinstance(value, str) and NAME.fullmatch(value)}


def test_every_name_is_documented() -> None:
    readme = (ROOT / "hook" / "README.md").read_text("utf-8")
    assert [name for name in sorted(written()) if f"`{name}`" not in readme] == []


def test_spans_of_the_hooks_own_have_the_names_of_the_contract() -> None:
    own = {value for name, value in vars(names).items() if name.endswith("_SPAN")}
    assert own == SPAN_NAMES
