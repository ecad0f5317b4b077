"""The program's own spans: one around everything in the driver, some inside tasks, some in threads of a task.

What decides its time: "read config" in the driver, then task score 2, in it "compute", whose thread
"column b" is slow, then "publish" in the driver. The span of "column a" is made in a thread without the
task's context, so it has no parent; "column b" took the context along.
"""

import contextvars
import time
from concurrent.futures import ThreadPoolExecutor

import ray
from opentelemetry import trace
from truth import Body, Mark, body, cluster, find, last, mark

SLOW = 2
EXPECTED = ["read config", SLOW, f"column b {SLOW}", "publish"]


def column(name: str, key: int) -> None:
    with trace.get_tracer("report").start_as_current_span(name), body(name, f"{name} {key}", kind="span"):
        time.sleep(1.2 if (name, key) == ("column b", SLOW) else 0.15)


@ray.remote
def score(key: int) -> int:
    tracer = trace.get_tracer("report")
    with body("__main__.score", key):
        with tracer.start_as_current_span("read"), body("read", f"read {key}", kind="span"):
            time.sleep(0.05)
        with (
            tracer.start_as_current_span("compute", attributes={"report.key": key}),
            body("compute", f"compute {key}", kind="span"),
            ThreadPoolExecutor(2) as threads,
        ):
            threads.submit(column, "column a", key)
            threads.submit(contextvars.copy_context().run, column, "column b", key)
    return key


def main() -> None:
    with cluster():
        tracer = trace.get_tracer("report")
        with tracer.start_as_current_span("nightly report"):
            with tracer.start_as_current_span("read config"), body("read config", "read config", kind="span"):
                time.sleep(0.2)
            mark("submit_start")
            scores = [score.remote(key) for key in range(4)]
            mark("get_start", what="scores")
            ray.get(scores)
            mark("get_end", what="scores")
            with tracer.start_as_current_span("publish") as span, body("publish", "publish", kind="span"):
                span.add_event("published", {"report.scores": len(scores)})
                time.sleep(0.15)


def chain(bodies: list[Body], marks: list[Mark]) -> list[Body]:
    """In the driver's order; of the scores the last to end, of its columns the last to end."""
    slowest = last([b for b in bodies if b["function"] == "__main__.score"])
    key = slowest["key"]
    column_span = last([find(bodies, f"column {name} {key}") for name in "ab"])
    return [
        find(bodies, "read config"),
        slowest,
        find(bodies, f"compute {key}"),
        column_span,
        find(bodies, "publish"),
    ]


if __name__ == "__main__":
    main()
