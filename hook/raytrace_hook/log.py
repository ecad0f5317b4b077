"""Messages of the hook: each said once per process, because a hook that talks on every span is worse than none."""

from __future__ import annotations

import logging

logger = logging.getLogger("raytrace_hook")

_said: set[str] = set()


def warn_once(what: str, error: BaseException | None = None) -> None:
    """Log `what` at warning level the first time it is said in this process; `error` is appended to it."""
    if what in _said:
        return
    _said.add(what)
    if error is None:
        logger.warning("raytrace: %s", what)
    else:
        logger.warning("raytrace: %s (%s: %s)", what, type(error).__name__, error)
