"""What functions are called: the driver's own time has a name of its own, and the program's module is left out.

Tables, JSON and CSV keep the full names, as Ray gives them: they are keys. Whatever is said in words has the short one.
"""

import re
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # the names are needed where nothing heavy may be loaded
    import polars as pl

_Texts = TypeVar("_Texts", "pl.Expr", "pl.Series")

DRIVER = "(driver)"
"""The function that the driver's own time is booked under."""

NOT_TRACED = "(not traced)"
"""What stands for the time in which no span of a job shows what went on, though its driver has one."""

WORKER = "(worker)"
"""What the time of a worker process is booked under that belongs to none of its tasks."""
RAY_DATA = "(Ray Data)"
"""What stands for Ray Data itself beside its operators: the thread that hands out an execution's tasks."""
PROGRAM = "(program)"
"""What stands for the program beside Ray Data's operators where tasks or actors take the blocks, not the driver."""
ELSEWHERE = "(elsewhere)"
"""What stands for the time of an execution of Ray Data in which the job's path had nothing to do with it."""
RAYS_OWN = "(Ray's own)"
"""What stands for functions that Ray's libraries run for themselves, where they are one line together."""

OPERATOR_TASKS = "ray.data._internal."
"""What the names of all tasks begin with that Ray Data runs for its operators."""

TAKES_FROM_QUEUE = r"(^|\.)_QueueActor\.get"
"""Methods of the actor behind `ray.util.queue.Queue` that take items, as a regular expression."""
MAP_WORKER = "MapWorker("
"""What the functions begin with that run on the actors of an operator of Ray Data."""

EXECUTOR = "StreamingExecutor.run"
"""What the thread that drives an execution of Ray Data runs, as our hook names it."""

_PROGRAM = "__main__."
_OWN = (
    r"(^|\.)(ServeController|ProxyActor|HAProxyManager|ServeReplica:.*|_?StatsActor|_StatsSummaryActor|"
    r"_?ActorLocationTracker|_?AutoscalingRequester|_?AutoscalingCoordinatorActor|_UsageCollectionActor|"
    r"TelemetryStorage|PlacementGroupCleaner|PreemptionWatcher|StreamingExecutor|RayTrainWorker\.poll_status|"
    r"MapWorker\(.*\)\.(__ray_ready__|get_location|__ray_terminate__))(\.[A-Za-z_]+)?$"
)
"""Controllers, proxies, statistics and autoscalers of Ray's libraries, with or without their module."""
_AT_THE_PROGRAMS_WORD = (
    r"(^|\.)(TrainController|SynchronizationActor|SplitCoordinator|DatasetManager|TrainStateActor|FooterReader)\.[A-Za-z_]+$|"
    r"(^|\.)(RayTrainWorker|PoolActor|_QueueActor)\.__init__$"
)
"""What Ray's libraries run because a program asks for it, without any code of the program's in it."""
_FOR_THE_PROGRAM = r"ServeReplica:.*\.(handle_request|initialize_and_get_metadata$)"
"""What brings a request to its handler, and what calls the `__init__` of a deployment's class in a replica."""


_SET_UP = r"^(?:.*\.)?ServeReplica:[^:]*:(.*)\.initialize_and_get_metadata$"
"""What runs the `__init__` of a deployment's class in one of its replicas."""
_IN_REPLICA = " (in its replica)"
_REPLICA = r"^(?:.*\.)?ServeReplica:[^:]*:(.*)\.__init__$"
"""What creates a replica."""
_BY_REPLICA = r"^(?:.*\.)?ServeReplica:[^:]*:(.*\.\w+)$"
"""What else runs on one."""
_SHORTER = (
    (_SET_UP, "${1}.__init__" + _IN_REPLICA),
    (_REPLICA, "replica of ${1}"),
    (_BY_REPLICA, "${1}" + _IN_REPLICA),
)


def short_name(function: str | None) -> str:
    """A function as its author would say it: without Ray's name for the program itself.

    >>> short_name("__main__.load_part"), short_name("etl.load_part"), short_name(None)
    ('load_part', 'etl.load_part', '(driver)')
    >>> short_name("ServeReplica:app:Model.initialize_and_get_metadata")
    'Model.__init__ (in its replica)'
    >>> short_name("ServeReplica:app:Model.__init__"), short_name("ServeReplica:app:Model.check_health")
    ('replica of Model', 'Model.check_health (in its replica)')
    """
    name = (function or DRIVER).removeprefix(_PROGRAM)
    for pattern, shorter in _SHORTER:
        name = re.sub(pattern, shorter.replace("${1}", r"\1"), name)
    return name


def short_names(functions: "pl.Expr") -> "pl.Expr":
    """Do the same for a column; null stays null."""
    found = functions.str.strip_prefix(_PROGRAM)
    for pattern, shorter in _SHORTER:
        found = found.str.replace(pattern, shorter)
    return found


def name_of(function: str | None) -> str:
    """A function in a sentence: `the driver`, or its short name between backticks."""
    return "the driver" if function in (None, DRIVER) else f"`{short_name(function)}`"


def is_rays_own(functions: _Texts) -> _Texts:
    """Tell the functions that Ray's libraries run for themselves: they are nothing that a program asks for."""
    return functions.str.contains(_OWN) & ~functions.str.contains(_FOR_THE_PROGRAM)


def is_without_program(functions: _Texts) -> _Texts:
    """Tell the functions of Ray's libraries that run nothing of the program's: nobody who wrote that can change them.

    Those that `is_rays_own` tells are among them; on others a program may well wait.
    """
    return is_rays_own(functions) | functions.str.contains(_AT_THE_PROGRAMS_WORD)


def rays_own_together(functions: "pl.Expr") -> "pl.Expr":
    """Give all that Ray's libraries run for themselves one name, `RAYS_OWN`."""
    import polars as pl

    return pl.when(is_rays_own(functions)).then(pl.lit(RAYS_OWN)).otherwise(functions)
