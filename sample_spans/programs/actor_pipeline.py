"""A pipeline of three actors, six items: Loader, Cleaner, Writer. The Writer is slow, one call at a time.

What decides its time: the Writer's calls, one after another; before them only what the first one waited
for.
"""

import time

import ray
from truth import Body, Mark, body, cluster, find, mark

ITEMS = 6
EXPECTED = [f"write {item}" for item in range(ITEMS)]
STAGES = ("Loader.load", "Cleaner.clean", "Writer.write")


@ray.remote
class Loader:
    def __init__(self) -> None:
        with body("Loader.__init__", "Loader"):
            time.sleep(0.02)

    def load(self, item: int) -> int:
        with body("Loader.load", f"load {item}"):
            time.sleep(0.03)
        return item


@ray.remote
class Cleaner:
    def __init__(self) -> None:
        with body("Cleaner.__init__", "Cleaner"):
            time.sleep(0.02)

    def clean(self, item: int) -> int:
        with body("Cleaner.clean", f"clean {item}"):
            time.sleep(0.05)
        return item


@ray.remote
class Writer:
    def __init__(self) -> None:
        with body("Writer.__init__", "Writer"):
            time.sleep(0.02)

    def write(self, item: int) -> int:
        with body("Writer.write", f"write {item}"):
            time.sleep(0.18)
        return item


def main() -> None:
    with cluster():
        mark("submit_start")
        loader, cleaner, writer = Loader.remote(), Cleaner.remote(), Writer.remote()
        loaded = [loader.load.remote(item) for item in range(ITEMS)]
        cleaned = [cleaner.clean.remote(item) for item in loaded]
        written = [writer.write.remote(item) for item in cleaned]
        mark("submit_end")
        mark("get_start", what="all written")
        ray.get(written)
        mark("get_end", what="all written")


def before(bodies: list[Body], call: Body) -> list[Body]:
    """What a call can have waited for: its argument, and the actor's call before it (or its creation)."""
    same_actor = [b for b in bodies if b["pid"] == call["pid"] and b["end_ns"] <= call["start_ns"]]
    stage = STAGES.index(call["function"]) if call["function"] in STAGES else 0
    item = str(call["key"]).partition(" ")[2]
    argument = [find(bodies, f"{STAGES[stage - 1].partition('.')[2]} {item}")] if stage else []
    return argument + same_actor[-1:]


def chain(bodies: list[Body], marks: list[Mark]) -> list[Body]:
    """From the last write back: of the argument and the actor's call before, the one that ended later."""
    found = [find(bodies, f"write {ITEMS - 1}")]
    while earlier := before(bodies, found[0]):
        found.insert(0, max(earlier, key=lambda b: b["end_ns"]))
    return found


if __name__ == "__main__":
    main()
