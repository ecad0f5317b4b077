"""How long a program imported modules: which of them it can do without nobody knows."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from raytrace_analyze.sampled.samples import Busy, Sampled
from raytrace_analyze.sampled.stacks import read_stacks
from raytrace_analyze.table.lineage import Nanos
from raytrace_analyze.vocabulary.paths import Activity

_SHORT_GAP_NS = 1_000_000_000
_MOST = 0.5
_MODULE = "<module> ("
_STARTER = "ray_programs/traced_run.py"
"""What `record` starts a program with."""


def imported_ns(sampled: Iterable[Sampled], attributes: str | None, start: Nanos, end: Nanos) -> Nanos:
    """Tell for how much of each of some stretches on the CPU (from `start` to `end`) a driver imported modules (ns).

    `sampled` is what the sampler saw of it, `attributes` (JSON) are its span's. Where nobody tells when it was in which
    line, each stretch has the part that all looks on the CPU have.
    """
    busy = [each for one in sampled for each in one.busy if each.place]
    if not busy:
        everywhere: Nanos = ((end - start) * _share(attributes)).astype(np.int64)
        return everywhere
    found = np.zeros(start.size)
    for since, until, part in [*((each.start, each.end, each.importing) for each in busy), *_between(busy)]:
        found += np.maximum(np.minimum(end, until) - np.maximum(start, since), 0) * part
    within: Nanos = np.minimum(found.astype(np.int64), end - start)
    return within


def _between(busy: Sequence[Busy]) -> Iterator[tuple[int, int, float]]:
    """Give the short gaps between stretches in which one line imported, and for what part of them it did so there.

    A thread that gets the CPU late is seen less busy for a moment, and does the same after it as before.
    """
    for before, after in pairwise(busy):
        importing = min(before.importing, after.importing)
        if before.place == after.place and after.start - before.end <= _SHORT_GAP_NS and importing > _MOST:
            yield before.end, after.start, importing


def _share(attributes: str | None) -> float:
    """Give what part of a span's looks that found it on the CPU found it importing modules (0 to 1).

    A module's own code runs on top of another's only while it is imported; what starts a program counts as one with it.
    """
    looks = importing = 0
    for activity, frames, count in read_stacks(attributes):
        if activity == Activity.CPU:
            modules = [frame for frame in frames if frame.startswith(_MODULE) and _STARTER not in frame]
            looks += count
            importing += count if len(modules) > 1 else 0
    return importing / looks if looks else 0.0
