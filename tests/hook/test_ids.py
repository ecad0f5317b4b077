"""The ids of spans take no numbers from the program's own random generator: what it draws is as without tracing."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider
from raytrace_hook.spans.ids import OwnIds, draw_own_ids, get_tracer

PROGRAM = """
import random
random.seed(7)
import raytrace_hook
raytrace_hook.setup_tracing()
from opentelemetry import trace
for _ in range(3):
    trace.get_tracer("program").start_span("one").end()
print(random.random())
"""


def test_a_program_that_seeds_its_random_numbers_draws_the_same(tmp_path: Path) -> None:
    environment = {**os.environ, "RAYTRACE_DIR": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert float(run.stdout) == random.Random(7).random()
    assert list(tmp_path.iterdir())


def test_beside_a_provider_of_the_programs_only_its_own_spans_draw_from_its_numbers() -> None:
    provider = TracerProvider()
    state = random.getstate()
    ids = [get_tracer("ours", provider).start_span("one").get_span_context().span_id for _ in range(3)]
    assert random.getstate() == state and len(set(ids)) == 3
    provider.get_tracer("program").start_span("one")
    assert random.getstate() != state


def test_a_provider_that_is_there_because_of_us_draws_none() -> None:
    provider = TracerProvider()
    draw_own_ids(provider)
    state = random.getstate()
    provider.get_tracer("serve").start_span("one")
    assert random.getstate() == state


def test_a_forked_process_gives_out_ids_of_its_own() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, str(OwnIds().generate_span_id()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(reading, 100)) != OwnIds().generate_span_id()
