"""Ray's task events of the runs: when each attempt reached which state, as arrays over the span table."""

import numpy as np

from raytrace_analyze.table.lineage import Flags, Nanos
from raytrace_analyze.trace.asof import NEVER
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen


@frozen
class States:
    """When each run's attempt reached which state; ns since the epoch, NEVER where that is not known."""

    known: Flags
    """Runs with task events that tell of more than their end."""
    node_assignment: Nanos
    """PENDING_NODE_ASSIGNMENT: the arguments are there."""
    submitted: Nanos
    """SUBMITTED_TO_WORKER: the slot and the worker, or the actor, are there."""
    store_memory: Nanos
    """PENDING_OBJ_STORE_MEM_AVAIL: the node's object store has no room for the arguments."""
    lease_args: Nanos
    """PENDING_ARGS_FETCH: the arguments are pulled to the node, or restored from disk."""
    args_fetch: Nanos
    """Of actors' methods: the actor fetches the arguments."""
    ordering: Nanos
    """Of actors' methods: it has them, the method stands in its queue."""
    running: Nanos
    arguments: Nanos
    """The worker begins to unpack the arguments."""
    arguments_end: Nanos
    execute: Nanos
    """The function's body begins."""
    done: Nanos
    """FINISHED or FAILED: whoever submitted the task knows that it is over."""


def read_states(structure: Structure) -> States:
    """Read from the rows of the runs what task events say of their attempts."""
    size = structure.spans.height
    unknown = np.full(size, NEVER, dtype=np.int64)

    def times(column: str) -> Nanos:
        stamped = structure.spans.get_column(column)
        if stamped.null_count() == size:
            return unknown
        values: Nanos = stamped.to_physical().fill_null(NEVER).to_numpy()
        return np.where(structure.is_run, values, NEVER)

    node_assignment = times("state_pending_node_assignment")
    submitted, running = times("state_submitted_to_worker"), times("state_running")
    finished, failed = times("state_finished"), times("state_failed")
    return States(
        known=(np.maximum(np.maximum(node_assignment, submitted), running) > NEVER),
        node_assignment=node_assignment,
        submitted=submitted,
        store_memory=times("state_pending_obj_store_mem_avail"),
        lease_args=times("state_pending_args_fetch"),
        args_fetch=times("state_pending_actor_task_args_fetch"),
        ordering=times("state_pending_actor_task_ordering_or_concurrency"),
        running=running,
        arguments=times("profile_deserialize_arguments_start"),
        arguments_end=times("profile_deserialize_arguments_end"),
        execute=times("profile_execute_start"),
        done=np.where(finished > NEVER, finished, failed),
    )


def first_known(*times: Nanos) -> Nanos:
    """Give for each run the first of these times that is known, NEVER where none is."""
    known = times[0]
    for other in times[1:]:
        known = np.where(known > NEVER, known, other)
    return known
