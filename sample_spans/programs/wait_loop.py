"""Back-pressure with ray.wait: ten pages, at most two in flight; the driver handles each one for 10 ms.

What decides its time: page 8 is slow and comes back last; before it the pages whose return let the driver
submit the next one of the chain. Page 9, submitted after page 8, is done long before.
"""

import time

import ray
from truth import Body, Mark, body, cluster, find, mark

PAGES = 10
IN_FLIGHT = 2
SLOW = 8
NEAR_NS = 20_000_000
"""What lies nearer together than this could be either way round."""
EXPECTED = [SLOW]


@ray.remote
def fetch_page(page: int) -> int:
    with body("__main__.fetch_page", page):
        time.sleep(1.1 if page == SLOW else 0.12)
    return page


def main() -> None:
    with cluster():
        waiting = list(range(PAGES))
        running: dict[ray.ObjectRef, int] = {}
        while waiting or running:
            while waiting and len(running) < IN_FLIGHT:
                page = waiting.pop(0)
                mark("submit", page=page)
                running[fetch_page.remote(page)] = page
            start_ns = time.time_ns()
            ready, _ = ray.wait(list(running), num_returns=1)
            mark("wait", page=running[ready[0]], start_ns=start_ns)
            time.sleep(0.01)
            del running[ready[0]]


def driver_was_waiting_for(bodies: list[Body], marks: list[Mark], before_ns: int) -> Body | None:
    """The page whose end the driver last waited for before that time: not ended when the wait began."""
    for wait in reversed([m for m in marks if m["name"] == "wait" and m["t_ns"] <= before_ns]):
        page = find(bodies, wait["page"])
        if page["end_ns"] > wait["start_ns"]:
            return page
    return None


def chain(bodies: list[Body], marks: list[Mark]) -> list[Body]:
    """From the page the driver waited for last, back through what let each one start.

    That is the page before it in the same worker, where it had to wait for that one, else the page whose
    return let the driver submit it.
    """
    found: list[Body] = []
    current = driver_was_waiting_for(bodies, marks, marks[-1]["t_ns"])
    while current is not None:
        found.insert(0, current)
        submitted_ns = next(m["t_ns"] for m in marks if m["name"] == "submit" and m["page"] == current["key"])
        same_worker = [b for b in bodies if b["pid"] == current["pid"] and b["end_ns"] <= current["start_ns"]]
        if same_worker and same_worker[-1]["end_ns"] > submitted_ns + NEAR_NS:
            current = same_worker[-1]
        else:
            current = driver_was_waiting_for(bodies, marks, submitted_ns)
    return found


def is_clear(bodies: list[Body], marks: list[Mark], found: list[Body]) -> bool:
    """Whether one page alone let the driver go on each time: it did so at once, and no other one ended then."""
    ends = {b["key"]: b["end_ns"] for b in bodies}
    prompt = all(m["t_ns"] - max(ends[m["page"]], m["start_ns"]) < NEAR_NS for m in marks if m["name"] == "wait")
    return prompt and not any(0 < end - b["end_ns"] < NEAR_NS for end in ends.values() for b in found)


if __name__ == "__main__":
    main()
