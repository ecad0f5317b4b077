"""The critical path as a result: its segments as a DataFrame, its scope, its sums."""

import warnings
from dataclasses import field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.choices import choose
from raytrace_analyze.names.functions import DRIVER, rays_own_together
from raytrace_analyze.path.confidence import confidence
from raytrace_analyze.path.outcome import NOT_KNOWN, Ended
from raytrace_analyze.path.run_activity import run_activity
from raytrace_analyze.shown import Shown, notebook
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.text.units import count_text, duration_text
from raytrace_analyze.trace.actor_labels import LABELS, actor_labels
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.groups import ONLY_OF_MANY, PathGroup, column_of
from raytrace_analyze.vocabulary.paths import Category, ScopeKind

SEGMENTS = pl.Schema(
    {
        "start_ns": pl.Int64,
        "end_ns": pl.Int64,
        "duration_ns": pl.Int64,
        "category": pl.String,
        "cause": pl.String,
        "cause_source": pl.String,
        "via": pl.String,
        "inferred": pl.Boolean,
        "in_flight": pl.Boolean,
        "activity": pl.String,
        "idle_in": pl.String,
        "idle_at": pl.String,
        "name": pl.String,
        "function": pl.String,
        "span_id": pl.String,
        "trace_id": pl.String,
        "task_id": pl.String,
        "actor_id": pl.String,
        "node_id": pl.String,
        "worker_id": pl.String,
        "pid": pl.Int64,
    }
)
"""Columns of `CriticalPath.segments`: times in ns since the epoch; `span_id` is null for the virtual root.

A wait in a queue is one segment for each of its causes, one after another; `cause_source` says whether Ray's task
events told the cause or the spans (`task events`, `spans`; null for other segments). A result on its way back (`fetch`)
has the cause `function-load` where its process, whose first one it was, loaded what it stores results with.

A span's own time (category `self`) is one segment for each `activity`, one after another: `cpu`, `idle` or `unknown`
(nobody looked: spans of less than 100 ms, other hooks); null for other segments. `idle_in` says in what it was idle
(`time.sleep`, `socket.recv`), `idle_at` where in the program. Of a wait for something else than a result of Ray's,
and of what follows it (`fetch`), `idle_in` says for what (`asyncio.Event.wait`)."""


def _no_rows() -> RowIds:
    return np.empty(0, dtype=np.int64)


@frozen
class Scope:
    """What was analysed."""

    kind: str
    """One of `ScopeKind`."""
    id: str
    name: str
    """What a person calls it: the program's entry point, the root span's or the task's name."""
    session: str

    @property
    def chosen_by(self) -> str:
        """What a person writes to choose it: `SESSION/ID` for a job, else its id."""
        return f"{self.session}/{self.id}" if self.kind == ScopeKind.JOB else self.id

    @property
    def title(self) -> str:
        """Its name; of what has none what it is, and its id."""
        return self.name or f"{self.kind} {self.id}"


