"""What is large and given by value: arguments again and again, and data that functions carry along."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.advice.program.files import first_place
from raytrace_analyze.names import attributes
from raytrace_analyze.replay.rewrite import fetch_at_once, scale_spans, shorten_lags
from raytrace_analyze.table.lineage import Nanos
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.vocabulary.queues import Cause
from raytrace_analyze.wording.advice import waits as words

_LARGE_BYTES = 100_000
"""What is smaller travels with the task's description; beyond that Ray makes an object of it, at every call."""
_LARGE_CODE_BYTES = 1_000_000
"""What code takes that carries no data is far less."""
_FEWEST_CALLS = 3
_RESTORED_NS = 10_000_000
"""What takes less is Ray's own way."""
_SMALL_SUBMIT_NS = 1_000_000
"""What a submit takes without such an argument, at most: measured, it is a few hundred microseconds."""


def argument_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find places that submit calls with large arguments by value, several times."""
    submits = facts.submits
    size = _bytes(facts, attributes.ARGUMENT_BYTES)
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


def restored_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find runs that waited for their arguments to be pulled from another node, or restored from disk."""
    several = facts.spans.get_column("node_id").gather(facts.runs).drop_nulls().n_unique() > 1
    # On one node nothing is transferred: arguments are unpacked there.
    waited = facts.start_waits.ns_for(Cause.RESTORE, *([Cause.TRANSFER] if several else []))
    rows = np.flatnonzero(waited >= _RESTORED_NS)
    if rows.size == 0:
        return
    rows = rows[np.argsort(-waited[rows], kind="stable")]
    names, number = np.unique(facts.functions_of(rows), return_inverse=True)
    function = str(names[np.argmax(np.bincount(number, waited[rows]))])
    yield Candidate(
        Pattern.ARGUMENTS_RESTORED,
        function,
        words.arguments_restored(function, waited[rows].tolist(), several_nodes=several),
        fetch_at_once(facts.graph, rows, waited[rows]),
        rows,
        certain=False,
    )


def code_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find functions and classes that are large when they are exported and loaded."""
    loading = facts.start_waits.ns_for(Cause.FUNCTION_LOAD)
    for function, (submit, size) in sorted(exports_much(facts).items()):
        runs = facts.runs_by_function.get(function, facts.runs[:0])
        runs = runs[loading[runs] > 0]
        others = facts.submits[[facts.functions[row] == function for row in facts.submits.tolist()]]
        took = facts.end[others] - facts.start[others]
        usual = np.median(took[others != submit]) if others.size > 1 else _SMALL_SUBMIT_NS
        exporting = int(facts.end[submit] - facts.start[submit])
        graph = scale_spans(facts.graph, np.array([submit]), min(float(usual) / max(exporting, 1), 1.0))
        yield Candidate(
            Pattern.LARGE_CODE,
            function,
            words.large_code(
                function, size, runs.size, submitting_ns=exporting, loading_ns=int(loading[runs].max(initial=0))
            ),
            shorten_lags(graph, runs, loading[runs]),
            np.append(submit, runs[np.argsort(-loading[runs], kind="stable")]),
            facts.sites.get(submit),
            # What it imports is loaded with it.
            certain=False,
        )


def exports_much(facts: Facts) -> dict[str, tuple[int, int]]:
    """Give the functions that are large when pickled: the submit that exported each, and its size in bytes."""
    size = _bytes(facts, attributes.CODE_BYTES)
    large = np.flatnonzero(size >= _LARGE_CODE_BYTES)
    return {facts.functions[int(facts.submits[one])]: (int(facts.submits[one]), int(size[one])) for one in large}


def _bytes(facts: Facts, name: str) -> Nanos:
    told = attributes.told(facts.spans.get_column("attributes").gather(facts.submits), name)
    return told.cast(pl.Int64, strict=False).fill_null(0).to_numpy()
