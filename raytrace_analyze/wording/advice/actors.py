"""Of actors whose calls queue up for them."""

from raytrace_analyze.names.functions import name_of
from raytrace_analyze.text.units import count_text, duration_text, share_text
from raytrace_analyze.wording.advice.words import Words
from raytrace_analyze.wording.phrases import times_text


def bottleneck(
    name: str, actors: int, calls: int, *, longest_wait_ns: int, busy_ns: int, of_ns: int, on_loop: bool, group: str
) -> Words:
    """Say of the actors of a class that they run one call at a time; the busiest was so for `busy_ns` of `of_ns`.

    Where that holds for one of their concurrency groups, it is named (empty: for all calls).
    """
    which = f"an actor `{name}`" if actors == 1 else f"each of {actors:,} actors `{name}`"
    if group:
        return Words(
            f"{which} runs one call of its concurrency group `{group}` at a time, {count_text(calls, 'call')} in all; "
            f"they waited {duration_text(longest_wait_ns)} for their turn at most, and one was open for "
            f"{share_text(busy_ns, of_ns)} of the time",
            f'let more of that group run at once (`concurrency_groups={{"{group}": 2}}`), or spread the calls over '
            "several actors (this is what two in place of one would save)",
        )
    or_else = (
        "or let its methods await what they wait for: an `async def` makes the whole actor an event loop, on which "
        "a method that blocks keeps all others waiting"
        if on_loop
        else "make methods that wait async, or move work that needs no state into tasks"
    )
    return Words(
        f"{which} runs one call at a time, {count_text(calls, 'call')} in all; they waited "
        f"{duration_text(longest_wait_ns)} for their turn at most, and it was busy for {share_text(busy_ns, of_ns)} of "
        "the time",
        f"spread the calls over several actors (this is what two in place of one would save), {or_else}",
    )


def blocks_loop(name: str, calls: int, *, idle_ns: int, idle_in: str, longest_wait_ns: int) -> Words:
    """Say of a method that it keeps its actor's event loop while it is idle, and for how long others waited for it."""
    return Words(
        f"{name_of(name)} keeps the event loop of its actor while it is idle: {duration_text(idle_ns)} in "
        f"{count_text(calls, 'call')}, longest in {idle_in}; no other call goes on there meanwhile, and they waited "
        f"{duration_text(longest_wait_ns)} for their turn at most",
        "await what it waits for (`asyncio.sleep`, a client that can be awaited), or call it with `asyncio.to_thread` "
        "(this is what not keeping the loop meanwhile would save)",
    )


def actor_lock(
    name: str, waits: int, *, took_ns: int, longest_ns: int, holder: str | None, held: int, gave_back: str
) -> Words:
    """Say of a method that takes a lock how long it waited, who held that (None: not known), and what gave it back."""
    if holder is None:
        who = f"others held it, until {name_of(gave_back)} gave it back"
    elif gave_back == name:
        who = f"other calls of it held it {count_text(held, 'time')} meanwhile"
    else:
        who = f"{name_of(holder)} held it {count_text(held, 'time')} meanwhile, until it called {name_of(gave_back)}"
    return Words(
        f"{count_text(waits, 'call')} of {name_of(name)} waited {duration_text(took_ns)} for a lock that the actor "
        f"keeps, {duration_text(longest_ns)} at most; {who}",
        "hold it for less time, or have a lock for each thing that it protects (this is what no waiting for it at "
        "all would save)",
    )


def paced(name: str, waits: int, *, every_ns: int, took_ns: int, longest_ns: int) -> Words:
    """Say of a method how often its calls slept until it was their turn, how long, and at which rate they go on."""
    return Words(
        f"{count_text(waits, 'call')} of {name_of(name)} slept {duration_text(took_ns)}, {duration_text(longest_ns)} "
        f"at most, until it was their turn: it lets one go on every {duration_text(every_ns)}",
        "raise that rate if what it protects bears more, take several at a time, or do other work until it is one's "
        "turn; more calls at once, or more processes, wait as long (this is what no waiting for it at all would save)",
    )


def asked_lock(
    name: str, caller: str, asked: int, *, took_ns: int, longest_ns: int, holder: str | None, gave_back: str
) -> Words:
    """Say of a method that gives a lock, or does not, how often it was asked in vain, and who held the lock."""
    who = "others" if holder is None else "another run of it" if holder == caller else name_of(holder)
    return Words(
        f"{name_of(caller)} calls {name_of(name)} again and again for a lock that the actor keeps, "
        f"{times_text(asked)} in vain, {duration_text(took_ns)} in all, {duration_text(longest_ns)} at most, until "
        f"{who} has called {name_of(gave_back)}",
        "hold it for less time, or have a lock for each thing that it protects (this is what no waiting for it at "
        f"all would save); and let {name_of(name)} await it (`asyncio.Lock` in an `async def`), which comes back at "
        "once when it is free",
    )


def uneven_pool(
    name: str,
    actors: int,
    *,
    most_ns: int,
    most_calls: int,
    least_ns: int,
    least_calls: int,
    is_stateless: bool,
    is_slower: bool,
) -> Words:
    """Say of several actors that one has most of the work, while another has little."""
    longer = "; it was given the long calls, or is slower" if is_slower else ""
    proviso = "" if is_stateless else "if the calls need no state of their actor's own, "
    return Words(
        f"one of {actors:,} actors `{name}` worked {duration_text(most_ns)} in {most_calls:,} calls, another "
        f"{duration_text(least_ns)} in {least_calls:,}, while calls waited for the busy one{longer}",
        f"{proviso}give each call to whichever actor is free (`ray.util.ActorPool`, `imap_unordered` with small "
        "chunks) instead of dealing them out in turn",
    )


def slow_taker(name: str, function: str, others: int, *, slow_ns: int, usual_ns: int) -> Words:
    """Say of an actor that it works longer with its part of a dataset than the others with theirs."""
    elsewhere = "the other one" if others == 1 else f"the {others:,} others"
    return Words(
        f"the actor `{name}` works longer with its part of a dataset than {elsewhere}: {name_of(function)} works "
        f"{duration_text(slow_ns)} on it, {duration_text(usual_ns)} elsewhere, which then waits for it",
        "look at what is different there (its node, what it was made with, what it does with a block), or give it a "
        "smaller part (this is what taking no longer than elsewhere would save)",
    )


def slow_actor(name: str, function: str, others: int, calls: int, *, slow_ns: float, usual_ns: float) -> Words:
    """Say of an actor that a method takes longer on it than on the others."""
    elsewhere = "the other one" if others == 1 else f"the {others:,} others"
    return Words(
        f"the actor `{name}` is slower than {elsewhere}: {name_of(function)} takes {duration_text(round(slow_ns))} "
        f"on it, {duration_text(round(usual_ns))} elsewhere (medians, {count_text(calls, 'call')} on it)",
        "if they are to do the same, look at what is different there (its node, its data, what it was made with), or "
        "give it less to do (this is what taking no longer than elsewhere would save)",
    )
