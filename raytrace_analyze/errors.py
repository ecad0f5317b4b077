"""Every error a user can meet: one line that says what is wrong and what to do, and the exit code for it.

The commands raise these from anywhere; `raytrace_analyze.cli` catches them once, prints the line on
standard error and exits with the code. Codes are those of the command line's contract.
"""

from raytrace_analyze.text.printable import printable

EXIT_OK = 0
EXIT_GATE_FAILED = 1
EXIT_USAGE = 2
EXIT_NO_SPANS = 3
EXIT_DAMAGED = 4
EXIT_INTERRUPTED = 130
EXIT_CODES = {
    EXIT_OK: "fine",
    EXIT_GATE_FAILED: "a gate failed (diff --fail-over), or doctor found something serious",
    EXIT_USAGE: "wrong usage, or a file that cannot be read or written",
    EXIT_NO_SPANS: "no spans found",
    EXIT_DAMAGED: "some input was damaged; all that was readable is in the output",
    EXIT_INTERRUPTED: "stopped by Ctrl-C; by another signal, 128 and its number",
}
"""What each exit code means, for the help and the docs. `record` ends with the code of the program that it ran."""


class RaytraceError(Exception):
    """Base of all errors with a message for the user; `exit_code` is what the process ends with."""

    exit_code = EXIT_USAGE

    def __init__(self, message: str) -> None:
        # A message names what stands in the input, and ends on a terminal wherever it is raised.
        super().__init__(printable(message))


class UsageError(RaytraceError):
    """A path, id or option that cannot be used as given."""

    exit_code = EXIT_USAGE


class NoSpansError(RaytraceError):
    """The input was read, and there is no span in it."""

    exit_code = EXIT_NO_SPANS


class NoWholeSpanError(NoSpansError):
    """There were spans in the input, and all of them are damaged."""


class DamagedInputError(RaytraceError):
    """Some input could not be read, and the caller asked for all or nothing."""

    exit_code = EXIT_DAMAGED
