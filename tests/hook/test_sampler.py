"""What the threads of long spans did: CPU, stacks, idle stretches; without Ray but for its words."""

from __future__ import annotations

import asyncio
import builtins
import copy
import importlib
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, Tracer
from raytrace_hook.output.in_flight import LONG_SLOT_BYTES, OpenSpans
from raytrace_hook.output.writer import SpanFile
from raytrace_hook.record.process import ProcessResource
from raytrace_hook.record.processor import SpanFileProcessor
from raytrace_hook.sampling import places
from raytrace_hook.sampling.clocks import ThreadClocks
from raytrace_hook.sampling.places import Place, place_of
from raytrace_hook.sampling.profile import Look, Profile

from .reader import Recording, Span

HERE = str(Path(__file__))


def sampled_provider(directory: Path, period_s: float = 0.02) -> TracerProvider:
    file, process = SpanFile(str(directory)), ProcessResource()
    provider = TracerProvider(shutdown_on_exit=False)

    def resource() -> str:
        return process.encoded(provider.resource)

    processor = SpanFileProcessor(file, process, OpenSpans(file, resource))
    processor.sample(period_s, OpenSpans(file, resource, LONG_SLOT_BYTES), waits_recorded=True)
    provider.add_span_processor(processor)
    return provider


@pytest.fixture
def tracer(tmp_path: Path) -> Iterator[Tracer]:
    yield sampled_provider(tmp_path).get_tracer("test")


def run(tracer: Tracer, name: str = "f") -> Any:
    return tracer.start_as_current_span(f"{name} ray.remote_worker", kind=SpanKind.CONSUMER)


def burn(cpu_s: float) -> None:
    end = time.thread_time() + cpu_s
    while time.thread_time() < end:
        sum(range(1000))


def stacks_of(span: Span) -> dict[str, int]:
    lines = span.attributes.get("raytrace.stacks", "").splitlines()
    return {stack: int(count) for stack, _, count in (line.rpartition(" ") for line in lines)}


def idle_of(span: Span) -> list[dict[str, Any]]:
    stretches: list[dict[str, Any]] = json.loads(span.attributes["raytrace.idle"])["stretches"]
    return stretches


def test_cpu_and_idle_are_told_apart(tracer: Tracer, tmp_path: Path) -> None:
    with run(tracer):
        burn(0.5)
        time.sleep(1.0)
    span = Recording(tmp_path).one("f ray.remote_worker")
    assert 0.3e9 < span.attributes["raytrace.cpu_ns"] < 0.75e9
    assert span.attributes["raytrace.process_cpu_ns"] >= span.attributes["raytrace.cpu_ns"]
    counts = stacks_of(span)
    burning = [stack for stack in counts if "burn (" in stack]
    sleeping = [stack for stack in counts if "test_cpu_and_idle_are_told_apart" in stack.split(";")[-1]]
    assert sum(counts[stack] for stack in burning if stack.startswith("cpu;")) > 0
    idle = sum(counts[stack] for stack in sleeping if stack.startswith("idle;"))
    # One look, which may stand for several, can fall just between the two.
    assert idle > 0.5 * sum(counts[stack] for stack in sleeping) > 0
    stretch = max(
        (one for one in idle_of(span) if one["in"] == "time.sleep"), key=lambda one: one["end_ns"] - one["start_ns"]
    )
    assert stretch["at"].rpartition(":")[0] == HERE
    assert stretch["end_ns"] - stretch["start_ns"] > 0.5e9


def by_joining(works: Callable[[], None]) -> None:
    thread = threading.Thread(target=works)
    thread.start()
    thread.join()


def by_asking_a_pool(works: Callable[[], None]) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: works(), range(2)))


def by_asking_an_executor(works: Callable[[], None]) -> None:
    async def wait() -> None:
        await asyncio.to_thread(works)

    asyncio.run(wait())


def by_an_event(works: Callable[[], None]) -> None:
    """Wait for something that a thread which sleeps does not do."""
    over = threading.Event()
    threading.Thread(target=works, daemon=True).start()
    over.wait(0.6)


def asleep() -> None:
    time.sleep(0.7)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the clocks of other threads can't be asked for")
