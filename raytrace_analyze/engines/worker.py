"""The other end of `engines.local`: a process that decodes what it is told to on its standard input."""

import io
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Iterator
from typing import BinaryIO

import polars as pl

from raytrace_analyze.engines.plan import Task
from raytrace_analyze.errors import RaytraceError
from raytrace_analyze.model import Decoded, Problem

Reply = tuple[bytes, tuple[Problem, ...]] | RaytraceError | None
"""A frame as an Arrow IPC file and its problems; what went wrong; or that the task is done."""


_SHARED = ("events", "links", "resource", "source", "session", "instance_id", "node_id", "worker_id", "function")
"""Columns in which a process says the same again and again."""


def serve() -> None:
    """Answer tasks from standard input on standard output until the input ends; both are pickled."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes the input
    tasks = sys.stdin.buffer
    # Whatever else is printed in here must not get between the replies.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        while task := _next_task(tasks):
            for reply in _replies(task):
                pickle.dump(reply, replies, protocol=5)
            replies.flush()
    except BrokenPipeError:  # the parent is gone
        os._exit(1)


def _next_task(tasks: BinaryIO) -> Task | None:
    try:
        task = pickle.load(tasks)
    except EOFError:
        return None
    assert isinstance(task, Task)
    return task


def _replies(task: Task) -> Iterator[Reply]:
    try:
        for decoded in task.run():
            yield _packed(decoded)
    except RaytraceError as error:
        yield error
    except Exception:
        yield RaytraceError(f"cannot decode {task.files[0].path}: {traceback.format_exc()}")
    yield None


def _packed(decoded: Decoded) -> Reply:
    # An Arrow file takes half the time of a pickled frame; what many rows share is sent once, half of the bytes.
    shared = [pl.col(name).cast(pl.Categorical) for name in _SHARED]
    return decoded.frame.with_columns(shared).write_ipc(None).getvalue(), decoded.problems


def unpacked(packed: bytes) -> pl.DataFrame:
    """Give the frame (of `schema.DECODED`) that a reply holds."""
    return pl.read_ipc(io.BytesIO(packed)).cast(dict.fromkeys(_SHARED, pl.String))
