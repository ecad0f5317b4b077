"""The span table: its columns and types, stated once.

One row a span. Times are nanoseconds since the epoch in UTC; ids are lower-case hex without `0x`.
`DECODED` is what a decoder gives for one file; `TABLE` is the finished table, with the columns that
need the whole set to be known (`category`, values inherited from the enclosing task, and what Ray's task events say).
"""

import polars as pl

from raytrace_analyze.vocabulary import spans as words

SCHEMA_VERSION = 2
"""Written to the Parquet metadata. A reader takes this one and older ones, and refuses newer ones.

Version 1 had no task events in its rows: they lay beside it, in a second Parquet file, which is read still.
"""

VERSION_KEY = "raytrace.schema_version"
INPUTS_KEY = "raytrace.inputs"
TABLE_KEY = "raytrace.table"
EVENT_TABLE = "task_events"
"""Keys of our Parquet files' metadata: the version; which files it was made of (JSON, see `append`); and of version 1's
table of task events what it is."""

TIME = pl.Datetime("ns", "UTC")
Kind = pl.Enum(words.SpanKind)
Category = pl.Enum(words.SpanCategory)
Status = pl.Enum(words.Status)

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
STATES = (
    "PENDING_ARGS_AVAIL",
    "PENDING_NODE_ASSIGNMENT",
    "PENDING_OBJ_STORE_MEM_AVAIL",
    "PENDING_ARGS_FETCH",
    "SUBMITTED_TO_WORKER",
    "PENDING_ACTOR_TASK_ARGS_FETCH",
    "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY",
    "RUNNING",
    "FINISHED",
    "FAILED",
    "ACTOR_DEAD",
    "ACTOR_LET_GO",
)
"""Ray's states of a task attempt, in the order in which they come; the last two are those of the actor that it created:
killed, or over in another way, and over since nobody had a handle to it any more."""

STATE_COLUMNS = {state: f"state_{state.lower()}" for state in STATES}
PROFILE_COLUMNS = {
    ("deserialize_arguments", "start_ns"): "profile_deserialize_arguments_start",
    ("deserialize_arguments", "end_ns"): "profile_deserialize_arguments_end",
    ("execute", "start_ns"): "profile_execute_start",
    ("store_outputs", "start_ns"): "profile_store_outputs_start",
    ("store_outputs", "end_ns"): "profile_store_outputs_end",
}
"""The stretches of Ray's profile of a task that are kept, and the columns they go to."""

EVENT_TIMES = (*STATE_COLUMNS.values(), *PROFILE_COLUMNS.values())
"""All columns of times that task events tell."""

STAMPED_BY_SUBMITTER = frozenset(
    STATE_COLUMNS[state]
    for state in (
        *("PENDING_ARGS_AVAIL", "PENDING_NODE_ASSIGNMENT", "PENDING_OBJ_STORE_MEM_AVAIL"),
        *("SUBMITTED_TO_WORKER", "FINISHED", "FAILED", "ACTOR_DEAD", "ACTOR_LET_GO"),
    )
)
"""Those that are by the clock of whoever submitted the task (of actors' ends: of the head); the others are by that of
where it runs."""

FROM_EVENTS = "from_events"

_EVENT_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(EVENT_TIMES, TIME),
    "error_type": pl.String,
    "required_resources": pl.String,
    FROM_EVENTS: pl.Boolean,
}
EVENT_COLUMNS = pl.Schema(_EVENT_COLUMNS)
"""What Ray's task events say of an attempt, in the row of its run; null in other rows, and where Ray says nothing.

- `state_...`: when the attempt reached each of Ray's states; of the creation of an actor also when that was over
  (`state_actor_dead`; `state_actor_let_go` where nobody had a handle to it any more);
- `profile_...`: when its worker unpacked the arguments, began to execute the function, stored the results;
- `error_type`: Ray's word for why it failed (`WORKER_DIED`, ...); `required_resources`: the demand, as JSON;
- `from_events`: true for an attempt that has no span (killed, never started, still queued) and is a row for its task
  events alone, false for every span. Such a row has category `task`, starts with the earliest state known, ends when it
  finished or failed (else null), has its submit as parent where that is known, made-up ids and no `source`. It is on no
  path and in no count of spans or tasks.

An actor that restarts has one row of events for all its creations: it stands with the one that it tells of.
"""

TABLE = pl.Schema(_COLUMNS | _EVENT_COLUMNS)

NEEDED = ("trace_id", "span_id", "name", "kind", "category", "start", "status", "session")
"""The columns of a finished table without nulls."""

_RUN_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "submit_ns": pl.Int64,
    "queue_ns": pl.Int64,
    "cpu_ns": pl.Int64,
    "is_retried": pl.Boolean,
    "is_cancelled": pl.Boolean,
    "lacks_parent": pl.Boolean,
    "parent_place": pl.Int32,
    "path_attributes": pl.String,
}
FILE = pl.Schema(_COLUMNS | _EVENT_COLUMNS | _RUN_COLUMNS)
"""The columns of a table's file: those of the table, and what takes long to find in it, for commands that look at all
of a large table, and for other programs.

- `submit_ns`, `queue_ns`: of a run how long its submit took, and how long it waited to start after that (of a retry:
  after the attempt before; what the submit took stands with the first), by the clocks as they were; else null;
- `cpu_ns`: the CPU time of a run, where the sampler tells it;
- `is_retried`, `is_cancelled`: of a run whether another attempt followed, and whether the hook says that it was
  cancelled; `lacks_parent`: whether a span names a parent that is not in the table;
- `parent_place`: which of its trace's rows is the parent of a span, in the order of the file, from 0; null for none;
- `path_attributes`: of a span's attributes those that critical paths are told from (see `names.path_attributes`).

Who reads a table finds them anew.
"""
TIMES_KEY = "raytrace.times"
"""Key of the metadata that tells what the first of these columns are good for: one of `vocabulary.spans.Times`."""
PATHS_KEY = "raytrace.path_attributes"
"""Key of the metadata that tells which attributes are in `path_attributes`."""

ACTOR_DIED = "ACTOR_DIED"
"""Ray's word for the error of calls that ended with their actor's process."""
PROCESS = ("session", "node_id", "pid")
"""The columns that tell processes apart within one table."""

DECODED = pl.Schema(
    {name: dtype for name, dtype in _COLUMNS.items() if name != "category"} | {"instance_id": pl.String}
)
"""What a decoder gives: every column as far as the record alone tells it, null where it does not.

`session` is null unless the record names it. `instance_id` is `service.instance.id`, which tells
processes apart whose pid is the same; it is not kept in the table.
"""


def is_version(text: str) -> bool:
    """Tell whether the schema version of a Parquet file is one that a `merge` wrote, maybe a newer one."""
    return text.isascii() and text.isdigit()
