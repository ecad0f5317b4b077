"""Every way to poll for a result, each inside a custom span that names it."""

import concurrent.futures
import contextlib
import gc
import os
import signal
import sys
import threading
import time

import ray
from opentelemetry import trace


def case(name):
    return trace.get_tracer("program").start_as_current_span(f"case {name}")


@ray.remote(num_cpus=0)
def sleeper(seconds, value=None):
    time.sleep(seconds)
    return value


@ray.remote(num_cpus=0)
def polling_task():
    left = [sleeper.remote(0.4)]
    while left:
        _, left = ray.wait(left, num_returns=len(left), timeout=0.02)


@ray.remote(num_cpus=0)
class Polling:
    def poll(self):
        refs = [sleeper.remote(0.4)]
        while not ray.wait(refs, timeout=0.02)[0]:
            pass


def poll(ref, timeout=0.02, between=None):
    while not ray.wait([ref], timeout=timeout)[0]:
        if between is not None:
            between()


def poll_with_get(ref):
    while True:
        with contextlib.suppress(ray.exceptions.GetTimeoutError):
            return ray.get(ref, timeout=0.05)


def work():
    began, cpu = time.monotonic(), time.thread_time()
    # On a busy machine it goes on until it has had a fair part of the time, and so has worked.
    while (had := time.thread_time() - cpu) < 0.02 or had < 0.3 * (time.monotonic() - began):
        pass


def all_cases():
    ray.get([sleeper.remote(0) for _ in range(2)])
    with case("poll"):
        poll(sleeper.remote(0.4))
    with case("poll with sleep"):
        poll(sleeper.remote(0.4), timeout=0, between=lambda: time.sleep(0.03))
    with case("poll with get"):
        assert poll_with_get(sleeper.remote(0.4, 7)) == 7
    with case("poll all"):
        refs = [sleeper.remote(seconds) for seconds in (0.1, 0.3, 0.5)]
        while len(ray.wait(refs, num_returns=3, timeout=0.05)[0]) < 3:
            pass
    with case("poll what is left"):
        left = [sleeper.remote(seconds) for seconds in (0.2, 0.5)]
        while left:
            _, left = ray.wait(left, timeout=0.02)
    with case("poll and submit"):
        slow = sleeper.remote(0.4)
        poll(slow, timeout=0.1, between=lambda: sleeper.remote(0))
    with case("poll and work"):
        slow = sleeper.remote(1.0)
        poll(slow, timeout=0.001, between=work)
    # What is loaded at the first time-out, and collecting garbage, is work of the thread between two polls.
    gc.disable()
    with contextlib.suppress(concurrent.futures.TimeoutError):
        sleeper.remote(0.4).future().result(timeout=0.05)
    with case("future"):
        future = sleeper.remote(0.4, 3).future()
        while True:
            with contextlib.suppress(concurrent.futures.TimeoutError):
                assert future.result(timeout=0.05) == 3
                break
    with case("give up"):
        slow = sleeper.remote(30)
        for _ in range(3):
            ray.wait([slow], timeout=0.05)
        time.sleep(0.5)

    def in_thread(number):
        with case(f"thread {number}"):
            poll(sleeper.remote(0.5), timeout=0.1)

    threads = [threading.Thread(target=in_thread, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ray.get(polling_task.remote())
    polling = Polling.remote()  # older versions of Ray lose what nobody keeps
    ray.get(polling.poll.remote())


def main(how):
    ray.init(num_cpus=2, address="local", include_dashboard=False, _tracing_startup_hook="raytrace_hook:setup_tracing")
    if how == "to the end":
        all_cases()
    # Under the driver itself, and without an end.
    slow, other = sleeper.remote(30), sleeper.remote(30)
    with contextlib.suppress(ray.exceptions.GetTimeoutError):
        ray.get([slow, other], timeout=0.05)
    if how == "between polls":
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "in a poll":
        threading.Timer(1, os.kill, [os.getpid(), signal.SIGKILL]).start()
        with contextlib.suppress(ray.exceptions.GetTimeoutError):
            ray.get([slow, other], timeout=60)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main(sys.argv[1])
