"""What belongs to which operator of Ray Data: its tasks, and what the hook told of it at the execution's end."""

from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.names import attributes
from raytrace_analyze.names.attributes import json_of, told
from raytrace_analyze.names.functions import MAP_WORKER, OPERATOR_TASKS, is_rays_own
from raytrace_analyze.names.spans import OPERATOR_SPAN
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.table.lineage import Flags, RowIds
from raytrace_analyze.values import frozen

_INPUT = "Input"
"""Ray Data's name of what only holds blocks that are there already."""
_METHOD = r"\.[a-z_]+$"
_CONTROL = r"\.(__init__|__ray_ready__|__ray_terminate__|get_location)$"
"""Methods of an operator's actors that do none of its work."""
_CREATION = r"\.__init__$"
_METRICS = {
    "rows_out": ("row_outputs_taken", "rows_task_outputs_generated", "rows_outputs_generated"),
    "bytes_out": ("bytes_outputs_taken", "bytes_task_outputs_generated", "bytes_outputs_generated"),
    "blocks_in": ("num_inputs_received",),
}
"""Ray Data's names of what it counts, in its versions, newest first."""

_TOLD = pl.Schema(
    {
        **dict.fromkeys(("session", "job_id", "operator_id", "dataset", "outcome", "operator", "held_by"), pl.String),
        **dict.fromkeys(("place", "began_ns", "ended_ns", *_METRICS), pl.Int64),
        **dict.fromkeys(("held_submission_ns", "held_output_ns"), pl.Int64),
    }
)


@frozen
class Operators:
    """Operators of Ray Data, and by row of the spans whose they are."""

    table: pl.DataFrame
    """By number: `session`, `job_id`, `operator`, and what the hook told of it, null where nothing is: `operator_id`,
    `execution`, `dataset`, `outcome`, `place` (in the pipeline), `began_ns` and `ended_ns` of the execution,
    `rows_out`, `bytes_out`, `blocks_in`, `held_submission_ns`, `held_output_ns` and `held_by`, the policy that held it
    longest.

    Where nothing tells of executions, all tasks of a job that are called alike are one operator, of execution null.
    """
    of_row: RowIds
    """By row: the number of the operator that a submit, a run or what is nested in a run belongs to; -1: none."""
    is_task: Flags
    """Runs that are an operator's tasks."""
    is_creation: Flags
    """Runs that create an actor of an operator."""


def find_operators(trace: PreparedTrace) -> Operators:
    """Find the operators in a trace."""
    spans, structure = trace.spans, trace.structure
    function = spans.get_column("function").fill_null("")
    owned = _owned(trace)
    known = _told(trace)
    groups = owned.group_by("session", "operator_id", "name").agg(
        pl.col("job_id", "function").drop_nulls().first().name.prefix("own_")
    )
    ids = groups.filter(pl.col("operator_id").is_not_null())
    without_word = ids.join(known, on=["session", "operator_id"], how="anti")
    nameless = groups.filter(pl.col("operator_id").is_null())
    table = (
        pl.concat(
            [
                known.filter(pl.col("operator") != _INPUT),
                pl.concat([without_word, nameless]).select(
                    "session", "operator_id", "name", job_id="own_job_id", operator=_operator_name("own_function")
                ),
            ],
            how="diagonal",
        )
        .with_columns(execution=pl.col("operator_id").str.split(".").list.first())
        .with_row_index("number")
    )
    keys = ["session", "operator_id", "name"]
    numbers = owned.join(table.select("number", *keys), on=keys, nulls_equal=True, how="inner")
    of_row = np.full(spans.height, -1, dtype=np.int64)
    of_row[numbers.get_column("row").to_numpy()] = numbers.get_column("number").to_numpy()
    of_operator = structure.is_run & (of_row >= 0)
    # An operator's code also calls Ray Data's own actors, as that which knows where actors are.
    own = spans.select(is_rays_own(pl.col("function")).fill_null(False)).to_series()
    is_control = (function.str.contains(_CONTROL) | own).to_numpy()
    return Operators(
        table=table.drop("number", "name"),
        of_row=of_row,
        is_task=of_operator & ~is_control,
        is_creation=of_operator & ~own.to_numpy() & function.str.contains(_CREATION).to_numpy(),
    )


def _owned(trace: PreparedTrace) -> pl.DataFrame:
    """Give the rows that belong to operators: `operator_id`, or where there is none the operator's `name`."""
    spans, structure = trace.spans, trace.structure
    rows = np.arange(spans.height)
    run = np.where(structure.is_run, rows, structure.run_above)
    submit = np.where(structure.is_submit, rows, np.where(run >= 0, structure.submit[run], -1))
    speaks = pl.Series(np.where(submit >= 0, submit, run))
    speaks = speaks.set(speaks < 0, None)
    about = spans.select(
        "function",
        operator_id=told(pl.col("attributes"), attributes.OPERATOR),
        is_data=(
            told(pl.col("attributes"), "ray.function").str.starts_with(OPERATOR_TASKS)
            | pl.col("function").str.starts_with(MAP_WORKER)
        ).fill_null(False),
    )
    owned = pl.DataFrame({"row": rows}).hstack(
        about.select(pl.all().gather(speaks)).hstack(spans.select("session", "job_id"))
    )
    return owned.filter(pl.col("operator_id").is_not_null() | pl.col("is_data")).with_columns(
        name=pl.when(pl.col("operator_id").is_null()).then(_operator_name("function"))
    )


