"""Of what Ray's libraries run fewer of at a time than there is room for."""

from raytrace_analyze.names.functions import name_of
from raytrace_analyze.text.units import count_text, duration_text
from raytrace_analyze.wording.advice.words import Words


def few_trials(name: str, trials: int, most: int, room: int, *, free: float, slots: int, busy_ns: int) -> Words:
    """Say of Ray Tune's trials how many ran at a time, and what they would take with all that there is room for."""
    best = duration_text(max(busy_ns // room, busy_ns // trials))
    return Words(
        f"{count_text(trials, 'trial')} of {name_of(name)} ran {most:,} at a time, {_free(free, slots)}",
        "let more of them run at once: `max_concurrent_trials`, or the search algorithm, sets how many; all that there "
        f"is room for ({room:,}) run what took {duration_text(busy_ns)} in {best} at best (that is no prediction)",
    )


def few_tasks(
    name: str, tasks: int, most: int, room: int, *, free: float, slots: int, actors: int, blocks: int | None
) -> Words:
    """Say of an operator of Ray Data how many of its tasks ran at a time, and what sets that.

    `actors`: how many there are in its pool, 0 for none. `blocks`: how many it took, None where that is not known.
    """
    if actors:
        which, more = (
            f", on {count_text(actors, 'actor')}",
            "give it more actors (`compute=ActorPoolStrategy(size=...)`)",
        )
    elif tasks <= most and blocks is not None and blocks > tasks:
        which = f", each with several of the {blocks:,} blocks that it took"
        more = "let it have fewer blocks for each: a smaller `batch_size`, if it has one"
    elif tasks <= most:
        which, more = "", "make more blocks of what it takes (`override_num_blocks`, `repartition`)"
    else:
        which, more = "", "let more of its tasks run at once (`concurrency`), or look at what holds them back in `data`"
    return Words(
        f"{count_text(tasks, 'task')} of {name_of(name)} ran {most:,} at a time{which}, {_free(free, slots)}",
        f"{more}: there is room for {room:,} at a time (no saving is predicted)",
    )


def _free(free: float, slots: int) -> str:
    return f"while {free:.1f} of {slots:,} CPUs were free on average"