@frozen
class CriticalPath(Shown):
    """The chain that decided how long a scope took."""

    scope: Scope
    start_ns: int
    end_ns: int
    segments: pl.DataFrame
    """Columns of `SEGMENTS`, oldest first; contiguous from `start_ns` to `end_ns`."""
    work_ns: int
    """Time that task runs in the scope spent running, less what they spent in recorded waits."""
    runs: int
    """How many task runs there are in the scope."""
    ended: Ended = NOT_KNOWN
    """Whether it failed, and where the error came from."""
    notes: tuple[str, ...] = field(default=())
    """What a reader should know about the input: spans left out, ends that are missing."""
    rows: RowIds = field(default_factory=_no_rows, repr=False, compare=False)
    """By segment: the row of its span in `spans`, -1 for the virtual root."""
    spans: pl.DataFrame = field(default_factory=pl.DataFrame, repr=False, compare=False)
    """The spans that `rows` and `ancestry` speak of: those of the table, clocks corrected."""
    parents: RowIds = field(default_factory=_no_rows, repr=False, compare=False)
    """By row of `spans`: its parent's, as the path's rules have it, -1 for none."""
    driver_imports_ns: int = 0
    """For how much of its own time on the path the driver imported modules, as far as the hook's samples tell."""

    @cached_property
    def actors(self) -> pl.DataFrame:
        """What the actors of the scope's session are called: columns of `actor_labels`, but for the session."""
        named = actor_labels(self.spans) if self.spans.width else pl.DataFrame(schema=LABELS)
        return named.filter(pl.col("session") == self.scope.session).drop("session")

    def in_short(self) -> str:
        """Say what this is the path of, and how long it took."""
        return f"{self.scope.title}, {duration_text(self.makespan_ns)}, {count_text(self.segments.height, 'segment')}"

    def plot(self) -> Any:
        """Draw it by cause, and by function as a flame graph: a `Plot`, which a notebook shows."""
        return notebook().plot_path(self)

    def ancestry(self, segment: int) -> list[int]:
        """Give the rows of `spans` from the outermost ancestor of a segment's span to that span itself.

        A run's parent is its submit. Nothing for a segment of the virtual root.
        """
        found = []
        row = int(self.rows[segment])
        while row >= 0:
            found.append(row)
            row = int(self.parents[row])
        return found[::-1]

    @property
    def makespan_ns(self) -> int:
        """How long the scope took, in ns."""
        return self.end_ns - self.start_ns

    @property
    def makespan(self) -> int:
        """The name of `makespan_ns` in version 0.1.0; it goes with the next version."""
        warnings.warn("CriticalPath.makespan is now makespan_ns", DeprecationWarning, stacklevel=2)
        return self.makespan_ns

    @property
    def parallelism(self) -> float:
        """Work / makespan: how many tasks were running at a time, on average."""
        return self.work_ns / self.makespan_ns if self.makespan_ns else 0.0

    def confidence(self) -> pl.DataFrame:
        """Sum the path by what it rests on, and by function.

        Columns: `inference`, null for what is certain, `join` where it was inferred who was waited for, `predecessor`
        where it was inferred what let a run start; `function`, `total_ns`, `share` of the makespan (0 to 1),
        `segments` (a count). What is certain comes first, then the largest total.
        """
        return confidence(self.segments, self.makespan_ns)

    @property
    def driver_works(self) -> bool:
        """Whether the driver's own code is known to be on the CPU for half of its time on the path, or more.

        In one that is idle, that imports modules, or of which it is not known what it does, nothing is there to be made
        faster.
        """
        of_driver = self.activity().filter(pl.col("function") == DRIVER)
        total, cpu = of_driver.select(pl.col("self_ns", "cpu_ns").sum()).row(0)
        return bool(2 * (cpu - self.driver_imports_ns) >= total)

    def activity(self) -> pl.DataFrame:
        """Tell what each span with own time on the path did in it: columns of `RUN_ACTIVITY`, the longest first."""
        return run_activity(self.segments)

    def by(self, group: str = "function", *, internals: bool = True) -> pl.DataFrame:
        """Sum the path by `function`, `name`, `category`, `cause`, `node`, `actor` or `worker`.

        Without `internals`, what Ray's libraries run for themselves is one function, `(Ray's own)`.

        Columns: the group; `self_ns`, `submit_ns`, `queue_ns`, `wait_ns`, `fetch_ns`; `total_ns`, `share` of the
        makespan (0 to 1), `inferred_ns`, `segments` (a count). Largest total first. Raises UsageError for any other
        group.
        """
        column = column_of(choose(PathGroup, group, "group", but=ONLY_OF_MANY))
        duration = pl.col("duration_ns")
        of = [duration.filter(pl.col("category") == category).sum().alias(f"{category}_ns") for category in Category]
        together = group == PathGroup.FUNCTION and not internals
        grouped = rays_own_together(pl.col(column)) if together else pl.col(column)
        return (
            self.segments.group_by(grouped.alias(group))
            .agg(
                *of,
                total_ns=duration.sum(),
                inferred_ns=duration.filter(pl.col("inferred")).sum(),
                segments=pl.len().cast(pl.Int64),
            )
            .with_columns(share=pl.col("total_ns") / max(self.makespan_ns, 1))
            .sort("total_ns", group, descending=[True, False], nulls_last=True)
        )
