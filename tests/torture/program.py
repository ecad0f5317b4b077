"""A traced program without Ray: `program.py HOW`; for each span that has ended it writes a byte to standard output."""

import os
import signal
import sys
import threading
import time

from opentelemetry import trace
from raytrace_hook import setup_tracing


def end_spans(count: int, fill: str = "") -> None:
    tracer = trace.get_tracer("torture")
    for _ in range(count):
        with tracer.start_as_current_span("span", attributes={"fill": fill} if fill else None):
            pass
        os.write(1, b".")


def exits() -> None:
    """Ends in the middle of it, without any of Python's own."""
    end_spans(int(sys.argv[2]))
    os._exit(3)


def runs_on() -> None:
    end_spans(10**9)


def in_threads() -> None:
    for _ in range(4):
        threading.Thread(target=end_spans, args=(10**9,), daemon=True).start()
    time.sleep(600)


def forks() -> None:
    """Threads end spans while the process forks; each child ends some of its own, in threads too."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            end_spans(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    children = []
    for _ in range(int(sys.argv[2])):
        pid = os.fork()
        if pid == 0:
            inner = threading.Thread(target=end_spans, args=(20,))
            inner.start()
            end_spans(20)
            inner.join()
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    stop.set()
    for thread in threads:
        thread.join()


def fills() -> None:
    """Ends spans on a small disk until told by SIGUSR1 that there is room again, then some more."""
    room = threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: room.set())
    while not room.is_set():
        end_spans(20, fill="x" * 2000)
    time.sleep(1.2)  # after a write that failed the hook rests for a second
    end_spans(50)


def ends() -> None:
    end_spans(int(sys.argv[2]))


def limited() -> None:
    """No file may be larger than it says; the signal that tells of it would end the process."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    end_spans(200, fill="x" * 2000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    time.sleep(1.2)
    end_spans(50)


setup_tracing()
globals()[sys.argv[1]]()