@pytest.mark.parametrize("wait", [by_joining, by_asking_a_pool, by_asking_an_executor])
def test_what_a_thread_waits_for_that_its_own_threads_do_is_its_work(
    wait: Callable[[Callable[[], None]], None], tracer: Tracer, tmp_path: Path
) -> None:
    over = threading.Event()
    for _ in range(20):  # of which nobody waits for any
        threading.Thread(target=lambda: over.wait(60), daemon=True).start()
    with run(tracer):
        wait(lambda: burn(0.4))
    over.set()
    span = Recording(tmp_path).one("f ray.remote_worker")
    assert span.attributes["raytrace.cpu_ns"] > 0.2e9
    counts = stacks_of(span)
    burning = sum(count for stack, count in counts.items() if stack.startswith("cpu;") and "burn (" in stack)
    assert burning > 0.5 * sum(counts.values())


@pytest.mark.parametrize("wait", [by_joining, by_asking_a_pool, by_asking_an_executor])
def test_a_thread_that_waits_for_others_that_are_idle_is_idle(
    wait: Callable[[Callable[[], None]], None], tracer: Tracer, tmp_path: Path
) -> None:
    with run(tracer):
        wait(lambda: time.sleep(0.6))
    span = Recording(tmp_path).one("f ray.remote_worker")
    assert span.attributes["raytrace.cpu_ns"] < 0.2e9
    assert sum(one["end_ns"] - one["start_ns"] for one in idle_of(span)) > 0.3e9


@pytest.mark.parametrize(("wait", "is_known"), [(by_joining, True), (by_asking_a_pool, True), (by_an_event, False)])
def test_what_its_own_threads_are_idle_in_is_told_of_a_thread_that_waits_for_them(
    wait: Callable[[Callable[[], None]], None], is_known: bool, tracer: Tracer, tmp_path: Path
) -> None:
    with run(tracer):
        wait(asleep)
    longest = max(
        idle_of(Recording(tmp_path).one("f ray.remote_worker")), key=lambda one: one["end_ns"] - one["start_ns"]
    )
    assert (longest["in"] == "time.sleep") == is_known
    assert (longest["at"] == f"{HERE}:{asleep.__code__.co_firstlineno + 1}") == is_known


def test_whose_work_threads_do_is_not_told_where_several_spans_are_open(tracer: Tracer, tmp_path: Path) -> None:
    with run(tracer, "g"), run(tracer):
        by_joining(lambda: burn(0.4))
    for name in ("f", "g"):
        assert Recording(tmp_path).one(f"{name} ray.remote_worker").attributes["raytrace.cpu_ns"] < 0.2e9


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how long a thread waited for a CPU")
def test_time_that_others_had_the_cpu_is_told(tracer: Tracer, tmp_path: Path) -> None:
    one_core = {min(os.sched_getaffinity(0))}
    rival = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    os.sched_setaffinity(rival.pid, one_core)

    def beside_it() -> None:
        os.sched_setaffinity(0, one_core)  # of this thread alone
        with run(tracer):
            burn(0.6)

    thread = threading.Thread(target=beside_it)
    thread.start()
    thread.join()
    rival.kill()
    rival.wait()
    span = Recording(tmp_path).one("f ray.remote_worker")
    assert span.attributes["raytrace.cpu_delay_ns"] > 0.2 * span.attributes["raytrace.cpu_ns"]


