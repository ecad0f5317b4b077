"""A summary as a value."""

import polars as pl

from raytrace_analyze.path.outcome import Ended
from raytrace_analyze.path.result import Scope
from raytrace_analyze.shown import Shown
from raytrace_analyze.text.units import duration_text
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.advice import RemedyKind
from raytrace_analyze.vocabulary.spans import Library


@frozen
class Remedy:
    """One thing to change, and what that alone would bring."""

    kind: RemedyKind
    """With `look` it is not known what it would bring: `saved_ns` is 0 then."""
    pattern: str | None
    """The pattern of `advise` that would be mended; None for a faster function, as in `what_if`."""
    function: str
    place: str | None
    """`file:line`, where that is known."""
    saved_ns: int
    predicted_ns: int
    """How long the job would take."""
    certain: bool
    """False where it depends on the program whether it can be changed so."""
    path_ns: int | None = None
    """Of something to be looked at: what it has of the critical path."""
    idle_in: str | None = None
    """Of a function to be made faster that is idle most of the time: in what; `place` is where."""


@frozen
class IdlePlace:
    """What a flow on the path was idle in longest, or waited for longest that is no task's result, or never came."""

    function: str
    what: str
    """`time.sleep`, `socket.recv`, ...; of a wait what the hook says that it was for, `compiled graph`, ..., else the
    call: `ray.get`."""
    place: str | None
    total_ns: int
    times: int | None
    """How often it waited; null of what it was idle in: looks cannot tell one sleep from the next."""
    is_wait: bool = False


@frozen
class Requests:
    """What the requests of Ray Serve took most of their time with: a deployment's, and a part of that."""

    function: str
    """The deployment and its method."""
    requests: int
    p50_ns: int
    part: str
    """As `serve` calls it: `router` (its queue), `handler`, ...; what is downstream is the other deployments'."""
    part_ns: int
    """How long that took, of all its requests together."""
    part_share: float
    """Of the time of its requests, 0 to 1."""
    slow_replica: str | None
    """The replica that is slower than the others of that deployment."""


@frozen
class Summary(Shown):
    """The whole answer about a job. Times are ns, durations unless they say so."""

    scope: Scope
    start_ns: int
    """When it began, since the epoch."""
    makespan_ns: int
    ended: Ended
    runs: int
    """How many task runs there were."""
    parallelism: float
    """How many of them ran at a time, on average."""
    decided_by: str | None
    """The function with most of the critical path; None where the job took no time."""
    decided_ns: int
    decided_share: float
    """Of the makespan, 0 to 1."""
    decided_mostly: str | None
    """What at least half of that went to (one of `Spent`); None where it went to several things."""
    time: pl.DataFrame
    """What the time went to: columns of `TIME`, together the makespan."""
    idle: IdlePlace | None
    """What the path was idle in longest, or waited for, where that is at least a twentieth of the time."""
    remedies: tuple[Remedy, ...]
    """What to change, two at most: first the patterns that `advise` finds, what saves most first; then, where it saves
    more than the second of these, the function that `what_if` ranks first, twice as fast. Where there is nothing, what
    `advise` would have looked at."""
    start_up_ns: int
    """What of the path a second run, or a cluster that lives longer, would not pay: new processes, code loaded."""
    start_up_saved_ns: int
    """How much shorter the job would be without, as `advise` predicts it; 0 where that is next to nothing."""
    inferred_ns: int
    """What of the path rests on inference: nobody recorded who was waited for."""
    unknown_ns: int
    """What of the path is running time of which it is not known whether it was on the CPU."""
    open_spans: int
    """How many spans of the job never ended."""
    libraries: tuple[Library, ...]
    """Which of Ray's libraries it uses: each has a command of its own that tells more."""
    requests: Requests | None
    """What took most of the time of Ray Serve's requests, whoever sent them; None where there were none."""
    notes: tuple[str, ...]

    def in_short(self) -> str:
        """Say which job this is about, and how it ended."""
        return f"{self.scope.title}, {self.ended.outcome} after {duration_text(self.makespan_ns)}"
