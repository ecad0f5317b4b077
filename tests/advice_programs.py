"""Real Ray programs that have a pattern that costs time, and programs that look like them and have not."""

import re

WORK = """
@ray.remote
def work(value, seconds=0.3):
    time.sleep(seconds)
    return value
"""

BEGINNING = """
import os, sys, time
import ray
ray.init(address="local", num_cpus=4, include_dashboard=False, _tracing_startup_hook="raytrace_hook:setup_tracing")

@ray.remote
def warm():
    time.sleep(0.8)
@ray.remote
def work(value, seconds=0.3):
    time.sleep(seconds)
    return value
def until(flag):
    # Until something else is over, and a second longer, however long that takes on this machine.
    while not os.path.exists(flag):
        time.sleep(0.05)
    time.sleep(1.0)
started = [warm.remote() for _ in range(8)] if os.path.basename(sys.argv[0]) != "cold.py" else []
if not os.path.basename(sys.argv[0]).startswith("cold"):
    ray.get(started)
"""
"""Every worker process is there, and has loaded what it needs, before the part that is looked at; but in `cold`."""

PROGRAMS = {
    "one by one": """
out = []
for i in range(8):
    out.append(ray.get(work.remote(i)))
""",
    "each takes the result before": """
x = 0
for i in range(8):
    x = ray.get(work.remote(x)) + 1
""",
    "each takes the reference before": """
x = 0
for i in range(8):
    x = work.remote(x)
    ray.get(x)
""",
    "stops at a result": """
for i in range(8):
    if ray.get(work.remote(i)) > 100:
        break
""",
    "all at once": """
ray.get([work.remote(i) for i in range(8)])
""",
    "in order of submission": """
refs = [work.remote(i, 2.0 if i == 0 else 0.3) for i in range(10)]
for ref in refs:
    ray.get(ref)
    time.sleep(0.2)
""",
    "as they come": """
refs = [work.remote(i, 2.0 if i == 0 else 0.3) for i in range(10)]
while refs:
    ready, refs = ray.wait(refs)
    ray.get(ready[0])
    time.sleep(0.2)
""",
    # One at a time: on a busy machine one of several beside each other can take much longer than the others.
    "in order and equal": """
refs = [work.options(num_cpus=4).remote(i) for i in range(10)]
for ref in refs:
    ray.get(ref)
    time.sleep(0.2)
""",
    "tiny": """
@ray.remote
def tiny(i):
    return i
ray.get([tiny.remote(i) for i in range(1500)])
""",
    "tiny beside a long one": """
@ray.remote
def tiny(i):
    return i
@ray.remote
def long(flag):
    until(flag)
over = f"{os.environ['RAYTRACE_DIR']}-tiny"
l = long.remote(over)
ray.get([tiny.remote(i) for i in range(200)])
open(over, "w").close()
ray.get(l)
""",
    "passed on": """
refs = []
for i in range(4):
    x = ray.get(work.remote(i, 0.4))
    refs.append(work.remote(x, 0.4))
ray.get(refs)
""",
    "used, then passed on": """
loads = [work.remote(i, 0.4) for i in range(4)]
refs = []
for load in loads:
    x = ray.get(load)
    y = [x, x]
    refs.append(work.remote(y, 0.4))
ray.get(refs)
""",
    "everything into one actor": """
@ray.remote
class Store:
    def add(self, x, seconds):
        time.sleep(seconds)
store = Store.remote()
ray.get(store.add.remote(0, 0))
ray.get([store.add.remote(work.remote(i, 0.1), 0.25) for i in range(12)])
""",
    "actor without a queue": """
@ray.remote
class Store:
    def add(self, x, seconds):
        time.sleep(seconds)
store = Store.remote()
ray.get(store.add.remote(0, 0))
for i in range(6):
    x = ray.get(work.remote(i))
    ray.get(store.add.remote(x, 0.25))
    time.sleep(0.1)
""",
    "one long run": """
ray.get([work.remote(i, 3.0 if i == 9 else 0.3) for i in range(12)])
""",
    "one long run off the path": """
@ray.remote
def long(flag):
    until(flag)
over = f"{os.environ['RAYTRACE_DIR']}-works"
l = long.remote(over)
ray.get([work.remote(i, 2.0 if i == 1 else 0.3) for i in range(12)])
open(over, "w").close()
ray.get(l)
""",
    "runs of all lengths": """
ray.get([work.remote(i, 0.15 * i) for i in range(1, 13)])
""",
    "cold": """
ray.get([work.remote(i) for i in range(8)])
""",
    "cold beside the driver's work": """
futures = [ref.future() for ref in started]
while not all(future.done() for future in futures):
    sum(range(100_000))  # work, and no wait: a loop that polls waits
ray.get(started)
ray.get([work.remote(i) for i in range(8)])
""",
    "rounds": """
import random
random.seed(1)
for i in range(4):
    ray.get([work.remote(i, 0.2 + 0.6 * (k == i % 3)) for k in range(3)])
""",
    "rounds that pass on a state": """
state = 0
for i in range(4):
    state = max(ray.get([work.remote(state, 0.2 + 0.6 * (k == i % 3)) for k in range(3)]))
""",
    "two in flight": """
pending = [work.remote(i) for i in range(2)]
for i in range(2, 16):
    ready, pending = ray.wait(pending)
    ray.get(ready)
    pending.append(work.remote(i))
ray.get(pending)
""",
    "as many in flight as there are slots": """
pending = [work.remote(i) for i in range(4)]
for i in range(4, 20):
    ready, pending = ray.wait(pending)
    ray.get(ready)
    pending.append(work.remote(i))
ray.get(pending)
""",
    "each follows from one that came back": """
pending = [work.remote(i) for i in range(2)]
for i in range(2, 16):
    ready, pending = ray.wait(pending)
    value = ray.get(ready[0])
    pending.append(work.remote(value + 1))
ray.get(pending)
""",
    "thousands at once": """
ray.get([work.remote(i, 0.002) for i in range(2500)])
""",
    "tasks that wait for their own": """
@ray.remote
def leaf(i):
    time.sleep(0.3)
    return i
@ray.remote
def branch(i):
    return sum(ray.get([leaf.remote(k) for k in range(3)]))
ray.get([branch.remote(i) for i in range(6)])
""",
    "tasks that depend": """
@ray.remote
def leaf(i):
    time.sleep(0.3)
    return i
@ray.remote
def branch(*values):
    return sum(values)
ray.get([branch.remote(*[leaf.remote(k) for k in range(3)]) for i in range(6)])
""",
    "actors that hold a CPU and wait": """
@ray.remote(num_cpus=1)
class Boss:
    def ready(self): pass
    def run(self, i):
        return sum(ray.get([work.remote(k) for k in range(3)]))
bosses = [Boss.remote() for _ in range(3)]
ray.get([b.ready.remote() for b in bosses])
ray.get([b.run.remote(1) for b in bosses])
""",
    "actors that hold none and wait": """
@ray.remote
class Boss:
    def ready(self): pass
    def run(self, i):
        return sum(ray.get([work.remote(k) for k in range(3)]))
bosses = [Boss.remote() for _ in range(3)]
ray.get([b.ready.remote() for b in bosses])
ray.get([b.run.remote(1) for b in bosses])
""",
    "fails once": """
@ray.remote(max_retries=3, retry_exceptions=True)
def flaky(path):
    time.sleep(1.0)
    if not os.path.exists(path):
        open(path, "w").close()
        raise ValueError("not yet")
ray.get(flaky.remote(f"{os.environ['RAYTRACE_DIR']}-flag"))
""",
    "fails once off the path": """
@ray.remote(max_retries=3, retry_exceptions=True)
def flaky(path):
    time.sleep(0.2)
    if not os.path.exists(path):
        open(path, "w").close()
        raise ValueError("not yet")
    open(f"{path}-over", "w").close()
@ray.remote
def steady(flag):
    until(flag)
flag = f"{os.environ['RAYTRACE_DIR']}-flag"
x = flaky.remote(flag)
ray.get(steady.remote(f"{flag}-over"))
ray.get(x)
""",
    "driver between stages": """
ray.get([work.remote(i) for i in range(4)])
begun, used = time.monotonic(), time.process_time()
# Where others have the CPU for most of the time, nobody can say that it worked: so long, it goes on.
while (cpu := time.process_time() - used) < 1.2 or cpu < 0.7 * (time.monotonic() - begun) < 40:
    pass
ray.get([work.remote(i) for i in range(4)])
""",
    "driver sleeps between stages": """
ray.get([work.remote(i) for i in range(4)])
time.sleep(1.5)
ray.get([work.remote(i) for i in range(4)])
""",
    "driver beside its tasks": """
refs = [work.remote(i, 2.0) for i in range(4)]
time.sleep(1.5)
ray.get(refs)
""",
}

