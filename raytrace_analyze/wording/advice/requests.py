"""Of requests of Ray Serve, from rows of the table `serve`."""

from typing import Any

from raytrace_analyze.text.units import count_text, duration_text, share_text
from raytrace_analyze.wording.advice.words import Words

_Row = dict[str, Any]
_NOT_CLAIMED = "no saving is claimed, since no span tells who waits for the answers"


def replica_queue(row: _Row, *, is_known: bool, loop_is_kept: bool = False) -> Words:
    """Say that requests wait for a replica that takes them; on one whose loop is kept more would wait for that."""
    replicas = f"; it has {count_text(row['replicas'], 'replica')}" if row["replicas"] else ""
    refused = f"; {row['refused']:,} more were refused, as too many waited already" if row["refused"] else ""
    died = f", {row['replicas_died']:,} of which died while handling requests" if row["replicas_died"] else ""
    first = "look why replicas die: until another is there, requests wait; " if row["replicas_died"] else ""
    more = "have more replicas (`num_replicas`, `autoscaling_config`)"
    if loop_is_kept:
        kept = share_text(row["loop_share"], 1)
        remedy = f"{more}: more requests at once on one wait for its event loop, which is kept {kept} of the time"
        claim = "no saving is claimed, since how many replicas there may be is not known"
    else:
        remedy = f"{more}, or let each take more requests at once (`max_ongoing_requests`), if its handler can"
        claim = _saves("room for each of them at once", is_known)
    return Words(
        f"{_waited(row, 'router')} in the router's queue, until a replica took it{replicas}{died}{refused}",
        f"{first}{remedy} ({claim})",
    )


def batch_wait(row: _Row, *, is_known: bool) -> Words:
    """Say that requests wait for others to fill their batch."""
    size = f"; batches had {row['batch_size']:.1f} requests" if row["batch_size"] is not None else ""
    most = f" of {row['max_batch_size']:.0f}" if size and row["max_batch_size"] is not None else ""
    return Words(
        f"{_waited(row, 'fill')} until its batch (`@serve.batch`) was full, or waited for no more{size}{most}",
        "wait for less time (`batch_wait_timeout_s`), or for fewer (`max_batch_size`), as many as come together "
        f"({_saves('not waiting for others', is_known)})",
    )


def model_loads(row: _Row, *, is_known: bool) -> Words:
    """Say that requests wait for models to be loaded."""
    return Words(
        f"{_waited(row, 'load')} until its model was loaded (`@serve.multiplexed`)",
        "keep more models on a replica (`max_num_models_per_replica`), have more replicas, or load models before they "
        f"are asked for ({_saves('loading them in no time', is_known)})",
    )


def slow_replica(row: _Row) -> Words:
    """Say that one of several replicas is slow."""
    return Words(
        f"replica `{row['slow_replica']}` is slower than the others of `{row['deployment']}`: its handler takes "
        f"{duration_text(row['slow_replica_handler_ns'])}, {duration_text(row['other_replicas_handler_ns'])} elsewhere "
        f"(medians, {count_text(row['slow_replica_requests'], 'request')} on it)",
        "look at what is different there (its node, what else runs on that, what it loaded), or restart it",
    )


def blocked_loop(row: _Row) -> Words:
    """Say that a handler keeps its replica's event loop while it does nothing."""
    return Words(
        f"`{row['deployment']}.{row['method']}` keeps the event loop of its replica "
        f"{duration_text(row['loop_mean_ns'])} for each of {count_text(row['requests'], 'request')}, "
        f"{duration_text(row['loop_idle_mean_ns'])} of that idle: {share_text(row['loop_share'], 1)} of the time no "
        "other request could go on there",
        "await what it waits for (`asyncio.sleep`, a client that can be awaited), or call it with `asyncio.to_thread`; "
        "else have more replicas (no saving is claimed, since what it waits for may not bear more at once)",
    )


def _saves(what: str, is_known: object) -> str:
    return f"this is what {what} would save" if is_known else _NOT_CLAIMED


def _waited(row: _Row, part: str) -> str:
    many = count_text(row["requests"] - row["refused"], "request")
    return (
        f"each of {many} of `{row['deployment']}.{row['method']}` waits {duration_text(row[f'{part}_mean_ns'])} of "
        f"{duration_text(row['total_mean_ns'])} on average"
    )
