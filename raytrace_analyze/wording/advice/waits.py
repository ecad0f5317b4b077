"""Of waits that come too early, in the wrong order, for nothing, within a task, or for too many at once."""

from raytrace_analyze.names.functions import name_of
from raytrace_analyze.text.units import bytes_text, count_text, duration_text
from raytrace_analyze.wording.advice.words import Words
from raytrace_analyze.wording.phrases import place_text, times_text


def get_in_loop(caller: str, function: str, waits: int, loops: int, *, place: str | None, certain: bool) -> Words:
    """Say of a loop (passed through several times) that it submits one task and waits for it before the next."""
    alone = _independence("none of them needs the result of another", certain)
    return Words(
        f"{name_of(caller)} submits {name_of(function)} and waits for it before it submits the next one, "
        f"{_often(waits, loops, place)}; {alone}",
        "submit all of them first, then get all results at once: ray.get([f.remote(x) for x in xs])",
    )


def get_in_rounds(
    caller: str, function: str, in_a_round: int, waits: int, loops: int, *, place: str | None, certain: bool
) -> Words:
    """Say of a loop that it submits some tasks and waits for all of them before the next."""
    alone = _independence("no round needs the results of another", certain)
    return Words(
        f"{name_of(caller)} submits {name_of(function)} in rounds of {in_a_round} and waits for the slowest of each "
        f"before the next round, {_often(waits, loops, place)}; {alone}",
        "submit more before waiting: all of them, or keep enough in flight with ray.wait and submit a new one "
        "whenever one is ready",
    )


def one_serial_actor(
    caller: str, function: str, waits: int, loops: int, *, place: str | None, sooner_saves_ns: int
) -> Words:
    """Say of a loop that it calls one actor and waits for it before it calls it again.

    `sooner_saves_ns` is what it would save not to wait, 0 where that is next to nothing.
    """
    saves = duration_text(sooner_saves_ns) if sooner_saves_ns else "next to nothing"
    return Words(
        f"{name_of(caller)} calls {name_of(function)} and waits for it before it calls it again, "
        f"{_often(waits, loops, place)}; an actor runs one call at a time, so that calling it before the last one is "
        f"done would save {saves}",
        "spread the calls over several actors, if none needs what another left there, and get all results at once "
        "(this is what two actors would save)",
    )


def as_far_as_they_overlap(told: Words, most: int, certain: bool) -> Words:
    """Say of calls of an asynchronous actor how many of them are taken to overlap; `most` 0: all, `certain` or not."""
    if most:
        seen = f"no more than {most} of them at a time" if most > 1 else "one of them at a time"
        return Words(told.what, f"{told.remedy} (this is what that would save with {seen}, as was seen)")
    if certain:
        return told
    return Words(told.what, f"{told.remedy} (at most this is saved: what they wait for may not serve all at once)")


def too_few_in_flight(
    caller: str, function: str, in_flight: int, slots: int, *, place: str | None, on_actors: bool
) -> Words:
    """Say of a loop that it keeps fewer tasks in flight than there are slots, or actors that they are calls of."""
    return Words(
        f"{name_of(caller)} keeps {in_flight} of {name_of(function)} in flight{place_text(place)}, but there are "
        f"{count_text(slots, 'actor' if on_actors else 'slot')}",
        f"keep at least {slots} in flight, unless memory or something else is what limits them",
    )


def submission_order(caller: str, function: str, results: int, passed: int, *, place: str | None) -> Words:
    """Say of a loop that it gets results in the order of their submission while `passed` later ones were ready."""
    return Words(
        f"{name_of(caller)} gets {count_text(results, 'result')} of {name_of(function)} in the order of their "
        f"submission{place_text(place)}; while it waited for one, up to {count_text(passed, 'later one')} had ended",
        "take whatever is ready first: ready, rest = ray.wait(rest), then ray.get(ready[0])",
    )


def unnecessary_get(caller: str, function: str, taker: str, waits: int, *, place: str | None) -> Words:
    """Say that results of a function are got only to be passed on to another."""
    return Words(
        f"{name_of(caller)} gets the result of {name_of(function)} only to pass it on to {name_of(taker)}, "
        f"{times_text(waits)}{place_text(place)}",
        "pass the reference itself: Ray waits for it, and moves the data where it is needed",
    )


def nested_get(function: str, waits: int, processes: int, *, place: str | None, was_given: bool) -> Words:
    """Say of tasks that they keep processes while they wait for others; `was_given`: for what others submitted."""
    return Words(
        f"{name_of(function)} waits for other tasks within its body, {times_text(waits)}{place_text(place)}; each "
        f"keeps its process meanwhile, so {count_text(processes, 'more process', 'more processes')} had to be started",
        "pass the references as arguments of their own, f.remote(*refs): the task then starts when they are there"
        if was_given
        else "return the references and let the caller wait for them, or do the work in the task itself",
    )


