"""Results that a notebook shows, and that say in short what they are.

How a result looks is decided far above this module; here it only says that it can be shown. Nothing is loaded before
somebody looks.
"""

import importlib
from abc import ABC, abstractmethod
from typing import Any, cast

from raytrace_analyze.text.printable import printable

_NOTEBOOK = "raytrace_analyze.report.notebook"


class Shown(ABC):
    """A result with a short `repr`, and HTML for notebooks."""

    @abstractmethod
    def in_short(self) -> str:
        """Say in a few words what this is about and what came out."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {printable(self.in_short())}>"

    def _repr_html_(self) -> str:
        return cast(str, notebook().html_of(self))


def notebook() -> Any:
    """Load what makes HTML of results. By name: it lies above them, and they can do without it."""
    return importlib.import_module(_NOTEBOOK)
