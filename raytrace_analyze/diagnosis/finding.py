"""What was looked at, how it is, and the facts that a view makes sentences of."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from raytrace_analyze.diagnosis.checks import Check, Level
from raytrace_analyze.values import frozen


@frozen
class Finding:
    """One thing that was looked at."""

    check: Check
    level: Level
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Texts, numbers and lists of texts, by name; which ones depends on the check."""


@frozen
class Diagnosis:
    """All findings, in the order in which they were looked at."""

    findings: tuple[Finding, ...]

    @property
    def is_serious(self) -> bool:
        """Whether something has to be mended before the record can be relied on."""
        return any(finding.level is Level.SERIOUS for finding in self.findings)