def nested_get_from_actor(function: str, waits: int, processes: int, *, place: str | None) -> Words:
    """Say of tasks that they keep processes while they wait for calls of actors, such as those of a queue."""
    return Words(
        f"{name_of(function)} waits for calls of actors within its body, {times_text(waits)}{place_text(place)}; each "
        "task lets its CPU go meanwhile, but keeps its process, so "
        f"{count_text(processes, 'more process', 'more processes')} had to be started",
        "have no more such tasks at a time than there are CPUs, or let actors do this, whose processes stay (this is "
        "what no such starts would save)",
    )


def nested_get_of_actor(function: str, waits: int, tasks: int, longest_ns: int, *, place: str | None) -> Words:
    """Say of an actor that it keeps its CPUs while it waits, and how many tasks waited for one meanwhile."""
    return Words(
        f"{name_of(function)} waits for tasks, {times_text(waits)}{place_text(place)}, and its actor keeps the CPUs "
        f"that it was given; meanwhile {count_text(tasks, 'task')} waited {duration_text(longest_ns)} at most for one",
        "give an actor that mostly waits no CPU (num_cpus=0), or let it return the references and the caller wait",
    )


def wait_for_many(calls: int, most: int, took_ns: int, enough: int, *, place: str | None) -> Words:
    """Say of calls of `ray.wait` that they ask for up to `most` references each; `enough` would do."""
    return Words(
        f"`ray.wait`{place_text(place)} is called {times_text(calls)} with up to {most:,} references, "
        f"{duration_text(took_ns)} in all; each call looks at all of them",
        f"wait for some of them at a time (such as {enough}), or take many at once (`num_returns`)",
    )


def large_arguments(function: str, sizes: list[int], submitting_ns: int, *, place: str | None) -> Words:
    """Say of calls that they were given large arguments by value, of these sizes in bytes."""
    alike = "the same size each" if len(set(sizes)) == 1 else f"{bytes_text(max(sizes))} at most"
    return Words(
        f"{len(sizes):,} calls of {name_of(function)} were given {bytes_text(sum(sizes))} by value in all ({alike}); "
        f"submitting them took {duration_text(submitting_ns)}{place_text(place)}",
        "if it is the same object, put it once (`ref = ray.put(x)`) and give the reference; else let the tasks make or "
        "load what they need",
    )


def arguments_restored(function: str, waited_ns: list[int], *, several_nodes: bool) -> Words:
    """Say of runs, those of a function longest, how long they waited for arguments that were not in their memory."""
    how = "pulled from another node, or restored from disk" if several_nodes else "restored from disk"
    remedy = (
        "use results soon after they were made and let go of them, so that they are still in memory; make less of a "
        "result in the task that makes it; or give the store more memory (`object_store_memory`)"
    )
    if several_nodes:
        remedy += "; or run what needs large results where they are (`NodeAffinitySchedulingStrategy`)"
    return Words(
        f"{count_text(len(waited_ns), 'run')}, {name_of(function)} longest, waited for their arguments to be {how}: "
        f"{duration_text(sum(waited_ns))} in all, {duration_text(max(waited_ns))} at most",
        f"{remedy} (this is what their being there at once would save)",
    )


def large_code(function: str, size: int, runs: int, *, submitting_ns: int, loading_ns: int) -> Words:
    """Say of a function, or a class, that it is large when pickled, what exporting it took, and loading it, at most."""
    return Words(
        f"{name_of(function)} takes {bytes_text(size)} when pickled: it carries data along that it refers to from "
        f"outside. Exporting it took {duration_text(submitting_ns)} of its first submission, and "
        f"{count_text(runs, 'run')} waited for it to be loaded in their process, {duration_text(loading_ns)} at most; "
        "every run of the program pays that again",
        "put that data into the object store once (`ref = ray.put(x)`) and give the reference as an argument, or make "
        "it in the task (this is what neither would save)",
    )


def seen_late(caller: str, waits: int, *, slept_ns: int, place: str | None) -> Words:
    """Say how long a loop that polls for results slept on after these were there."""
    return Words(
        f"{name_of(caller)} polls for results and sleeps in between: it slept on after these were there, "
        f"{_often(waits, 1, place)}, {duration_text(slept_ns)} in all",
        "wait for them with `ray.wait` or `ray.get` and a timeout as long as that sleep, which comes back at once when "
        "they are there (this is what not sleeping on would save)",
    )


def _often(waits: int, loops: int, place: str | None) -> str:
    return times_text(waits) + (f" in {count_text(loops, 'run')}" if loops > 1 else "") + place_text(place)


def _independence(text: str, certain: bool) -> str:
    return text if certain else f"if {text}, that is for nothing"


def asks_again(caller: str, question: str, *, slept_ns: int) -> Words:
    """Say of a function how long it sleeps between calls of a method of an actor, until that answers otherwise."""
    return Words(
        f"{name_of(caller)} sleeps {duration_text(slept_ns)} of the time that decides, and calls {name_of(question)} "
        "again and again in between; no other call is known to have changed what that answers",
        f"have {name_of(question)} come back when it is so (an asynchronous method that awaits its turn, or an event), "
        "and wait for its result in place of asking; how long it takes to answer otherwise is not decided here (a rate "
        "that it keeps, say), so that no saving is claimed",
    )
