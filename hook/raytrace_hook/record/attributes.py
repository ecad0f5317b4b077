"""Adding what needs no check to a span that is open: a tenth of what the SDK takes, which checks and locks.

Limits on the length of values do not hold for what is added here: an id that is cut off is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Span


def add_checked(span: Span, attributes: dict[str, Any]) -> None:
    """Add attributes that are right already: texts, numbers, tuples of these."""
    inner = _inner(span)
    if inner is None:
        span.set_attributes(attributes)
    else:
        inner.update(attributes)


def add_one(span: Span, name: str) -> None:
    """Count on in an attribute."""
    inner = _inner(span)
    if inner is None:
        span.set_attribute(name, (getattr(span, "attributes", None) or {}).get(name, 0) + 1)
    else:
        inner[name] = inner.get(name, 0) + 1


def _inner(span: Any) -> dict[str, Any] | None:
    inner = getattr(getattr(span, "_attributes", None), "_dict", None)
    return inner if isinstance(inner, dict) else None
