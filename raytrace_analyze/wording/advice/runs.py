"""Of runs: too small, too many, too slow, idle, failed, and what they had to wait for before they started."""

from raytrace_analyze.names.functions import name_of
from raytrace_analyze.names.spans import class_of_creation
from raytrace_analyze.text.units import count_text, duration_text, share_text
from raytrace_analyze.wording.advice.words import Words
from raytrace_analyze.wording.phrases import at_text, error_text, rays_word, times_text

_FIRST_RUN = "a second run, or a cluster that lives longer, does not pay this again; "
_MORE_MEMORY = "give the task more memory (`memory=`) or run fewer at a time"
_IT_WENT = f"find out what ended it (the log of its process tells); if it is memory, {_MORE_MEMORY}"
_AGAINST_FAILURE = {
    None: "mend what raises it; where that passes by itself, try that part alone again within the task",
    "OUT_OF_MEMORY": _MORE_MEMORY,
}
"""By Ray's word for what failed, None for an error of the program."""
_FEWER_RESULTS = (
    "keep fewer results at a time (let go of references, submit new tasks only when results have been used), or "
    "give the store more memory (`object_store_memory`)"
)


def small_tasks(
    function: str,
    runs: int,
    *,
    ran_ns: float,
    submitting_ns: float,
    starting_ns: float,
    batch: int,
    of_operator: bool,
) -> Words:
    """Say of a function's runs that they take less time than their overhead; `batch` items could be one task.

    The tasks of an operator of Ray Data are as many as there are blocks.
    """
    remedy = f"give each task more to do, such as {batch:,} of the items at a time"
    if of_operator:
        fewer = max(runs // batch, 1)
        remedy = (
            f"have fewer blocks, such as {fewer:,}: a smaller override_num_blocks, or num_partitions where it shuffles"
        )
    return Words(
        f"{name_of(function)} runs {runs:,} times for {duration_text(ran_ns)}, but it takes "
        f"{duration_text(submitting_ns)} to submit each and {duration_text(starting_ns)} to start it",
        remedy,
    )


def too_many_in_flight(function: str, pending: int, slots: int | None) -> Words:
    """Say how many tasks of a function waited to start at one time, for how many slots where that is known."""
    return Words(
        f"{pending:,} tasks of {name_of(function)} were waiting to start at one time"
        + (f", for {count_text(slots, 'slot')}" if slots else ""),
        "keep fewer in flight: submit a new one only when ray.wait says that one is ready. That saves memory in "
        "the driver and on the head node, not time",
    )


def behind_other_jobs(
    function: str, runs: int, waited_ns: list[int], other: str, other_job: str, *, of_actor: bool
) -> Words:
    """Say of runs that they waited for what another job had, most of that the function `other`."""
    what = "an actor" if of_actor else "slots"
    return Words(
        f"{count_text(runs, 'run')}, {name_of(function)} most, waited for {what} that other jobs had, "
        f"{duration_text(max(waited_ns))} at most: {name_of(other)} of job {other_job} most",
        (
            "give each job an actor of its own"
            if of_actor
            else "run the jobs at other times, give the cluster more CPUs, or let the other job ask for fewer at a time"
        )
        + " (this is what not waiting for the others would save)",
    )


def straggler(
    function: str, runs: int, *, usual_ns: float, longest_ns: float, stragglers: int, only_on_actor: str | None
) -> Words:
    """Say how long a function usually works and how long the slowest did; `only_on_actor` is where all these were."""
    others = f", and {stragglers - 1:,} more took far longer" if stragglers > 1 else ""
    where = f", all on {only_on_actor}" if only_on_actor is not None else ""
    return Words(
        f"{name_of(function)} usually works {duration_text(usual_ns)}, but one run of {runs:,} took "
        f"{duration_text(longest_ns)}{others}{where}",
        "look at what that run was given: split what is larger than the rest into parts of its own, or submit it first",
    )


def retries(function: str, attempts: int, *, ran_ns: int, delay_ns: int, message: str) -> Words:
    """Say how often a function failed and was tried again, how long these ran and the next ones waited, and why."""
    reason = f": {error_text(message)}" if message else ""
    return Words(
        f"{name_of(function)} failed and was tried again {times_text(attempts)}{reason}; the attempts that failed ran "
        f"{duration_text(ran_ns)}, and the next ones waited {duration_text(delay_ns)}",
        _AGAINST_FAILURE.get(rays_word(message) if message else "", _IT_WENT),
    )


def actor_ended(
    function: str, attempts: int, *, ran_ns: int, delay_ns: int, during: str | None, calls: int, lost_ns: int
) -> Words:
    """Say that the process of an actor ended, `during` a call of it where one is known, and how often it ran again.

    `calls` were lost with it and made again; they had taken `lost_ns` until then.
    """
    meanwhile = f" while {name_of(during)} ran" if during is not None else ""
    return Words(
        f"the process of the actor ended{meanwhile}, and {name_of(function)} ran again {times_text(attempts)}; it had "
        f"run {duration_text(ran_ns)} before, and the next ones waited {duration_text(delay_ns)}"
        + (f"; {count_text(calls, 'call')} made again had run {duration_text(lost_ns)}" if calls else ""),
        "mend what ends the process: look at what that call does"
        if during is not None
        else "mend what ends the process: look at what failed on that actor just before",
    )


def cold_workers(function: str, runs: int, *, starting_ns: int, loading_ns: int, is_actor: bool) -> Words:
    """Say how long runs waited for processes to start and code to be loaded; `function` had most of it."""
    for_what = [
        *([f"for a new worker process ({duration_text(starting_ns)} in all)"] if starting_ns else []),
        *([f"for code to be loaded in it ({duration_text(loading_ns)})"] if loading_ns else []),
    ]
    what = f"{count_text(runs, 'run')} waited {' or '.join(for_what)}, {name_of(function)} most"
    if is_actor:
        return Words(
            what,
            f"{_FIRST_RUN}create the actors first and do other work meanwhile, import less where their class is "
            'defined, or keep them beyond the job (`lifetime="detached"`)',
        )
    return Words(
        what,
        f"{_FIRST_RUN}keep processes alive and reuse them (actors; the same runtime_env for all tasks), import less, "
        "and define functions once; on a long-lived cluster, start with a task on every slot",
    )


def process_per_run(function: str, runs: int, of_all: int, *, waited_ns: list[int], idle: bool) -> Words:
    """Say of runs of a function that each started a process, though those of earlier runs were free.

    `idle`: these may have been ended for that.
    """
    each = " each" if runs > 1 else ""
    why = (
        "let runs share processes: Ray ends those that are idle for a second or more "
        "(`RAY_idle_worker_killing_time_threshold_ms`), and with `max_calls=1`, as of tasks that ask for a GPU, after "
        "each run; methods of actors keep theirs (this is what no such starts would save)"
        if idle
        else "let runs share processes: set `max_calls=0` (tasks that ask for a GPU have 1), give all tasks the same "
        "`runtime_env`, or call methods of actors (this is what no such starts would save)"
    )
    return Words(
        f"{runs:,} of {count_text(of_all, 'run')} of {name_of(function)} got a new worker process{each}, though those "
        f"of earlier runs had ended their work: {duration_text(sum(waited_ns))} of starting processes and loading code "
        f"in all, {duration_text(max(waited_ns))} at most",
        why,
    )


def process_per_actor(function: str, actors: int, of_all: int, *, waited_ns: list[int]) -> Words:
    """Say of actors of a class (`function`: their creation) that each started a process, though earlier ones ended."""
    of_class = name_of(class_of_creation(function))
    return Words(
        f"{actors:,} of {count_text(of_all, 'actor')} {of_class} were created after others of them had done their last "
        f"call, in a new worker process each: {duration_text(sum(waited_ns))} of starting processes and loading code "
        f"in all, {duration_text(max(waited_ns))} at most",
        "give the work to actors that are there already (Ray Tune: `reuse_actors=True`), or import less where their "
        "class is defined (this is what no such starts would save)",
    )


def idle_tasks(
    function: str, *, cpus: float, idle_ns: int, of_ns: int, what: str, place: str, starved: int, could_ask: float
) -> Words:
    """Say of tasks that they hold CPUs while they are idle, in what most, while others waited for one."""
    return Words(
        f"{name_of(function)} holds {cpus:g} CPU and is idle {share_text(idle_ns, of_ns)} of its own time, most of it "
        f"in {what or 'something'}{at_text(place)}; meanwhile {count_text(starved, 'run')} waited for a CPU",
        f"let it ask for less (`num_cpus={could_ask:g}`), or make it async in an actor, so that many can wait at a "
        "time (this is what asking for less would save)",
    )


def lock(function: str, runs: int, *, what: str, place: str, took_ns: int) -> Words:
    """Say that several runs wait for one lock."""
    return Words(
        f"{count_text(runs, 'run')} of {name_of(function)} are idle in {what or 'something'}{at_text(place)}, a lock: "
        f"{duration_text(took_ns)} in all",
        "hold it for less time, or have a lock for each thing that it protects; one actor that owns that thing "
        "makes the order visible",
    )


def long_to_put(calls: int, *, took_ns: int, place: str | None) -> Words:
    """Say how long calls of `ray.put` were idle, the longest of them at a place of the program."""
    return Words(
        f"{count_text(calls, 'call')} of `ray.put`{at_text(place)} waited {duration_text(took_ns)} in all, as they do "
        "where the object store is full and others have to be written to disk first",
        _FEWER_RESULTS,
    )


def more_threads(function: str, *, asked_cpus: int, used_cpus: float) -> Words:
    """Say of tasks that they use more CPUs than they ask for."""
    return Words(
        f"{name_of(function)} asks for {count_text(asked_cpus, 'CPU')} and uses {used_cpus:.1f} on average",
        f"say so (`num_cpus={round(used_cpus)}`), so that not more run at a time than there are CPUs for, or hold its "
        "libraries to one thread each (OMP_NUM_THREADS=1)",
    )


def store_full(function: str, runs: int, *, waited_ns: int) -> Words:
    """Say that runs waited for room in the object store, those of `function` longest."""
    return Words(
        f"{count_text(runs, 'run')} waited for room in the object store, {duration_text(waited_ns)} in all, "
        f"{name_of(function)} longest",
        _FEWER_RESULTS,
    )


def long_to_store(function: str, runs: int, *, took_ns: int, longest_ns: int) -> Words:
    """Say that results took long to be stored, those of `function` longest, while their runs kept their slots."""
    return Words(
        f"results of {count_text(runs, 'run')}, those of {name_of(function)} longest, took {duration_text(took_ns)} to "
        f"be stored once they were there, {duration_text(longest_ns)} at most, and no slot was free before that: the "
        "object store was full, so that others had to be written to disk first, or the results are very large",
        _FEWER_RESULTS,
    )


def reports_held(function: str, reports: int, *, held_ns: int) -> Words:
    """Say how long the reports of a training function are held after the ranks have met at them."""
    return Words(
        f"{count_text(reports, 'report')} of the ranks of {name_of(function)} are held once the ranks have met, "
        f"{duration_text(held_ns // reports)} each on average: Ray Train takes one of a rank at a time, each time its "
        "controller asks (every 2 s, unless told otherwise)",
        "report less often, every few steps say, or let the controller ask sooner "
        "(`RAY_TRAIN_HEALTH_CHECK_INTERVAL_S`; this is what not being held would save)",
    )
