"""Decodes files with several threads or processes of this machine, where that is faster than with one."""

import os
import pickle
import queue
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from raytrace_analyze.decode import format_of
from raytrace_analyze.engines.plan import Task, plan
from raytrace_analyze.engines.worker import Reply, unpacked
from raytrace_analyze.errors import RaytraceError
from raytrace_analyze.model import Compression, Decoded, InputFile, Progress

PARALLEL_BYTES = 256 << 20
"""From this much on several processes are faster than one. Measured with two, which gain least."""
THREADED_BYTES = 16 << 20
"""From this much span JSON on several threads are."""

_PACKED_RATIO = 10
"""How much larger span JSON is unpacked, about."""

_COMMAND = [sys.executable, "-P", "-c", "from raytrace_analyze.engines.worker import serve; serve()"]


def _say_nothing() -> None:
    pass


def decode_files(
    files: Sequence[InputFile], *, workers: int | None = None, progress: Progress | None = None
) -> Iterator[Decoded]:
    """Give the spans of all files, in the order of the files (and of the bytes in them).

    `workers` is the number of threads or processes; by default as many as there are CPUs for us, and just one
    if there is little to decode. Span JSON is read as whole columns, for which threads do; what is read record by
    record takes processes. Files that hold no spans are passed over. At most `workers` + 2 tasks (of some 32 MiB of
    JSON, or one packed file or table) are in memory besides what was given. `progress` is told which share of the bytes
    is decoded.

    Raises UsageError like `decode_file`, and RaytraceError if a process dies.
    """
    tasks = list(plan([file for file in files if format_of(file).holds_spans]))
    count = min(workers or _cpus(), len(tasks))
    by_record = [file for file in files if not format_of(file).reads_columns]
    is_threaded = _json_bytes(by_record) < min(PARALLEL_BYTES, _json_bytes(files) / 2)
    least = THREADED_BYTES if is_threaded else PARALLEL_BYTES
    if count < 2 or (workers is None and _json_bytes(files) < least):
        for task, told in zip(tasks, _shares(tasks, progress), strict=True):
            yield from task.run()
            told()
    elif is_threaded:
        yield from _side_by_side(tasks, lambda task: list(task.run()), count, progress)
    else:
        yield from _decode_in_workers(tasks, count, progress)


def _shares(tasks: Sequence[Task], progress: Progress | None) -> Iterator[Callable[[], None]]:
    """Give for each task what to call when it is done."""
    whole = max(sum(task.size_bytes for task in tasks), 1)
    done = 0
    for task in tasks:
        done += task.size_bytes
        yield partial(progress, done / whole) if progress is not None else _say_nothing


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _json_bytes(files: Sequence[InputFile]) -> int:
    return sum(
        file.size_bytes * (1 if file.compression is Compression.NONE else _PACKED_RATIO)
        for file in files
        if format_of(file).read is not None
    )


def _decode_in_workers(tasks: Sequence[Task], count: int, progress: Progress | None) -> Iterator[Decoded]:
    """Decode with `count` processes, each of which a thread of ours talks to."""
    workers = [_Worker() for _ in range(count)]
    idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def decode(task: Task) -> list[Decoded]:
        worker = idle.get()
        try:
            return worker.decode(task)
        finally:
            idle.put(worker)

    def end() -> None:
        for worker in workers:
            worker.end()

    yield from _side_by_side(tasks, decode, count, progress, end)


def _side_by_side(
    tasks: Sequence[Task],
    decode: Callable[[Task], list[Decoded]],
    count: int,
    progress: Progress | None,
    end: Callable[[], None] = _say_nothing,
) -> Iterator[Decoded]:
    """Decode tasks in `count` threads, and give what comes of them in their order; calls `end` whatever happens."""
    threads = ThreadPoolExecutor(count, thread_name_prefix="decode")
    waiting = deque(tasks)
    shares = _shares(tasks, progress)
    running: deque[Future[list[Decoded]]] = deque()
    try:
        while waiting or running:
            while waiting and len(running) < count + 2:
                running.append(threads.submit(decode, waiting.popleft()))
            yield from running.popleft().result()
            next(shares)()
    finally:
        end()
        threads.shutdown(cancel_futures=True)


class _Worker:
    """A process that runs `engines.worker.serve`.

    A plain child process: one of multiprocessing would run the user's main program again, which a script
    without `if __name__ == "__main__"` does not survive.
    """

    def __init__(self) -> None:
        paths = [path for path in sys.path if path]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "POLARS_MAX_THREADS": "1"}
        self._process = subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

    def decode(self, task: Task) -> list[Decoded]:
        """Have the task done; raises what went wrong there, and RaytraceError if the process dies."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        results: list[Decoded] = []
        failure: RaytraceError | None = None
        try:
            pickle.dump(task, self._process.stdin, protocol=5)
            self._process.stdin.flush()
            while (reply := pickle.load(self._process.stdout)) is not None:
                if isinstance(reply, RaytraceError):
                    failure = reply
                else:
                    results.append(_unpacked(reply))
        except (EOFError, BrokenPipeError, pickle.UnpicklingError, ValueError) as error:
            raise RaytraceError(
                f"a decoding process ended ({self._how_it_ended()}) while it read {task.files[0].path}; "
                "if memory is short, merge fewer files at a time"
            ) from error
        if failure is not None:
            raise failure
        return results

    def _how_it_ended(self) -> str:
        code = self._process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def end(self) -> None:
        """Stop the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # a task that the process did not live to take is still in the pipe
                    pipe.close()


def _unpacked(reply: Reply) -> Decoded:
    assert isinstance(reply, tuple)
    frame, problems = reply
    return Decoded(unpacked(frame), problems)
