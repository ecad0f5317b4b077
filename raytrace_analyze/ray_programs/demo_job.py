"""The Ray program behind `raytrace-analyze demo`: ten seconds of work with a known slow spot in each part.

Run as `python -m raytrace_analyze.ray_programs.demo_job`, so that its functions carry the names every script's have in
Ray (`__main__.load_part`). What a look at the trace should find:

1. map-reduce: `load_part` reads eight parts, part 5 much slower than the rest; `merge_parts` merges
   in a tree, and everything on the way from part 5 to the top waits for it.
2. nested tasks: `tune` submits four `evaluate` tasks and waits; the last is the slow one, in its span `fit`.
3. an actor: every `Scoreboard.add` is called at once, and they run one after another.
"""

import time
from typing import Any

PARTS = 8
SLOW_PART = 5
FOLDS = 4
SLOW_FOLD = 3
ROUNDS = 10

Counts = dict[str, int]


def load_part(part: int) -> Counts:
    """Reads one part; part 5 lies on a slow disk."""
    time.sleep(2.6 if part == SLOW_PART else 0.4)
    return {f"word{i}": part + i for i in range(100)}


def merge_parts(left: Counts, right: Counts) -> Counts:
    """Adds up the counts of two parts."""
    time.sleep(0.3)
    return {word: left.get(word, 0) + right.get(word, 0) for word in left.keys() | right.keys()}


def evaluate(counts: Counts, fold: int) -> float:
    """Fits and scores a model on one fold, each in a span of its own."""
    from opentelemetry import trace

    tracer = trace.get_tracer("demo")
    with tracer.start_as_current_span("fit", attributes={"fold": fold}):
        time.sleep(1.4 if fold == SLOW_FOLD else 0.4)
    with tracer.start_as_current_span("score"):
        time.sleep(0.1)
        return sum(counts.values()) % (fold + 7) / 10


def tune(counts: Counts) -> list[float]:
    """Evaluates all folds in parallel: a task that submits tasks and waits for them."""
    import ray

    fold = ray.remote(evaluate)
    scores: list[float] = ray.get([fold.remote(counts, number) for number in range(FOLDS)])
    return scores


class Scoreboard:
    """Keeps the scores of all rounds; an actor, so it takes one call at a time."""

    def __init__(self) -> None:
        self.total = 0.0

    def add(self, score: float) -> float:
        """Adds a score and tells the sum so far."""
        time.sleep(0.2)
        self.total += score
        return self.total


def merge_tree(parts: list[Any]) -> Any:
    """Submits the merges pair by pair, level by level; takes and gives references to results."""
    import ray

    merge = ray.remote(merge_parts)
    while len(parts) > 1:
        parts = [merge.remote(left, right) for left, right in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def run() -> float:
    """Submits the whole job and waits for its result: the final score."""
    import ray

    board = ray.remote(Scoreboard).remote()
    load = ray.remote(load_part)
    counts = merge_tree([load.remote(part) for part in range(PARTS)])
    scores: list[float] = ray.get(ray.remote(tune).remote(counts))
    totals: list[float] = ray.get([board.add.remote(scores[number % FOLDS]) for number in range(ROUNDS)])
    return totals[-1]


def main() -> None:
    """Starts Ray with our hook on two CPUs, runs the job, and stops Ray."""
    import ray

    ray.init(
        address="local",  # a cluster of its own, even where another one is running
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _tracing_startup_hook="raytrace_hook:setup_tracing",
    )
    started = time.monotonic()
    score = run()
    print(f"The Ray job took {time.monotonic() - started:.1f} s (final score {score:.1f}).")  # noqa: T201
    ray.shutdown()


if __name__ == "__main__":
    main()
