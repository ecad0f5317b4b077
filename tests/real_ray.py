"""A real Ray cluster in processes of its own, for tests."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hook.reader import PATIENCE, free_port

OPEN_CLUSTER = {"RAY_AUTH_MODE": "disabled"}
"""From Ray 2.60 on `ray start` asks for a token; these clusters listen to this machine only."""

SOON_NOTICED = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 1000}
"""For `_system_config`: that a node is dead is noticed after some five seconds, not twenty."""


@contextmanager
def cluster(folder: Path, options: Sequence[str], **environment: str) -> Iterator[str]:
    """Start a cluster in a process of its own, with options of `ray start`; gives its address, and stops it."""
    if " " in sys.prefix:
        pytest.skip("`ray start` puts Python's path into LD_PRELOAD unquoted: its cluster dies where that has a space")
    log = folder / "ray-start.log"
    port = free_port()
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--node-ip-address=127.0.0.1"]
    # A folder of its own, short for the sockets in it: the default one is where other programs look for a cluster.
    ray_folder = Path(tempfile.mkdtemp(prefix="rt-"))
    own = [f"--temp-dir={ray_folder}", "--num-cpus=2", "--include-dashboard=false", f"--port={port}"]
    with log.open("w") as out:
        head = subprocess.Popen(
            [*start, *own, *options],
            env={**os.environ, **PATIENCE, **environment, **OPEN_CLUSTER},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        for _ in range(600):
            if re.search(r"Ray runtime started", log.read_text()):
                break
            assert head.poll() is None, log.read_text()
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        head.send_signal(signal.SIGTERM)
        head.wait(timeout=60)
        shutil.rmtree(ray_folder, ignore_errors=True)


def run_traced(program: Path, spans: Path, *arguments: str, **environment: str) -> None:
    """Run a program that names the hook itself, or whose cluster has it; its spans go to a folder."""
    done = subprocess.run(
        [sys.executable, str(program), *arguments],
        env={**os.environ, "RAYTRACE_DIR": str(spans), **PATIENCE, **environment},
        capture_output=True,
        text=True,
        timeout=480,
        check=False,
    )
    assert done.returncode == 0, done.stderr
