"""Merges span files that all nodes of a cluster see, on the cluster: the steps and the table of `merging`."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import polars as pl

from raytrace_analyze.cluster.buckets import BucketsOnNodes, OrderedOnNodes, Piece, in_buckets
from raytrace_analyze.cluster.seen import seeing
from raytrace_analyze.cluster.tasks import Tasks
from raytrace_analyze.engines.plan import Task, plan
from raytrace_analyze.ingest.loading import Found, Ingested, find, load_found
from raytrace_analyze.ingest.merging import DECODED_SHARE, LargeIngested, frame_bytes, merge_buckets
from raytrace_analyze.model import Problem, Progress
from raytrace_analyze.schema import DECODED
from raytrace_analyze.spilled.buckets import BUCKET_BYTES

_MOST = 256
"""How many tasks decode at most, and how many buckets there are at most: there is a piece for each pair of them."""


def merge_on_cluster(paths: Sequence[Path], progress: Progress) -> Ingested | LargeIngested:
    """Read all span files among `paths` into one table, as `merging.merge_files` does; within `connected`.

    What comes lies on the cluster, and is there as long as the connection. Raises what `merge_files` raises, UsageError
    where a node does not see a file, and RaytraceError where the cluster cannot finish it.
    """
    found = find(paths)
    return load_found(found, progress=progress) if found.is_one_table else _merge(found, progress)


def _merge(found: Found, progress: Progress) -> LargeIngested:
    tasks = Tasks()
    count = min(max(math.ceil(frame_bytes(found.sources) / BUCKET_BYTES), tasks.cpus, 2), _MOST)
    buckets = BucketsOnNodes(tasks, count)
    problems = _decode(found, tasks, buckets, lambda share: progress(share * DECODED_SHARE))
    return merge_buckets(found, buckets, problems, partial(OrderedOnNodes, tasks, buckets), progress)


def _decode(found: Found, tasks: Tasks, buckets: BucketsOnNodes, progress: Progress) -> list[Problem]:
    """Have the files decoded, and what they give put in buckets; gives what was wrong with them."""
    shares = list(_shares(list(plan(found.sources))))
    folder = str(Path.cwd())
    told, pieces = [], []
    for share in shares:
        first, *of_buckets = tasks.call(_decoded, share, buckets.count, folder, returns=1 + buckets.count)
        told.append(first)
        pieces.append(of_buckets)
    problems: list[Problem] = []
    for number, (records, wrong) in enumerate(tasks.values(told)):
        buckets.add_pieces(pieces[number], records)
        problems += wrong
        progress((number + 1) / len(shares))
    return problems


def _shares(parts: Sequence[Task]) -> Iterator[tuple[Task, ...]]:
    """Put what is to be decoded together, in its order, to at most `_MOST` shares of about the same size."""
    least = sum(part.size_bytes for part in parts) / (_MOST - 1)
    share: list[Task] = []
    for part in parts:
        share.append(part)
        if sum(each.size_bytes for each in share) >= least:
            yield tuple(share)
            share = []
    if share:
        yield tuple(share)


def _decoded(share: Sequence[Task], count: int, folder: str) -> list[tuple[int, list[Problem]] | Piece]:
    """Decode what is asked for, with `folder` as the working directory that its paths may be relative to.

    Gives how many records there were and what was wrong, and a piece for each of `count` buckets.
    """
    with seeing({file for part in share for file in part.files}, folder):
        decoded = [each for part in share for each in part.run()]
    spans = pl.concat([DECODED.to_frame(), *(each.frame for each in decoded)])
    problems = [problem for each in decoded for problem in each.problems]
    return [(spans.height, problems), *in_buckets(spans, count)]
