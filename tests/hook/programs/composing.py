"""Sets tracing up in the way its first argument says, and runs a task."""

import sys

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from raytrace_hook import setup_tracing


class Counting(SpanProcessor):
    ended = 0

    def on_end(self, span):
        Counting.ended += 1


def own_hook():
    setup_tracing(span_processors=[Counting()], resource={"team": "blue", "service.name": "mine"})


def main(how):
    if how == "existing":
        provider = TracerProvider()
        provider.add_span_processor(Counting())
        trace.set_tracer_provider(provider)
    if how == "early":
        setup_tracing()
    import ray

    own = how == "own"
    hook = own_hook if own else "raytrace_hook:setup_tracing"
    if own:
        # Ray takes the hook by name: a module that every process can import.
        sys.modules.setdefault("composing", sys.modules["__main__"])
        hook = "composing:own_hook"
    ray.init(address="local", num_cpus=1, include_dashboard=False, _tracing_startup_hook=hook)

    @ray.remote
    def work():
        with trace.get_tracer("program").start_as_current_span("custom") as span:
            span.set_attribute("long", "x" * 100)
        return 1

    @ray.remote
    class Counter:
        async def add(self):
            return 1

    ray.get(work.remote())
    counter = Counter.remote()
    ray.get([counter.add.remote() for _ in range(4)])
    for _ in range(20):
        ray.wait([ray.put(1)], timeout=0)
    if own:
        ray.__traced__ = False
        own_hook()
    before = Counting.ended
    with trace.get_tracer("program").start_as_current_span("last"):
        pass
    sys.stdout.write(f"{Counting.ended - before}\n")


if __name__ == "__main__":
    main(sys.argv[1])
