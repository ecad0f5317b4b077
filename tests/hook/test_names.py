"""The names that hook and analyser must agree on: each has them in one place of its own."""

from __future__ import annotations

import re
from pathlib import Path

from raytrace_hook import names

ROOT = Path(__file__).parents[2]
CONTRACT = {
    "raytrace.records_waits",
    "raytrace.session",
    "raytrace.submitted_task_id",
    "raytrace.dependency_task_ids",
    "raytrace.resources",
    "raytrace.attempt",
    "raytrace.concurrent",
    "raytrace.actor_name",
    "raytrace.cancelled",
    "raytrace.ready_task_ids",
    "raytrace.awaited_count",
    "raytrace.put_bytes",
    "raytrace.entrypoint",
    "raytrace.cpu_ns",
    "raytrace.stacks",
    "raytrace.idle",
}
"""What users may rely on."""
ALSO_WRITTEN = {"raytrace.lost_spans", "raytrace.short_waits", "raytrace.alive", "raytrace.task_name"}
ALSO_WRITTEN |= {"raytrace.call_site", "raytrace.cluster_resources", "raytrace.lost_because", "raytrace.process_cpu_ns"}
ALSO_WRITTEN |= {"raytrace.caller_job_id"}
"""What the hook's README tells besides."""
NOT_ATTRIBUTES = {"raytrace.schema_version", "raytrace.table"}
"""Keys of the analyser's own Parquet files."""
SPAN_NAMES = {"ray.driver", "ray.get", "ray.wait", "ray.put", "ray.next", "await"}
QUOTED = re.compile(r"""["'](raytrace\.[a-z_]+)["']""")


def written() -> set[str]:
    values = {value for value in vars(names).values() if isinstance(value, str)}
    return {value for value in values if re.fullmatch(r"raytrace\.[a-z_]+", value)}


def quoted_in(package: str) -> dict[str, set[str]]:
    return {
        str(file.relative_to(ROOT)): found
        for file in sorted((ROOT / package).rglob("*.py"))
        if (found := set(QUOTED.findall(file.read_text("utf-8"))) - NOT_ATTRIBUTES)
    }


def test_the_hook_writes_what_the_contract_names_and_nothing_unknown() -> None:
    assert written() == CONTRACT | ALSO_WRITTEN


def test_the_hook_has_its_names_in_one_place() -> None:
    assert list(quoted_in("hook/raytrace_hook")) == ["hook/raytrace_hook/names.py"]


def test_the_analyser_reads_only_what_the_hook_writes() -> None:
    read = quoted_in("raytrace_analyze")
    assert {name for found in read.values() for name in found} <= written()
    assert "raytrace.ready_task_ids" in read["raytrace_analyze/decode/record.py"]


def test_every_name_is_documented() -> None:
    readme = (ROOT / "hook" / "README.md").read_text("utf-8")
    assert [name for name in sorted(written()) if f"`{name}`" not in readme] == []


def test_spans_of_the_hooks_own_have_the_names_of_the_contract() -> None:
    own = {value for name, value in vars(names).items() if name.endswith("_SPAN")}
    assert own == SPAN_NAMES
