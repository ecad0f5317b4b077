"""What a kind of kill has left: how often it was tried, what should be there, what is."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Figure:
    """The counts of one kind, summed up over its tries."""

    what: str
    tries: int = 0
    expected: int = 0
    """Spans that had ended (or tables that should be whole) before the end came."""
    found: int = 0
    told: int = 0
    """Of those that are missing, how many the files themselves say are lost."""
    wrong: list[str] = field(default_factory=list)
    """What broke a promise."""

    def add(self, expected: int, found: int, told: int = 0) -> None:
        """Count a try: what is missing has to be told."""
        self.tries += 1
        self.expected += expected
        self.found += found
        self.told += told
        if found + told < expected:
            self.wrong.append(f"{expected - found - told} of {expected} are missing and not told")


def table(figures: Sequence[Figure]) -> str:
    """Give the figures as a table of Markdown."""
    head = "| what was done | times | had ended | are there | told as lost | missing |\n|---|---|---|---|---|---|\n"
    rows = (
        f"| {each.what} | {each.tries:,} | {each.expected:,} | {each.found:,} | {each.told:,} | {_missing(each):,} |"
        for each in figures
    )
    return head + "\n".join(rows) + "\n"


def _missing(figure: Figure) -> int:
    return max(figure.expected - figure.found - figure.told, 0)