def test_what_begins_to_idle_just_as_it_is_looked_at_is_idle_from_then_on(
    tracer: Tracer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy_now, looks = ThreadClocks.busy_now, itertools.count()

    def seen_busy_at_first(clocks: ThreadClocks, of: Mapping[int, int]) -> set[int]:
        return busy_now(clocks, of) if next(looks) else set(of)

    monkeypatch.setattr(ThreadClocks, "busy_now", seen_busy_at_first)
    with run(tracer):
        began = time.time_ns()
        time.sleep(1.0)
        length = time.time_ns() - began
    (stretch,) = idle_of(Recording(tmp_path).one("f ray.remote_worker"))
    assert stretch["in"] == "time.sleep"
    assert stretch["end_ns"] - stretch["start_ns"] > length / 2


def test_what_it_idles_in_has_a_name(tracer: Tracer, tmp_path: Path) -> None:
    here, there = socket.socketpair()
    lock = threading.Lock()
    lock.acquire()
    for length_s in (0.5, 2, 8):  # a busy machine may let nobody look for a while
        with run(tracer, f"f{length_s}"):
            threading.Event().wait(length_s)
            threading.Timer(length_s, there.send, [b"x"]).start()
            here.recv(1)
            subprocess.run(["sleep", str(length_s)], check=True)
            lock.acquire(timeout=length_s)
        stretches = idle_of(Recording(tmp_path).one(f"f{length_s} ray.remote_worker"))
        named = [name for name, _ in itertools.groupby(one["in"] for one in stretches)]
        if len(named) >= 4:
            break
    assert named == ["threading.Event.wait", "socket.recv", "subprocess.run", "lock.acquire"]
    lines = [int(one["at"].rpartition(":")[2]) for one in stretches]
    assert lines == sorted(lines)
    assert all(one["start_ns"] < one["end_ns"] <= other["start_ns"] for one, other in itertools.pairwise(stretches))


def test_a_loop_of_short_sleeps_is_one_stretch(tracer: Tracer, tmp_path: Path) -> None:
    with run(tracer):
        began = time.time_ns()
        for _ in range(80):
            time.sleep(0.02)
        length = time.time_ns() - began
    stretches = idle_of(Recording(tmp_path).one("f ray.remote_worker"))
    assert {one["in"] for one in stretches} == {"time.sleep"}
    assert sum(one["end_ns"] - one["start_ns"] for one in stretches) > length / 3


def test_a_short_run_and_other_spans_say_nothing(tracer: Tracer, tmp_path: Path) -> None:
    with tracer.start_as_current_span("custom"):
        for _ in range(20):
            with run(tracer):
                pass
    assert not any(name.startswith("raytrace.") for span in Recording(tmp_path).spans for name in span.attributes)


def test_an_open_run_shows_what_it_does(tracer: Tracer, tmp_path: Path) -> None:
    with run(tracer):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            time.sleep(0.3)
            (shown,) = Recording(tmp_path).open
            if "raytrace.idle" in shown.attributes:
                break
        assert idle_of(shown)[0]["in"] == "time.sleep"
        assert shown.end is None
    assert Recording(tmp_path).open == []


def test_a_run_is_shown_as_open_until_it_is_in_the_file(
    tracer: Tracer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may be killed at any moment: what is in neither place is lost."""
    shown: list[list[str]] = []
    write = SpanFile.write

    def writing(file: SpanFile, text: Any) -> None:
        shown.append([span.name for span in Recording(tmp_path).open])
        write(file, text)

    monkeypatch.setattr("raytrace_hook.sampling.sampler._SHOWN_EVERY_NS", 100_000_000)
    with run(tracer):
        time.sleep(0.5)
        monkeypatch.setattr(SpanFile, "write", writing)
    assert shown == [["f ray.remote_worker"]]
    assert Recording(tmp_path).open == []


def test_on_an_event_loop_only_the_run_whose_turn_it_is_gets_anything(tracer: Tracer, tmp_path: Path) -> None:
    async def blocks() -> None:
        with run(tracer, "blocks"):
            await asyncio.sleep(0.01)
            time.sleep(1.2)  # what an async method should not do

    async def waits() -> None:
        with run(tracer, "waits"):
            await asyncio.sleep(1.5)

    async def both() -> None:
        await asyncio.gather(waits(), blocks())

    context_api.detach(context_api.attach(context_api.Context()))
    asyncio.run(both())
    recording = Recording(tmp_path)
    blocking, waiting = recording.one("blocks ray.remote_worker"), recording.one("waits ray.remote_worker")
    assert {one["in"] for one in idle_of(blocking)} == {"time.sleep"}
    assert "raytrace.idle" not in waiting.attributes
    assert not any("blocks" in stack for stack in stacks_of(waiting))
    assert waiting.attributes["raytrace.cpu_ns"] < 0.3e9


def test_a_thread_that_is_gone_before_its_span_does_no_harm(tracer: Tracer, tmp_path: Path) -> None:
    spans: list[Any] = []

    def begin() -> None:
        spans.append(tracer.start_span("f ray.remote_worker", kind=SpanKind.CONSUMER))
        time.sleep(0.3)

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    time.sleep(0.3)
    spans[0].end()
    assert Recording(tmp_path).one("f ray.remote_worker").end is not None


FORKING = """
import os, sys, time
from pathlib import Path
from tests.hook.test_sampler import run, sampled_provider
tracer = sampled_provider(Path(sys.argv[1])).get_tracer("test")
with run(tracer, "parent"):
    time.sleep(0.3)
    child = os.fork()
    if not child:
        with run(tracer, "child"):
            time.sleep(1.2)
        sys.exit(0)  # the sampler's thread must not hold it
    os.waitpid(child, 0)
"""


def test_a_fork_is_sampled_and_ends(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    subprocess.run([sys.executable, "-c", FORKING, str(tmp_path)], timeout=60, check=True, env=environment)
    recording = Recording(tmp_path)
    child = recording.one("child ray.remote_worker")
    assert {one["in"] for one in idle_of(child)} == {"time.sleep"}
    (parent,) = [one for one in recording.named("parent ray.remote_worker") if one.file != child.file]
    assert idle_of(parent)


def test_a_profile_stays_small_and_tells_what_it_leaves_out() -> None:
    profile = Profile()
    place, tenth = place_of(sys._getframe()), 100_000_000
    assert place
    at = 0
    for number in range(1000):
        # Idle for longer and longer, then busy elsewhere.
        length = 2 * tenth + number
        for before, after, wait in ((at, at + tenth, "time.sleep"), (at + tenth, at + length, "time.sleep")):
            profile.add(Look(before, after, 0, 0, 1, False, place, wait))
        at += length + tenth
        profile.add(Look(at - tenth, at, tenth, tenth, 1, True, (), None))
    attributes = profile.attributes()
    told = json.loads(attributes["raytrace.idle"])
    assert len(told["stretches"]) == 50
    assert told["left_out"] == 950
    lengths = sorted(one["end_ns"] - one["start_ns"] for one in told["stretches"])
    assert lengths == [2 * tenth + number for number in range(950, 1000)]
    assert told["left_out_ns"] == sum(2 * tenth + number for number in range(950))
    (left_out,) = told["left_out_in"]
    assert (left_out["in"], left_out["ns"]) == ("time.sleep", told["left_out_ns"])
    assert attributes["raytrace.stacks"].splitlines()[0].endswith(" 2000")
    short = profile.attributes(longest=1000)
    assert len(short["raytrace.idle"]) < 1200
    assert json.loads(short["raytrace.idle"])["left_out"] > 950


def test_when_a_thread_was_busy_is_told_unless_it_always_was() -> None:
    twentieth = 50_000_000
    place = place_of(sys._getframe())

    def seen(*busy: int) -> dict[str, Any]:
        """A look every 50 ms, and how much of the time the thread was busy (%)."""
        profile = Profile()
        for at, share in enumerate(busy):
            used = twentieth * share // 100
            profile.add(Look(at * twentieth, (at + 1) * twentieth, used, used, 1, share > 50, place, None))
            profile.cpu_ns += used
        return profile.attributes()

    told = seen(*[10] * 4, *[100] * 10, *[20] * 9, *[90] * 3, 30)
    [[*when, line, imports_ns]] = json.loads(told["raytrace.busy"])
    assert when == [4 * twentieth, 14 * twentieth, 10 * twentieth]
    assert (line.startswith(f"{__file__}:"), imports_ns) == (True, 0)
    assert "raytrace.busy" not in seen(*[100] * 20)
    assert "raytrace.busy" not in seen(*[100] * 3, *[40] * 20)
    many = json.loads(seen(*([100] * 4 + [0] * 3) * 30)["raytrace.busy"])
    assert len(many) == 20
    assert many == sorted(many)


def test_the_program_is_found_beyond_very_many_frames_of_others() -> None:
    """As modules of a library import one another: here each level of a list that is copied is a call or two."""

    class Innermost:
        def __deepcopy__(self, memo: object) -> Innermost:
            seen.append(len(places.codes(place_of(sys._getframe().f_back))))
            lines.append(places.site(place_of(sys._getframe().f_back)))
            return self

    seen: list[int] = []
    lines: list[str] = []
    nested: object = Innermost()
    for _ in range(80):
        nested = [nested]
    line = sys._getframe().f_lineno + 1
    copy.deepcopy(nested)
    assert lines == [f"{__file__}:{line}"]
    assert seen[0] <= 101


def test_a_thread_that_imports_modules_is_told_with_the_line_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imported_here.py").write_text("import sys\nframe = sys._getframe()\nplace = PLACE_OF(frame)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(builtins, "PLACE_OF", place_of, raising=False)
    place, tenth = importlib.import_module("imported_here").place, 100_000_000
    profile = Profile()
    for at in range(10):
        used = tenth if at < 5 else 0
        profile.add(Look(at * tenth, (at + 1) * tenth, used, used, 1, used > 0, place, None))
        profile.cpu_ns += used
    [[_, _, busy_ns, line, imports_ns]] = json.loads(profile.attributes()["raytrace.busy"])
    assert (line, busy_ns, imports_ns) == (f"{tmp_path / 'imported_here.py'}:3", 5 * tenth, 5 * tenth)


def test_how_long_a_thread_sleeps_again_and_again_is_told() -> None:
    place, other = _counting(), place_of(sys._getframe())
    twentieth = 50_000_000
    profile = Profile()
    for at in range(40):
        # Ever other look finds it in a sleep from which it has woken up in between; the last second in one.
        wait = "time.sleep" if at % 2 or at >= 20 else None
        used = 4_000_000 if at < 20 else 0
        profile.add(Look(at * twentieth, (at + 1) * twentieth, used, used, 1, False, place if wait else other, wait))
    told = json.loads(profile.attributes()["raytrace.idle"])
    assert len(told["stretches"]) == 1
    assert told["short_ns"] == pytest.approx(0.5e9, abs=2 * twentieth)


def _waiting_for(done: list[int]) -> Place:
    while not done:
        done.append(1)
        place = place_of(sys._getframe())
    return place


def _counting() -> Place:
    for _ in range(3):
        place = place_of(sys._getframe())
    return place


def _counting_until(done: list[int]) -> Place:
    for number in range(3):
        place = place_of(sys._getframe())
        if number in done:
            break
    return place


def _trying() -> Place:
    for _ in range(3):
        try:
            return {}[0]
        except KeyError:
            place = place_of(sys._getframe())
    return place


def _whatever_fails() -> Place:
    for _ in range(3):
        try:
            place = place_of(sys._getframe())
        except KeyError:
            continue
    return place


def _given_to_a_pool() -> Place:
    """What Ray's Pool goes through is its actor's loop."""
    source = "def run_batch(func, batch):\n    for args in batch:\n        found = func(*args)\n    return found"
    of_ray: dict[str, Any] = {"__name__": "ray.util.multiprocessing.pool"}
    exec(source, of_ray)
    found: Place = of_ray["run_batch"](lambda: place_of(sys._getframe()), [(), ()])
    return found


def test_a_thread_that_wakes_up_to_look_is_told_from_one_that_sleeps() -> None:
    twentieth = 50_000_000
    looking = (_waiting_for([]), _counting_until([2]), _trying())
    for place, used, loops in (
        *((place, 20_000, True) for place in looking),
        *((place, 0, False) for place in looking),
        # These sleeps stand for work: there is no way out of them but to take them all, or an exception.
        *((place, 20_000, False) for place in (_counting(), _whatever_fails(), _given_to_a_pool())),
    ):
        profile = Profile()
        for at in range(0, 500_000_000, twentieth):
            profile.add(Look(at, at + twentieth, used, used, 1, False, place, "time.sleep"))
        assert profile.stays(550_000_000, 1, used)
        profile.pause()
        (stretch,) = json.loads(profile.attributes()["raytrace.idle"])["stretches"]
        assert stretch.get("loops", False) is loops
        assert stretch.get("busy_ns", 0) == 10 * used - used  # it begins with the second look


def test_a_thread_that_sleeps_again_in_one_loop_is_told_so() -> None:
    """Each look between two sleeps takes too much CPU time for them to be told as one."""
    twentieth = 50_000_000
    for place, again in ((_waiting_for([]), True), (_counting(), False)):
        profile = Profile()
        for at in range(0, 1_000_000_000, twentieth):
            used = 20_000_000 if at == 500_000_000 else 0
            profile.add(Look(at, at + twentieth, used, used, 1, bool(used), place, "time.sleep"))
        profile.pause()
        first, second = json.loads(profile.attributes()["raytrace.idle"])["stretches"]
        assert first.get("again", False) is second.get("again", False) is again


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the code does not say where in the line it belongs")
def test_a_lock_that_a_with_statement_takes_is_named(tracer: Tracer, tmp_path: Path) -> None:
    lock = threading.Lock()
    lock.acquire()
    threading.Timer(0.4, lock.release).start()
    with run(tracer), lock:
        pass
    (stretch,) = idle_of(Recording(tmp_path).one("f ray.remote_worker"))
    assert stretch["in"] == "lock.__enter__"


def test_a_recorded_wait_is_not_told_as_idle() -> None:
    profile = Profile()
    place = place_of(sys._getframe())
    for at in range(0, 1_000_000_000, 50_000_000):
        profile.add(Look(at, at + 50_000_000, 0, 0, 1, False, place, None))
    assert profile.attributes() == {"raytrace.cpu_ns": 0}
