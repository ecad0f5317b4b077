"""Large arguments that are given by value, again and again."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from raytrace_analyze import attributes
from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.advice.program.files import first_place
from raytrace_analyze.replay.rewrite import scale_spans
from raytrace_analyze.vocabulary import Pattern
from raytrace_analyze.wording.advice import waits as words

_LARGE_BYTES = 100_000
"""What is smaller travels with the task's description; beyond that Ray makes an object of it, at every call."""
_FEWEST_CALLS = 3
_SMALL_SUBMIT_NS = 1_000_000
"""What a submit takes without such an argument, at most: measured, it is a few hundred microseconds."""


def argument_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find places that submit calls with large arguments by value, several times."""
    submits = facts.submits
    told = attributes.told(facts.spans.get_column("attributes").gather(submits), attributes.ARGUMENT_BYTES)
    size = told.cast(pl.Int64, strict=False).fill_null(0).to_numpy()
    large = submits[size >= _LARGE_BYTES]
    bytes_of = dict(zip(submits.tolist(), size.tolist(), strict=True))
    by_place: dict[tuple[str, str], list[int]] = {}
    for row in large.tolist():
        by_place.setdefault((facts.functions[row], facts.sites.get(row, "")), []).append(row)
    for (function, site), listed in sorted(by_place.items()):
        if len(listed) < _FEWEST_CALLS:
            continue
        rows = np.array(listed)
        sizes = [bytes_of[row] for row in listed]
        took = facts.end[rows] - facts.start[rows]
        # One call has to carry it, as ray.put does.
        factor = np.minimum(_SMALL_SUBMIT_NS / np.maximum(took, 1), 1.0)
        factor[int(np.argmax(took))] = 1.0
        yield Candidate(
            Pattern.LARGE_ARGUMENTS,
            function,
            words.large_arguments(function, sizes, int(took.sum()), place=first_place(site)),
            scale_spans(facts.graph, rows, factor),
            rows[np.argsort(-took, kind="stable")],
            site or None,
            # Only the program knows whether it is one object.
            certain=False,
        )
