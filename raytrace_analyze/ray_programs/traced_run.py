"""Runs an unchanged Ray program with our hook: `python -m ...traced_run ADDRESS SCRIPT ARGS...`, or `-m MODULE`.

`ray.init`, called by the program or by Ray itself at the first `.remote()`, gets what switches tracing on: the
startup hook on a cluster of its own, a runtime_env on one that runs already. An empty ADDRESS leaves the choice to
the program and, where it has none, starts a cluster of its own.
"""

import contextlib
import functools
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

HOOK = "raytrace_hook:setup_tracing"
SERVE_SAMPLING = "RAY_SERVE_TRACING_SAMPLING_RATIO"
"""Ray Serve records one request of a hundred unless told otherwise; one run that is looked at has all of them."""


_NOT_THE_PROGRAM = ("<frozen runpy>", runpy.__file__, __file__)


def main() -> None:
    """Run the program named on the command line as `__main__`, with its own arguments."""
    address, *command = sys.argv[1:]
    os.environ.setdefault(SERVE_SAMPLING, "1")
    trace_next_init(address or None)
    sys.excepthook = _without_our_frames(sys.excepthook)
    try:
        _run(command)
    except SystemExit as end:
        with contextlib.suppress(Exception):
            sys.modules["raytrace_hook"].note_exit(end)  # not there where the program did not come to use Ray
        raise


def _without_our_frames(shows: Callable[..., Any]) -> Callable[..., Any]:
    """Return what shows an exception that ends the program as it does without us: from the program's first frame on."""

    def show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        while traceback is not None and traceback.tb_frame.f_code.co_filename in _NOT_THE_PROGRAM:
            traceback = traceback.tb_next
        shows(kind, error.with_traceback(traceback), traceback)

    return show


def _run(command: list[str]) -> None:
    is_module = command[0] == "-m"
    sys.argv = command[1:] if is_module else command
    if is_module:
        sys.path[0] = str(Path.cwd())
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
        runpy.run_path(sys.argv[0], run_name="__main__")


def trace_next_init(address: str | None) -> None:
    """Replace `ray.init` by one that switches tracing on; it connects to `address` where the program names none."""
    import ray
    import ray._private.worker as worker

    traced = _traced(ray.init, address)
    ray.init = traced
    worker.init = traced


def _traced(init: Callable[..., Any], default_address: str | None) -> Callable[..., Any]:
    @functools.wraps(init)
    def init_traced(address: str | None = None, *rest: Any, **options: Any) -> Any:
        address = address or default_address or os.environ.get("RAY_ADDRESS") or "local"
        if address == "local":
            options.setdefault("_tracing_startup_hook", HOOK)
        else:
            import raytrace_hook

            options["runtime_env"] = raytrace_hook.runtime_env(options.get("runtime_env"))
        return init(address, *rest, **options)

    return init_traced


if __name__ == "__main__":
    main()
