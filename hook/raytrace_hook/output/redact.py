"""Keeps credentials out of the files: values of attributes that are named like one, and parts of texts that look so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from operator import is_
from typing import Any

REDACTED = "[redacted]"
_USUAL = (
    r"passw(?:or)?d",
    r"passphrase",
    r"secret",
    r"token(?!s|iz)",
    r"credential",
    r"api[-_.]?key",
    r"(?:access|private|account|signing)[-_.]?key",
    r"authorization",
    r"cookie",
    r"signature",
)
_OURS = ("ray.", "raytrace.")
"""Attributes of Ray and the hook itself hold no credentials, but for the entry point: that is redacted as a text."""
_MOST_KEYS = 1000


class Redactor:
    """Replaces what matches; what does not is returned as it is."""

    def __init__(self, more: Sequence[str] = ()) -> None:
        """Take more regular expressions for names, beside the usual ones. Raises re.error for one that is wrong."""
        for pattern in more:
            re.compile(pattern)
        self._asked = re.compile("|".join(f"(?:{pattern})" for pattern in more), re.IGNORECASE) if more else None
        names = "|".join((*_USUAL, *(f"(?:{pattern})" for pattern in more)))
        self._name = re.compile(names, re.IGNORECASE)
        # In front of a value: its name as in `a=b`, `"a": "b"`, `--a b`; a user with a password in a URL; a scheme.
        self._named = re.compile(
            rf"""((?:--[\w.-]*(?:{names})[\w.-]*(?:\s+|=))|(?:[\w.-]*(?:{names})[\w.-]*["']?\s*[=:]\s*))"""
            r"""((?:bearer|basic)\s+)?("[^"]*"|'[^']*'|[^\s&"',;)\]}]+)""",
            re.IGNORECASE,
        )
        self._in_url = re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s@:]*:[^/\s@]*@", re.IGNORECASE)
        self._scheme = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
        self._known: dict[str, bool] = {}

    def text(self, text: str) -> str:
        """Return a text without what looks like a credential."""
        if "@" in text:
            text = self._in_url.sub(rf"\1{REDACTED}@", text)
        if self._name.search(text):
            text = self._named.sub(rf"\1{REDACTED}", text)
        lower = text.lower()
        if "bearer" in lower or "basic" in lower:
            text = self._scheme.sub(rf"\1 {REDACTED}", text)
        return text

    def value(self, name: str, value: Any) -> Any:
        """Return the value of an attribute; a number is no credential, unless its name was asked for."""
        if name.startswith(_OURS) or value is None:
            return value
        if isinstance(value, (bool, int, float)):
            return value if self._asked is None or self._asked.search(name) is None else REDACTED
        return REDACTED if self._is_secret(name) else self._inside(value)

    def _inside(self, value: Any) -> Any:
        """Return a value under a name that says nothing: the same object where nothing is replaced."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            text = value.decode("utf-8", "replace")
            shown = self.text(text)
            return value if shown == text else shown
        if isinstance(value, Mapping):
            within = {key: self.value(str(key), item) for key, item in value.items()}
            return value if all(within[key] is item for key, item in value.items()) else within
        if isinstance(value, (list, tuple)):
            items = [self._inside(item) for item in value]
            return value if all(map(is_, items, value)) else items
        return value

    def attributes(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return attributes, the same object where nothing is replaced."""
        for name, value in attributes.items():
            # `is` will do: what nothing matches in comes back as it is.
            if not name.startswith(_OURS) and self.value(name, value) is not value:
                return {key: self.value(key, one) for key, one in attributes.items()}
        return attributes

    def _is_secret(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _MOST_KEYS:
                self._known.clear()
            known = self._known[name] = self._name.search(name) is not None
        return known
