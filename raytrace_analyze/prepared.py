"""One trace, prepared once: what every analysis needs of a span table, each part worked out when first asked for.

Every public analysis takes a span table or this value, and gives the same; where several follow each other, this value
spares each the preparation.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from raytrace_analyze.clocks.correction import build_corrected, correct_clocks
from raytrace_analyze.errors import NoSpansError
from raytrace_analyze.ingest.given import events_of, table_of
from raytrace_analyze.queueing.beyond import Beyond
from raytrace_analyze.queueing.rules import CauseRules
from raytrace_analyze.sampled.idle_waits import with_idle_waits
from raytrace_analyze.table.events.attempts import only_attempts, only_spans, with_event_columns, with_task_events
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.clipping import Scoped, scope_spans
from raytrace_analyze.trace.relations import Runs, relate_runs
from raytrace_analyze.trace.scopes import Scopes, read_scopes
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen
from raytrace_analyze.waits.waiting import Waiting, find_waiting

NO_SPANS = "there are no spans to analyse"


@frozen
class Known:
    """What is known of the rows of a table before they are looked at."""

    parent: RowIds
    """The row of each one's parent, -1 for none."""
    traces: Scopes
    """As `read_scopes` gives them."""


@dataclass(frozen=True, eq=False)
class PreparedTrace:
    """A span table and what follows from it. Rows are positions in `spans`; times are ns since the epoch."""

    table: pl.DataFrame = field(repr=False)
    """The table as it was given: columns of `schema.TABLE`."""
    clock_correct: bool = True
    """Whether times of hosts whose clocks are proven to be off are shifted."""
    beyond: Beyond | None = field(default=None, repr=False)
    """Of a part of a table: what it is to know of the rest."""
    known: Known | None = field(default=None, repr=False)
    """What is known of the rows, all of which are spans then."""
    _scopes: dict[str, Scopes] = field(default_factory=dict, init=False, repr=False)
    _scoped: dict[str, Scoped] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def structure(self) -> Structure:
        """The spans as arrays: clocks corrected, and waits as long as their threads were idle for them."""
        return with_idle_waits(self._corrected[0], self.clock_shift)

    @property
    def spans(self) -> pl.DataFrame:
        """The spans, clocks corrected: the table without attempts that only task events know."""
        return self.structure.spans

    @property
    def offsets(self) -> pl.DataFrame:
        """By how much the clock of each host is off (columns of `clock_offsets`); no rows where one clock timed all."""
        return self._corrected[1]

    @cached_property
    def attempts(self) -> pl.DataFrame:
        """The attempts that only task events know, clocks corrected: columns of `schema.TABLE`, `from_events` true."""
        found = only_attempts(self.table)
        if found.height and self.offsets.get_column("is_proven").any():
            return only_attempts(correct_clocks(self.table, self.offsets))
        return found

    @cached_property
    def runs(self) -> Runs:
        """What runs have to do with each other, with waits and with submits."""
        return relate_runs(self.structure, self.clock_shift)

    @cached_property
    def waiting(self) -> Waiting:
        """What waits waited for, what let suspended methods go on, what ended runs."""
        return find_waiting(self.runs)

    @cached_property
    def clock_shift(self) -> Nanos:
        """By row of `spans`: what was added to its times (ns), and is to be added to others its process stamped."""
        recorded = only_spans(self.table).get_column("start").to_physical().to_numpy().astype(np.int64)
        shift: Nanos = self._corrected[0].start - recorded
        return shift

    @cached_property
    def rules(self) -> CauseRules:
        """What every run can have waited for, and Ray's task events of each."""
        return CauseRules(self.structure, self.runs, self.waiting, self.beyond)

    def scopes(self, kind: str) -> Scopes:
        """Give the scopes of a kind, `jobs` or `traces`."""
        if kind not in self._scopes:
            known = self.known.traces if self.known and kind == "traces" else None
            self._scopes[kind] = known or read_scopes(self.spans, kind)
        return self._scopes[kind]

    def scoped(self, kind: str) -> Scoped:
        """Give the spans within the scopes of a kind, clipped."""
        if kind not in self._scoped:
            scopes = self.scopes(kind)
            self._scoped[kind] = scope_spans(self.structure, scopes.of_row, scopes.table.height)
        return self._scoped[kind]

    def require_spans(self) -> "PreparedTrace":
        """Give this trace again; raises NoSpansError where there are no spans in it."""
        if only_spans(self.table).is_empty():
            raise NoSpansError(NO_SPANS)
        return self

    @cached_property
    def _corrected(self) -> tuple[Structure, pl.DataFrame]:
        return build_corrected(
            only_spans(self.table),
            clock_correct=self.clock_correct,
            known_parent=self.known.parent if self.known else None,
        )


Trace = pl.DataFrame | PreparedTrace
"""What every public analysis takes: a span table (columns of `schema.TABLE`), or what `prepare` made of one.

In place of a table what `given.table_of` makes one of does, too: a path, a pandas DataFrame."""


def prepare(spans: Trace, task_events: pl.DataFrame | None = None, *, clock_correct: bool = True) -> PreparedTrace:
    """Prepare a span table (columns of `schema.TABLE`) for several analyses; nothing is worked out before it is needed.

    With `clock_correct`, times of hosts whose clocks are proven to be off are shifted (see `clock_offsets`); a prepared
    trace stays as it is. `task_events`, as version 0.1.0 gave them beside the spans, are put into the rows first.
    """
    events = events_of(task_events)
    if not isinstance(spans, PreparedTrace):
        table = table_of(spans)
        return PreparedTrace(with_event_columns(with_task_events(table, events)), clock_correct)
    return spans if events is None else PreparedTrace(with_task_events(spans.table, events), spans.clock_correct)
