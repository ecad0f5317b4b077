"""The span table: its columns and types, stated once.

One row a span. Times are nanoseconds since the epoch in UTC; ids are lower-case hex without `0x`.
`DECODED` is what a decoder gives for one file; `TABLE` is the finished table, with the columns that
need the whole set to be known (`category`, and values inherited from the enclosing task).
"""

import polars as pl

from raytrace_analyze import vocabulary

SCHEMA_VERSION = 1
"""Written to the Parquet metadata. A reader takes this one and older ones, and refuses newer ones."""

VERSION_KEY = "raytrace.schema_version"
TABLE_KEY = "raytrace.table"
EVENT_TABLE = "task_events"
"""Keys of our Parquet files' metadata: the version, and of the table of task events what it is."""

TIME = pl.Datetime("ns", "UTC")
Kind = pl.Enum(vocabulary.SpanKind)
Category = pl.Enum(vocabulary.SpanCategory)
Status = pl.Enum(vocabulary.Status)

_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "trace_id": pl.String,
    "span_id": pl.String,
    "parent_id": pl.String,
    "name": pl.String,
    "kind": Kind,
    "category": Category,
    "start": TIME,
    "end": TIME,
    "status": Status,
    "status_message": pl.String,
    "session": pl.String,
    "job_id": pl.String,
    "function": pl.String,
    "task_id": pl.String,
    "actor_id": pl.String,
    "node_id": pl.String,
    "worker_id": pl.String,
    "submitted_task_id": pl.String,
    "dependency_task_ids": pl.List(pl.String),
    "ready_task_ids": pl.List(pl.String),
    "attempt": pl.Int32,
    "host": pl.String,
    "pid": pl.Int64,
    "records_waits": pl.Boolean,
    "concurrent": pl.Boolean,
    "attributes": pl.String,
    "events": pl.String,
    "links": pl.String,
    "resource": pl.String,
    "source": pl.String,
}
TABLE = pl.Schema(_COLUMNS)

PROCESS = ("session", "node_id", "pid")
"""The columns that tell processes apart within one table."""

DECODED = pl.Schema({name: dtype for name, dtype in TABLE.items() if name != "category"} | {"instance_id": pl.String})
"""What a decoder gives: every column as far as the record alone tells it, null where it does not.

`session` is null unless the record names it. `instance_id` is `service.instance.id`, which tells
processes apart whose pid is the same; it is not kept in the table.
"""