PATTERNS = (
    (
        "get-in-loop",
        "one by one",
        (
            "each takes the result before",
            "each takes the reference before",
            "stops at a result",
            "all at once",
        ),
    ),
    (
        "submission-order",
        "in order of submission",
        (
            "as they come",
            "in order and equal",
        ),
    ),
    ("small-tasks", "tiny", ("tiny beside a long one",)),
    ("unnecessary-get", "passed on", ("used, then passed on",)),
    ("actor-bottleneck", "everything into one actor", ("actor without a queue",)),
    (
        "straggler",
        "one long run",
        (
            "one long run off the path",
            "runs of all lengths",
        ),
    ),
    ("cold-workers", "cold", ("cold beside the driver's work",)),
    ("too-few-in-flight", "rounds", ("rounds that pass on a state",)),
    (
        "too-few-in-flight",
        "two in flight",
        (
            "as many in flight as there are slots",
            "each follows from one that came back",
        ),
    ),
    ("too-many-in-flight", "thousands at once", ("as many in flight as there are slots",)),
    ("nested-get", "tasks that wait for their own", ("tasks that depend",)),
    ("nested-get", "actors that hold a CPU and wait", ("actors that hold none and wait",)),
    ("retries", "fails once", ("fails once off the path",)),
    ("driver-code", "driver between stages", ("driver beside its tasks", "driver sleeps between stages")),
    ("driver-idle", "driver sleeps between stages", ("driver beside its tasks", "driver between stages")),
)
"""The pattern, the program that has it, and its innocent twins."""

ALONE = {"cold", "driver", "actors that hold", "everything"}
"""Beginnings of the names of programs that are a job of their own: they are about all of it."""


def together(names: list[str]) -> str:
    """Make one program of several, each with functions and actors of its own, numbered in the order given."""
    return BEGINNING + "\n".join(_numbered(PROGRAMS[name], number) for number, name in enumerate(names))


def _numbered(program: str, number: int) -> str:
    own = re.findall(r"^(?:def|class) (\w+)", program, re.MULTILINE)
    program = WORK + program
    for name in (*own, "work"):
        program = re.sub(rf"\b{name}\b", f"{name}_{number}", program)
    return program
