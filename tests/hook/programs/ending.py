"""A program that ends in the way its first argument says."""

import os
import signal
import sys
import threading
import time

import ray
import raytrace_hook
from opentelemetry import trace


@ray.remote
def work(x):
    return x


@ray.remote
def sleep(seconds):
    time.sleep(seconds)


def main(ending):
    ray.init(num_cpus=1, address="local", include_dashboard=False, _tracing_startup_hook="raytrace_hook:setup_tracing")
    assert ray.get(work.remote(1)) == 1
    if ending == "exception":
        raise ValueError("on purpose")
    if ending == "finally":
        try:
            raise ValueError("on purpose")
        finally:
            ray.shutdown()
    if ending == "handled":
        try:
            raise ValueError("on purpose")
        except ValueError:
            ray.shutdown()
        raise LookupError("something else")
    if ending == "told":
        try:
            sys.exit(3)
        except SystemExit as end:
            raytrace_hook.note_exit(end)
            raise
        finally:
            ray.shutdown()
    if ending == "exit":
        sys.exit(7)
    if ending == "sigterm":
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
        time.sleep(30)
    if ending == "sigkill":
        with trace.get_tracer("program").start_as_current_span("dying"):
            os.kill(os.getpid(), signal.SIGKILL)
    if ending == "hang":
        stuck = sleep.remote(1000)
        sys.stdout.write("hangs\n")
        sys.stdout.flush()
        ray.get(stuck)
    if ending == "twice":
        ray.shutdown()
        with trace.get_tracer("program").start_as_current_span("between"):
            pass
        ray.init(
            num_cpus=1, address="local", include_dashboard=False, _tracing_startup_hook="raytrace_hook:setup_tracing"
        )
        assert ray.get(work.remote(2)) == 2
    if ending == "fork":
        child = os.fork()
        with trace.get_tracer("program").start_as_current_span("child" if child == 0 else "parent"):
            pass
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
    if ending == "again":
        from raytrace_hook import setup_tracing

        ray.__traced__ = False
        for _ in range(3):
            setup_tracing()
        ray.get(work.remote(2))


if __name__ == "__main__":
    main(sys.argv[1])
