"""How much CPU a prediction takes a span: `python benchmarks/replay_speed.py [SPANS]`, by default a million.

Fails where anything takes more than `LIMIT_US` microseconds a span, of a million or more.
"""

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.synthetic import fan_out_table
from raytrace_analyze.analyses.slack import run_slack
from raytrace_analyze.replay.change import Change
from raytrace_analyze.replay.job import read_job
from raytrace_analyze.replay.passes.forward import replay

LIMIT_US = 5.0


def measure(name: str, spans: int, call: Callable[[], Any]) -> tuple[Any, float]:
    begin = time.process_time()
    result = call()
    taken = (time.process_time() - begin) / spans * 1e6
    print(f"{name:42} {taken:6.2f} µs CPU a span")
    return result, taken


def main() -> int:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    table = fan_out_table(wanted)
    count = table.height
    job, reading = measure("read the job and its constraints", count, lambda: read_job(table))
    _, unchanged = measure("replay, nothing changed", count, lambda: replay(job.graph))
    _, faster = measure("replay, one function twice as fast", count, lambda: replay(job.graph, Change({"work1": 2.0})))
    _, slots = measure("replay, 64 slots: event by event", count, lambda: replay(job.graph, Change(slots=64)))
    _, slack = measure("slack of every run", count, lambda: run_slack(job))
    most = reading + max(unchanged, faster)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count:,} spans; a prediction from the table on: {most:.2f} µs CPU a span; peak memory {peak:,.0f} MB")
    # What a small table takes is mostly what any takes.
    return int(wanted >= 1_000_000 and max(most, slots, slack) > LIMIT_US)


if __name__ == "__main__":
    sys.exit(main())
