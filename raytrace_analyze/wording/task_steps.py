"""What happened to a task, step by step."""

from raytrace_analyze.names.functions import name_of, short_name
from raytrace_analyze.text.units import count_text, duration_text
from raytrace_analyze.vocabulary.spans import Ending
from raytrace_analyze.wording.phrases import attempt_or_it, error_text, in_process, on_node, short_id

NOBODY_WAITED = "nobody is recorded to have waited for it or to have taken its result"
ONLY_EVENTS = "no span tells of it; what is told here is from Ray's task events"
NEVER_STARTED = "it never started, as far as is recorded"
_SHOWN = 3


def how_long(took: str, *, has_ended: bool) -> str:
    """Say of a task how long it took from its submit on."""
    if has_ended:
        return f"took {took} from its submit to its end"
    return f"had not ended {took} after its submit, when the record ends"


def others_left_no_span(task_ids: list[str]) -> str:
    """Say which other tasks of the same name left no span."""
    shown = ", ".join(task_ids[:_SHOWN]) + (" ..." if len(task_ids) > _SHOWN else "")
    return f"{count_text(len(task_ids), 'more task')} of that name left no span (killed, or never started): {shown}"


def submitted(by: str, pid: int | None) -> str:
    """Say who submitted it."""
    return f"{by} submitted it{in_process(pid)}"


def ran(
    attempt: int | None,
    *,
    node_id: str | None,
    pid: int | None,
    actor_id: str | None,
    waiting_ns: int,
    for_others: bool,
    ending: str | None,
    message: str,
    in_flight: bool,
) -> str:
    """Say where an attempt ran, how much of that it waited, `for_others` alone or not, and how it ended.

    `ending` is one of `Ending`, None for one that gave a result; `message` says what was wrong.
    """
    actor = f", actor {short_id(actor_id)}" if actor_id else ""
    waiting = f", {duration_text(waiting_ns)} of it waiting" if waiting_ns else ""
    waiting += " for other tasks" if waiting and for_others else ""
    how = ", and never ended" if in_flight else ""
    if ending == Ending.CANCELLED:
        how = ", and was cancelled"
    elif ending is not None:
        how = f", and failed: {error_text(message) or 'no message'}"
    return f"{attempt_or_it(attempt)} ran{on_node(node_id)}{in_process(pid)}{actor}{waiting}{how}"


def ran_without_a_span(
    attempt: int | None, *, node_id: str | None, pid: int | None, has_failed: bool, message: str, is_over: bool
) -> str:
    """Say of an attempt that only Ray's task events know where it ran and how it ended."""
    how = "" if is_over else ", and was not seen to end"
    if has_failed:
        how = f", and failed: {error_text(message) or 'no message'}"
    return f"{attempt_or_it(attempt)} ran{on_node(node_id)}{in_process(pid)}{how} (no span tells of it)"


def waited_for_it(by: str, call: str, *, began_ns: int, ended_ns: int) -> str:
    """Say who waited for its result, in which call; times are ns after its end."""
    if began_ns < 0:
        return f"{by} waited for it in {call}, and had it {_later(ended_ns)} its end"
    return f"{by} asked for it with {call} {_later(began_ns)} its end"


def took_its_result(by: str, *, started_ns: int) -> str:
    """Say which task took its result, and how long (ns) after its end that started."""
    return f"{by} took its result and started {_later(started_ns)} its end"


def waited_for_its_actor(by: str, others: int, *, started_ns: int) -> str:
    """Say which call waited for its actor, how many more did, and how long (ns) after its start that call started."""
    more = f", as {count_text(others, 'more call')} did," if others else ""
    return f"{by} waited {FOR_ACTOR}{more} and started {_later(started_ns)} its end"


def waited_by_events(function: str, waited_ns: int, reason: str, *, to_the_last: bool) -> str:
    """Say how long an attempt waited and for what (one of the `FOR_...`), as Ray's task events tell."""
    never = ", and had not begun to run when that was last seen" if to_the_last else ""
    return f"{short_name(function)} waited {duration_text(waited_ns)} {reason}{never}"


def before_attempt(attempt: int) -> str:
    """What another attempt waited for."""
    return f"before attempt {attempt}"


FOR_ARGUMENTS = "for its arguments to be there"
FOR_ACTOR = "for its actor to start"
FOR_SLOT_OR_PROCESS = "for a free slot, or a worker process to start"
FOR_TURN = "for its turn on its actor"
FOR_THE_WAY = "for the way to its worker"


def waits_in_vain(function: str | None, waited_ns: int, reason: str) -> str:
    """Say how long a task that never started had waited when the record ends, and for what."""
    return f"{name_of(function)} had waited {duration_text(waited_ns)} when the record ends, {reason}"


FOR_NOTHING_KNOWN = "and nothing recorded says for what"
FOR_ITS_GROUP = "for its placement group, which never came to be, as far as is recorded"


def for_a_node_with(demand: str) -> str:
    """What a task waits for that no node can run."""
    return f"for a node that has what it asks for, and there is none ({demand})"


def for_another(reason: str, function: str | None) -> str:
    """What a task waits for that another one is in the way of; `reason` as the edges of open work have it."""
    return _IN_THE_WAY[reason].format(other=name_of(function))


_IN_THE_WAY = {
    "dependency": "for the result of {other}, which is not over",
    "actor": "for its actor, which runs {other}",
    "slot": "for a free slot, which {other} may hold",
    "resource": "for what it asks for, which {other} may hold",
}


def kept(actors: str | None, group: tuple[str, str | None] | None) -> str:
    """Say who keeps what something has no room for: actors of a class, or a placement group.

    `group` is what that keeps, in words, and the function that ran in it last, None for none.
    """
    if actors is not None:
        return f"actors of {name_of(actors)} hold what it asks for, and do nothing"
    asks, function = group or ("", None)
    ran = f", in which {name_of(function)} ran," if function else ""
    return f"a placement group ({asks}){ran} keeps what it asks for, and was not removed"


def _later(after_ns: int) -> str:
    return f"{duration_text(abs(after_ns))} {'after' if after_ns >= 0 else 'before'}"
