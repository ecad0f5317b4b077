"""What a click on a span shows: its ids and all its attributes, packed in blocks that are unpacked when looked at."""

from typing import Any

import polars as pl

from raytrace_analyze.names.attributes import json_of
from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.packing import pack_texts
from raytrace_analyze.text.units import count_text

BLOCK = 256
"""How many spans are packed together."""
_BUDGET = 900_000
"""How many characters all blocks together may take; what is on the path, failed or slow goes first."""
_LONGEST = 4_000
"""Characters of one value."""
_IDS = (
    *("trace_id", "span_id", "parent_id", "kind", "status", "status_message", "task_id", "submitted_task_id"),
    *("actor_id", "node_id", "worker_id", "host", "pid", "attempt", "error_type", "source"),
)


def details(facts: ReportFacts, frame: pl.DataFrame) -> dict[str, Any]:
    """Pack the details of the drawn spans (columns of `drawn_spans.DRAWN`).

    Gives `order` (by place in the blocks the position of the span), `block` and `blocks`. Spans without are those
    that had no room.
    """
    ranked = (
        frame.with_row_index("position")
        .filter(pl.col("row").is_not_null())
        .sort("on_path", "is_error", pl.col("end_ns") - pl.col("start_ns"), descending=True, maintain_order=True)
    )
    rows = facts.trace.spans.select(*_IDS, "attributes", "resource", "events", "links")
    resources: dict[str | None, int] = {}
    blocks: list[str] = []
    order: list[int] = []
    room = _BUDGET
    for part in ranked.select("position", "row").iter_slices(BLOCK):
        texts = [_about(row, resources) for row in rows[part.get_column("row")].iter_rows(named=True)]
        (block,) = pack_texts(texts, BLOCK)
        room -= len(block)
        if room < 0:
            break
        blocks.append(block)
        order += part.get_column("position").to_list()
    return {
        "order": order if len(order) < frame.height or order != sorted(order) else None,
        "block": BLOCK,
        "blocks": blocks,
        "resources": [_resource(text) for text in resources],
        "missing": _missing(frame.height - len(order)),
    }


def _about(row: dict[str, Any], resources: dict[str | None, int]) -> dict[str, Any]:
    known: dict[str, Any] = {name: row[name] for name in _IDS if row[name] is not None and row[name] != ""}
    known["r"] = resources.setdefault(row["resource"], len(resources))
    known["a"] = {str(key): _shortened(value) for key, value in json_of(row["attributes"], {}).items()}
    if events := json_of(row["events"], []):
        known["e"] = _shortened(events)
    if links := json_of(row["links"], []):
        known["l"] = _shortened(links)
    return known


def _resource(text: str | None) -> dict[str, Any]:
    resource: dict[str, Any] = json_of(text, {})
    nested = resource.get("attributes")
    return nested if isinstance(nested, dict) else resource


def _shortened(value: Any) -> str:
    """Write a value as one text; of a long one the beginning, and how much there is."""
    import json

    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ... ({len(text):,} characters)"


def _missing(spans: int) -> str | None:
    if not spans:
        return None
    return (
        f"this page has no room for the attributes of {count_text(spans, 'span')}: those on the path, failed or slow "
        "have theirs; the span table has all"
    )
