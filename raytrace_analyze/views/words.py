"""The words for what stands as an enum in results, one for each on every screen; docs/glossary.md explains them."""

from pathlib import PurePath

from raytrace_analyze.names.awaited import BATCH, COMPILED_GRAPH, CONSUMER, PLACEMENT_GROUP, PLACEMENT_GROUPS
from raytrace_analyze.names.functions import DRIVER, name_of, short_name
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.vocabulary.paths import Activity, Category, Spent
from raytrace_analyze.vocabulary.queues import Cause
from raytrace_analyze.vocabulary.spans import Ending

CATEGORIES: dict[str, str] = {
    Category.SELF: "running",
    Category.QUEUE: "waiting to start",
    Category.SUBMIT: "submitting",
    Category.FETCH: "getting results back",
    Category.WAIT: "waiting for something else",
}
CAUSES: dict[str, str] = {
    Cause.DEPENDENCY: "for what it depends on",
    Cause.ACTOR_BUSY: "its actor is busy",
    Cause.ACTOR_START: "its actor is being created",
    Cause.WORKER_START: "starting a worker process",
    Cause.NO_SLOT: "no free slot",
    Cause.SLOT_START: "the process in its slot is starting",
    Cause.TRANSFER: "fetching its arguments",
    Cause.FUNCTION_LOAD: "loading its code",
    Cause.RETRY: "before another attempt",
    Cause.RESTORE: "pulling its arguments, or restoring them from disk",
    Cause.STORE_FULL: "no room in the object store",
    Cause.PLACEMENT: "its placement group is not there yet",
    Cause.REPLICA: "no replica takes the request yet",
    Cause.DISPATCH: "on the way to its worker",
    Cause.UNKNOWN: "nothing tells for what",
}
ACTIVITIES: dict[str, str] = {
    Activity.CPU: "on the CPU",
    Activity.IDLE: "idle",
    Activity.UNKNOWN: "unknown",
}
SPENT: dict[str, str] = {
    Spent.CPU: "on the CPU",
    Spent.IDLE: "idle",
    Spent.RUNNING: "running",
    Spent.SUBMIT: "submitting",
    Spent.QUEUE: "waiting to start",
    Spent.START_UP: "start-up of processes and code",
    Spent.UNKNOWN: "waiting to start (why is not known)",
    Spent.FETCH: "getting results back",
    Spent.WAIT: "other waits",
}
PATTERNS: dict[str, str] = {
    Pattern.GET_IN_LOOP: "ray.get in a loop",
    Pattern.SUBMISSION_ORDER: "results taken in submission order",
    Pattern.SMALL_TASKS: "tasks too small for their overhead",
    Pattern.UNNECESSARY_GET: "a result fetched only to be passed on",
    Pattern.ACTOR_BOTTLENECK: "an actor is the bottleneck",
    Pattern.STRAGGLER: "a straggler",
    Pattern.COLD_WORKERS: "cold workers",
    Pattern.PROCESS_PER_RUN: "a new process for each run",
    Pattern.TOO_FEW_IN_FLIGHT: "too few tasks in flight",
    Pattern.TOO_MANY_IN_FLIGHT: "very many tasks in flight",
    Pattern.NESTED_GET: "waiting inside a task",
    Pattern.RETRIES: "failed attempts",
    Pattern.DRIVER_CODE: "the driver's own code",
    Pattern.DRIVER_IMPORTS: "the driver imports modules",
    Pattern.LARGE_ARGUMENTS: "large arguments by value",
    Pattern.LARGE_CODE: "a function that carries much data",
    Pattern.UNEVEN_POOL: "one of several actors has most of the work",
    Pattern.DRIVER_IDLE: "the driver is idle",
    Pattern.IDLE_TASKS: "tasks that hold CPUs while they are idle",
    Pattern.MORE_THREADS: "tasks that use more CPUs than they ask for",
    Pattern.LOCK: "a lock that several runs wait for",
    Pattern.PACED_CALLS: "calls that an actor lets go on at a rate",
    Pattern.ASKS_AGAIN: "a method that is asked again and again",
    Pattern.WAIT_FOR_MANY: "ray.wait over very many references",
    Pattern.STORE_FULL: "a full object store",
    Pattern.REPLICA_QUEUE: "requests wait for a replica",
    Pattern.BATCH_WAIT: "requests wait for others to fill their batch",
    Pattern.MODEL_LOADS: "requests wait for models to be loaded",
    Pattern.ARGUMENTS_RESTORED: "arguments are pulled, or restored from disk",
    Pattern.OTHER_JOBS: "other jobs are in the way",
    Pattern.REPORTS_HELD: "reports of Ray Train are held",
    Pattern.SEEN_LATE: "a result is seen late",
    Pattern.SLOW_REPLICA: "one of several replicas is slow",
    Pattern.BLOCKED_LOOP: "an event loop is blocked",
    Pattern.SLOW_ACTOR: "one of several actors is slow",
}
_THINGS = (BATCH, COMPILED_GRAPH, PLACEMENT_GROUP)
ENDINGS: dict[str, str] = {
    Ending.EXCEPTION: "failed",
    Ending.CANCELLED: "was cancelled",
    Ending.KILLED: "was killed",
}


def awaited_text(awaited: str | None, name: str | None) -> str:
    """Say what a wait was for that was for no task: a call of the program, or a thing; else in which call it was."""
    if awaited == CONSUMER:
        return "for its items to be taken"
    if awaited is not None and awaited.startswith(_THINGS):
        return f"for {awaited if awaited == PLACEMENT_GROUPS else f'a {awaited}'}"
    return f"in {awaited or name}"


def let_go_text(awaited: str | None, name: str | None) -> str:
    """Say what somebody does whom what it waited for lets go on: for no task (`awaited`), or a result."""
    if awaited == CONSUMER:
        return "goes on, its items are taken"
    if awaited is not None and awaited.startswith(BATCH):
        return "goes on with its batch"
    if awaited is not None and awaited.startswith(_THINGS):
        return f"gets {awaited if awaited == PLACEMENT_GROUPS else f'its {awaited}'}"
    return f"gets the result back ({name})" if awaited is None else f"goes on after {awaited}"


def group_text(by: str, group: str | None) -> str:
    """Say which group a line is about, of things that are grouped by function, category, cause, node, ..."""
    if group is None:
        return "not in a queue" if by == "cause" else "-"
    words = {"cause": CAUSES, "category": CATEGORIES}.get(by, {})
    return short_name(group) if by == "function" else words.get(group, group)


def pattern_text(pattern: str, function: str | None) -> str:
    """Say what was found, in a few words, and of which function."""
    return PATTERNS[pattern] if function == DRIVER else f"{PATTERNS[pattern]} ({name_of(function)})"


def place_name(place: str) -> str:
    """A place in the program as it is said: `train.py:41` of a whole path and line."""
    return PurePath(place).name
