"""A map-reduce with a straggler: eight maps on two CPUs, reduced pair by pair. Map 5 is the slow one.

What decides its time: map 5, then the reduces that needed it: L1.2, L2.1, L3.0. All other reduces are done
long before.
"""

import time

import ray
from truth import Body, Mark, body, cluster, find, last, mark

MAPS = 8
SLOW = 5
EXPECTED = [5, "L1.2", "L2.1", "L3.0"]


@ray.remote
def map_part(key: int) -> int:
    with body("__main__.map_part", key):
        time.sleep(1.6 if key == SLOW else 0.08 + 0.01 * (key % 3))
    return key


@ray.remote
def reduce_pair(key: str, left: int, right: int) -> int:
    with body("__main__.reduce_pair", key):
        time.sleep(0.1)
    return left + right


def main() -> None:
    with cluster():
        mark("submit_start")
        level = [map_part.remote(key) for key in range(MAPS)]
        depth = 0
        while len(level) > 1:
            depth += 1
            pairs = zip(level[::2], level[1::2], strict=True)
            level = [reduce_pair.remote(f"L{depth}.{i}", *pair) for i, pair in enumerate(pairs)]
        mark("submit_end")
        mark("get_start", what="L3.0")
        ray.get(level[0])
        mark("get_end", what="L3.0")


def chain(bodies: list[Body], marks: list[Mark]) -> list[Body]:
    """From the top down: of the two arguments the one that ended later."""
    found = [find(bodies, "L3.0")]
    for depth in (2, 1, 0):
        parent = int(str(found[0]["key"]).partition(".")[2])
        inputs = [f"L{depth}.{i}" if depth else i for i in (2 * parent, 2 * parent + 1)]
        found.insert(0, last([find(bodies, key) for key in inputs]))
    return found


if __name__ == "__main__":
    main()
