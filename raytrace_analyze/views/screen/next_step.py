"""What to do after a command: one line, for whoever sits at a terminal."""

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

_NEXT = {
    "summary": ("critical-path {spans}", "the chain behind it, step by step"),
    "critical-path": ("advise {spans}", "what to change first, and what that would save"),
    "advise": ("what-if {spans}", "which function to make faster, and how far that helps"),
    "what-if": ("critical-path {spans} --near 5%", "what becomes critical next"),
    "why": ("critical-path {spans} --task {task}", "the chain that decided that task's time"),
    "hang": ("why TASK {spans}", "the story of one task"),
    "diff": ("critical-path {last}", "the chain of the newer run"),
    "stats": ("why FUNCTION {spans}", "the slowest run of one function"),
    "jobs": ("summary {spans} --job ID", "one of them in ten lines"),
    "traces": ("critical-path {spans} --trace ID", "what decided one of them"),
    "tree": ("critical-path {spans}", "the marked spans, step by step"),
    "watch": ("hang {spans}", "who waits for whom"),
    "merge": ("summary {output}", "all that matters, in ten lines"),
    "collect": ("summary {collected}", "all that matters, in ten lines"),
    "doctor": ("record yourscript.py", "a program traced, and what decided its time"),
    "data": ("critical-path {spans}", "the chain that decided the time"),
    "serve": ("critical-path {spans} --all traces --tail p99", "what differs in the slowest requests"),
    "steps": ("critical-path {spans}", "the chain that decided the time"),
    "train": ("steps {spans}", "which step took longest, and why"),
    "tune": ("critical-path {spans}", "the chain that decided the time"),
    "report": ("advise {spans}", "what to change first"),
    "man": ("--help", "all commands"),
    "export": ("advise {spans}", "what to change first"),
    "demo": ("advise {table}", "what to change first, and what that would save"),
    "record": ("advise {table}", "what to change first, and what that would save"),
}
_ANY = ("--help", "all commands")


def next_step(command: str, arguments: Sequence[str], takes_value: Collection[str] = ()) -> str:
    """Say what to do after a command that was given these arguments; `takes_value` are its options with a value."""
    then, why = _NEXT.get(command, _ANY)
    plain, options = _parted(arguments, takes_value)
    given = [each for each in plain if each == "-" or Path(each).exists()]
    folder = options.get("--dir", f"raytrace-{command}")
    output = options.get("--output", options.get("-o", ""))
    words = then.format(
        spans=" ".join(map(shlex.quote, given)),
        last=shlex.quote(given[-1]) if given else "",
        task=shlex.quote(plain[0]) if plain else "TASK",
        table=shlex.quote(str(Path(folder) / "spans.parquet")),
        output=shlex.quote(output) if output else "",
        # What lies behind a URL has to be fetched first.
        collected="" if "://" in output else shlex.quote(str(Path(output) / "spans.parquet")),
    )
    return f"next: raytrace-analyze {' '.join(words.split())} ({why})"


def _parted(arguments: Sequence[str], takes_value: Collection[str]) -> tuple[list[str], dict[str, str]]:
    """Take arguments apart from options, which have their values."""
    plain, options = [], {}
    left = iter(arguments)
    for each in left:
        name, is_one, value = each.partition("=")
        if each in takes_value:
            options[each] = next(left, "")
        elif each.startswith("--") and is_one:
            options[name] = value
        elif each == "-" or not each.startswith("-"):
            plain.append(each)
    return plain, options
