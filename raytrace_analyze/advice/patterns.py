"""The patterns that cost time, and the page of Ray's documentation that each belongs to."""

from raytrace_analyze.replay.graph import Graph
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.advice.words import Words

_DOCS = "https://docs.ray.io/en/latest/ray-core"
_SERVE_DOCS = "https://docs.ray.io/en/latest/serve"
_TRAIN_DOCS = "https://docs.ray.io/en/latest/train/user-guides"


@frozen
class Reference:
    """A page of Ray's documentation."""

    title: str
    url: str


def _pattern(page: str, title: str) -> Reference:
    return Reference(title, f"{_DOCS}/patterns/{page}.html")


_LIMIT_PENDING = _pattern("limit-pending-tasks", "Pattern: Using ray.wait to limit the number of pending tasks")


COPIES = 2
"""How many actors a remedy would have in place of one."""


REFERENCES = {
    Pattern.GET_IN_LOOP: _pattern("ray-get-loop", "Anti-pattern: Calling ray.get in a loop harms parallelism"),
    Pattern.SUBMISSION_ORDER: _pattern(
        "ray-get-submission-order",
        "Anti-pattern: Processing results in submission order using ray.get increases runtime",
    ),
    Pattern.SMALL_TASKS: _pattern(
        "too-fine-grained-tasks", "Anti-pattern: Over-parallelizing with too fine-grained tasks harms speedup"
    ),
    Pattern.UNNECESSARY_GET: _pattern(
        "unnecessary-ray-get", "Anti-pattern: Calling ray.get unnecessarily harms performance"
    ),
    Pattern.ACTOR_BOTTLENECK: _pattern(
        "concurrent-operations-async-actor", "Pattern: Using asyncio to run actor methods concurrently"
    ),
    Pattern.STRAGGLER: _pattern("nested-tasks", "Pattern: Using nested tasks to achieve nested parallelism"),
    Pattern.COLD_WORKERS: _pattern(
        "redefine-task-actor-loop", "Anti-pattern: Redefining the same remote function or class harms performance"
    ),
    Pattern.PROCESS_PER_RUN: Reference("Environment Dependencies", f"{_DOCS}/handling-dependencies.html"),
    Pattern.TOO_FEW_IN_FLIGHT: _LIMIT_PENDING,
    Pattern.TOO_MANY_IN_FLIGHT: _LIMIT_PENDING,
    Pattern.NESTED_GET: _pattern("nested-ray-get", "Anti-pattern: Calling ray.get on task arguments harms performance"),
    Pattern.RETRIES: Reference("Task Fault Tolerance", f"{_DOCS}/fault_tolerance/tasks.html"),
    Pattern.DRIVER_CODE: _pattern("pipelining", "Pattern: Using pipelining to increase throughput"),
    Pattern.DRIVER_IMPORTS: _pattern("pipelining", "Pattern: Using pipelining to increase throughput"),
    Pattern.LARGE_ARGUMENTS: _pattern(
        "pass-large-arg-by-value", "Anti-pattern: Passing the same large argument by value repeatedly harms performance"
    ),
    Pattern.LARGE_CODE: _pattern(
        "closure-capture-large-objects", "Anti-pattern: Closure capturing large objects harms performance"
    ),
    Pattern.DRIVER_IDLE: _pattern(
        "ray-get-submission-order",
        "Anti-pattern: Processing results in submission order using ray.get increases runtime",
    ),
    Pattern.SEEN_LATE: _pattern(
        "ray-get-submission-order",
        "Anti-pattern: Processing results in submission order using ray.get increases runtime",
    ),
    Pattern.IDLE_TASKS: Reference("Resources: Fractional Resource Requirements", f"{_DOCS}/scheduling/resources.html"),
    Pattern.MORE_THREADS: Reference("Configuring Ray: Resources and threads", f"{_DOCS}/configure.html"),
    Pattern.LOCK: Reference("AsyncIO / Concurrency for Actors", f"{_DOCS}/actors/async_api.html"),
    Pattern.PACED_CALLS: Reference("AsyncIO / Concurrency for Actors", f"{_DOCS}/actors/async_api.html"),
    Pattern.ASKS_AGAIN: Reference("AsyncIO / Concurrency for Actors", f"{_DOCS}/actors/async_api.html"),
    Pattern.WAIT_FOR_MANY: _LIMIT_PENDING,
    Pattern.STORE_FULL: Reference("Object Spilling", f"{_DOCS}/objects/object-spilling.html"),
    Pattern.REPLICA_QUEUE: Reference("Ray Serve Autoscaling", f"{_SERVE_DOCS}/autoscaling-guide.html"),
    Pattern.BATCH_WAIT: Reference("Dynamic Request Batching", f"{_SERVE_DOCS}/advanced-guides/dyn-req-batch.html"),
    Pattern.MODEL_LOADS: Reference("Model Multiplexing", f"{_SERVE_DOCS}/model-multiplexing.html"),
    Pattern.ARGUMENTS_RESTORED: Reference("Object Spilling", f"{_DOCS}/objects/object-spilling.html"),
    Pattern.OTHER_JOBS: Reference("Resources", f"{_DOCS}/scheduling/resources.html"),
    Pattern.REPORTS_HELD: Reference("Monitoring and Logging Metrics", f"{_TRAIN_DOCS}/monitoring-logging.html"),
    Pattern.SLOW_REPLICA: Reference("Monitor Your Application", f"{_SERVE_DOCS}/monitoring.html"),
    Pattern.BLOCKED_LOOP: Reference("AsyncIO / Concurrency for Actors", f"{_DOCS}/actors/async_api.html"),
    Pattern.SLOW_ACTOR: Reference("Utility Classes: Actor Pool", f"{_DOCS}/actors/actor-utils.html"),
    Pattern.UNEVEN_POOL: Reference("Utility Classes: Actor Pool", f"{_DOCS}/actors/actor-utils.html"),
}


@frozen
class Candidate:
    """A pattern found in a job, before it is known what mending it would save."""

    pattern: Pattern
    function: str
    """What it is about: a function, or the driver."""
    words: Words
    """What was seen, and what to do."""
    mended: Graph | None
    """The job's constraints as they would be then; None where it would take as long."""
    rows: RowIds
    """The spans it was seen in, those that tell most first."""
    site: str | None = None
    """Where in the program, as `raytrace.call_site` has it."""
    certain: bool = True
    """Whether it is known that the program allows the change; else that depends on what no span tells."""
