"""Several actors of one kind, of which one has most of the work while another idles."""

from collections.abc import Iterator

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.replay.rewrite import share_out
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.vocabulary import Pattern
from raytrace_analyze.wording.advice import actors as words

_RAYS_POOL = "PoolActor"
_UNEVEN = 1.5
"""How many times as long as their mean the busiest one works."""


def uneven_pool(facts: Facts, name: str, actors: list[RowIds], queued: Nanos) -> Iterator[Candidate]:
    """Find out whether one of the actors of a class (the calls of each, in order of start) has too much of the work.

    `queued` tells by row how long a run waited for its turn (ns). Calls can be given to another actor only where they
    need no state of their own: certain for Ray's Pool, else for the program to know.
    """
    if len(actors) < 2:
        return
    busy = [int((facts.end[calls] - facts.start[calls]).sum()) for calls in actors]
    most, least = int(np.argmax(busy)), int(np.argmin(busy))
    if busy[most] < _UNEVEN * sum(busy) / len(busy) or not queued[actors[most]].any():
        return
    calls = np.concatenate(actors)
    is_stateless = name.endswith(_RAYS_POOL)
    yield Candidate(
        Pattern.UNEVEN_POOL,
        name,
        words.uneven_pool(
            name,
            len(actors),
            most_ns=busy[most],
            most_calls=actors[most].size,
            least_ns=busy[least],
            least_calls=actors[least].size,
            is_stateless=is_stateless,
        ),
        share_out(facts.graph, calls, len(actors)),
        actors[most][np.argsort(-queued[actors[most]], kind="stable")],
        certain=is_stateless,
    )
