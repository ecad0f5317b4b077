"""What a kind of kill has left: how often it was tried, what should be there, what is."""

import re
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


HEAD = "| what was done | times | had ended | are there | told as lost | missing |\n|---|---|---|---|---|---|\n"


def row(figure: Figure) -> str:
    """Give a figure as a row of Markdown, below `HEAD`."""
    counts = (figure.tries, figure.expected, figure.found, figure.told)
    missing = max(figure.expected - figure.found - figure.told, 0)
    return f"| {figure.what} | {' | '.join(f'{count:,}' for count in (*counts, missing))} |\n"


def with_those_before(figures: Sequence[Figure], page: str) -> str:
    """Give the rows that stand in a text, with those of the figures in their places, and new ones behind."""
    rows = {what: line for line, what in _ROW.findall(page)}
    rows |= {figure.what: row(figure) for figure in figures}
    return HEAD + "".join(rows.values())


_ROW = re.compile(r"^(\| ([^|\n]*[a-z][^|\n]*) \| \d.*\n)", re.MULTILINE)