def _operator_name(function: str) -> pl.Expr:
    """Name an operator by what its tasks are called: of an actor's methods all are one operator's."""
    name = pl.col(function)
    of_actor = name.str.extract(r"^MapWorker\((.*)\)\.[a-z_]+$")
    return pl.coalesce(of_actor, pl.when(name.str.starts_with(MAP_WORKER)).then(name.str.replace(_METHOD, "")), name)


def _told(trace: PreparedTrace) -> pl.DataFrame:
    """Read what the hook told of operators: columns of `_TOLD` and `name`, which is null."""
    found = trace.spans.filter(pl.col("name") == OPERATOR_SPAN)
    text = pl.col("attributes")
    number = {"place": attributes.OPERATOR_INDEX, "began_ns": attributes.BEGAN_NS}
    read = found.select(
        *("session", "job_id"),
        operator_id=told(text, attributes.OPERATOR),
        dataset=told(text, attributes.DATASET),
        outcome=told(text, attributes.OUTCOME),
        operator=told(text, attributes.OPERATOR_NAME),
        ended_ns=pl.col("end").dt.epoch("ns"),
        **{column: told(text, name).cast(pl.Int64, strict=False) for column, name in number.items()},
    )
    # A few rows an execution: JSON within JSON is read one by one.
    metrics = [json_of(each, {}) for each in told(found.get_column("attributes"), attributes.OPERATOR_METRICS)]
    held = [_held(each) for each in told(found.get_column("attributes"), attributes.BACK_PRESSURE)]
    counts = {
        column: [next((_whole(one[name]) for name in named if name in one), None) for one in metrics]
        for column, named in _METRICS.items()
    }
    more = pl.DataFrame(
        {**counts, **{column: [one[column] for one in held] for column in _NOT_HELD}},
        schema={column: _TOLD[column] for column in (*_METRICS, *_NOT_HELD)},
    )
    return read.hstack(more).select(_TOLD.names()).cast(_TOLD).with_columns(name=pl.lit(None, pl.String))


def not_taken(trace: PreparedTrace) -> pl.DataFrame:
    """Tell when nobody took the output of executions' last operators: `session`, `execution`, `start`, `end` (ns).

    What an operator in the middle gives the next one takes; what the last one gives, the program.
    """
    rows = (trace.spans.get_column("name") == OPERATOR_SPAN).arg_true()
    text = pl.col("attributes")
    last = (
        trace.spans.select("session", "attributes", shift=pl.Series(trace.clock_shift))[rows]
        .with_columns(
            execution=told(text, attributes.OPERATOR).str.split(".").list.first(),
            place=told(text, attributes.OPERATOR_INDEX).cast(pl.Int64, strict=False),
        )
        .filter(pl.col("place") == pl.col("place").max().over("session", "execution"))
        .select("session", "execution", "shift", held=told(text, attributes.BACK_PRESSURE))
    )
    found = [
        (session, execution, start + shift, end + shift)
        for session, execution, shift, text in last.iter_rows()
        for start, end in _stretches(json_of(text, {}))
    ]
    schema = {"session": pl.String, "execution": pl.String, "start": pl.Int64, "end": pl.Int64}
    return pl.DataFrame(found, schema=schema, orient="row")


def _stretches(held: Any) -> list[tuple[int, int]]:
    """Read when the output of an operator was held (ns); what is none is left out."""
    way = held.get("output") if isinstance(held, dict) else None
    listed = way.get("stretches") if isinstance(way, dict) else None
    pairs = [
        (_whole(one.get("start_ns")), _whole(one.get("end_ns")))
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict)
    ]
    return [(start, end) for start, end in pairs if start is not None and end is not None and start < end]


_NOT_HELD: dict[str, Any] = {"held_submission_ns": None, "held_output_ns": None, "held_by": None}


def _held(text: str | None) -> dict[str, Any]:
    """Read for how long an operator was held back, and by what longest."""
    told_of = json_of(text, {})
    if not told_of:
        return _NOT_HELD
    # A version of Ray Data may say it of one way alone.
    sums = {way: json_of_sums(told_of[way]) for way in ("submission", "output") if way in told_of}
    by_policy: dict[str, int] = {}
    for way in sums.values():
        for policy, time in way.items():
            by_policy[policy] = by_policy.get(policy, 0) + time
    longest = max(by_policy, key=lambda policy: by_policy[policy], default=None)
    return {
        **{f"held_{way}_ns": sum(sums[way].values()) if way in sums else None for way in ("submission", "output")},
        "held_by": longest or None,
    }


def json_of_sums(way: Any) -> dict[str, int]:
    """Read times by policy; what is none is left out."""
    sums = way.get("ns") if isinstance(way, dict) else None
    if not isinstance(sums, dict):
        return {}
    return {str(policy): time for policy, found in sums.items() if (time := _whole(found)) is not None}


def _whole(value: Any) -> int | None:
    """Read a count: null for what is none."""
    is_count = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**62
    return round(value) if is_count else None
