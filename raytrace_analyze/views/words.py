"""The words for what stands as an enum in results, one for each on every screen; docs/glossary.md explains them."""

from pathlib import PurePath

from raytrace_analyze.vocabulary import Activity, Category, Cause, Ending, Spent

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
    Cause.WORKER_START: "a worker process starts",
    Cause.NO_SLOT: "no free slot",
    Cause.TRANSFER: "its arguments are fetched",
    Cause.FUNCTION_LOAD: "its code is loaded",
    Cause.RETRY: "before another attempt",
    Cause.RESTORE: "its arguments are pulled, or restored from disk",
    Cause.STORE_FULL: "no room in the object store",
    Cause.PLACEMENT: "its placement group is not there yet",
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
    Spent.FETCH: "getting results back",
    Spent.WAIT: "other waits",
}
PATTERNS = {
    "get-in-loop": "ray.get in a loop",
    "submission-order": "results taken in submission order",
    "small-tasks": "tasks too small for their overhead",
    "unnecessary-get": "a result fetched only to be passed on",
    "actor-bottleneck": "an actor is the bottleneck",
    "straggler": "a straggler",
    "cold-workers": "cold workers",
    "too-few-in-flight": "too few tasks in flight",
    "too-many-in-flight": "very many tasks in flight",
    "nested-get": "waiting inside a task",
    "retries": "failed attempts",
    "driver-code": "the driver's own code",
    "large-arguments": "large arguments by value",
    "uneven-pool": "one of several actors has most of the work",
    "driver-idle": "the driver is idle",
    "idle-tasks": "tasks that hold CPUs while they are idle",
    "more-threads": "tasks that use more CPUs than they ask for",
    "lock": "a lock that several runs wait for",
    "wait-for-many": "ray.wait over very many references",
    "store-full": "a full object store",
}
_THINGS = ("compiled graph", "placement group")
_SEVERAL_GROUPS = "placement groups"
ENDINGS: dict[str, str] = {
    Ending.EXCEPTION: "failed",
    Ending.CANCELLED: "was cancelled",
    Ending.KILLED: "was killed",
}


def awaited_text(awaited: str | None, name: str | None) -> str:
    """Say what a wait was for that was for no task: a call of the program, or a thing; else in which call it was."""
    if awaited == "consumer":
        return "for its items to be taken"
    if awaited is not None and awaited.startswith(_THINGS):
        return f"for {awaited if awaited == _SEVERAL_GROUPS else f'a {awaited}'}"
    return f"in {awaited or name}"


def place_name(place: str) -> str:
    """A place in the program as it is said: `train.py:41` of a whole path and line."""
    return PurePath(place).name
