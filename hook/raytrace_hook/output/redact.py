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
    r"jwt",
)
_OURS = ("ray.", "raytrace.")
"""Attributes of Ray and the hook itself hold no credentials, but for the entry point: that is redacted as a text."""
_MOST_KEYS = 1000
_OF_WORDS = "-.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
_LONGEST_WORD = 200
_REST = r"[\w.-]{0,100}"
_VALUE = r"""(?P<value>(?:(?:bearer|basic)\s+)?(?:"[^"]*"|'[^']*'|[^\s&"',;)\]}]+))"""


class Redactor:
    """Replaces what matches; what does not is returned as it is."""

    def __init__(self, more: Sequence[str] = ()) -> None:
        """Take more regular expressions for names, beside the usual ones. Raises re.error for one that is wrong."""
        for pattern in more:
            re.compile(pattern)
        self._asked = re.compile("|".join(f"(?:{pattern})" for pattern in more), re.IGNORECASE) if more else None
        names = "|".join((*_USUAL, *(f"(?:{pattern})" for pattern in more)))
        self._name = re.compile(names, re.IGNORECASE)
        # Behind a name: the rest of its word and what stands between it and its value: `a=b`, `"a": "b"`, `--a b`.
        # Each is bounded, and looked for behind a name alone: a text of the program may be long, and hold many.
        self._assigned = re.compile(rf"""{_REST}["']?\s*[=:]\s*{_VALUE}""", re.IGNORECASE)
        self._option = re.compile(rf"{_REST}(?:\s+|=){_VALUE}", re.IGNORECASE)
        # A user with a password in a URL; a scheme of an authorization.
        self._in_url = re.compile(r"(?<=[a-z0-9+.-]://)[^/\s@:]*:[^/\s@]*@", re.IGNORECASE)
        self._scheme = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
        self._known: dict[str, bool] = {}

    def text(self, text: str) -> str:
        """Return a text without what looks like a credential."""
        if "@" in text:
            text = self._in_url.sub(f"{REDACTED}@", text)
        text = self._without_named(text)
        lower = text.lower()
        if "bearer" in lower or "basic" in lower:
            text = self._scheme.sub(rf"\1 {REDACTED}", text)
        return text

    def _without_named(self, text: str) -> str:
        """Return a text without the values that stand behind names; the same object where there is none."""
        parts = []
        position = 0
        for name in self._name.finditer(text):
            if name.start() < position:
                continue
            before = text[max(name.start() - _LONGEST_WORD, 0) : name.start()]
            is_option = before[len(before.rstrip(_OF_WORDS)) :].startswith("--")
            found = (self._option.match(text, name.end()) if is_option else None) or self._assigned.match(
                text, name.end()
            )
            if found is not None:
                parts += [text[position : found.start("value")], REDACTED]
                position = found.end()
        return "".join([*parts, text[position:]]) if parts else text

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
            items = self._items(value)
            return value if all(map(is_, items, value)) else items
        return value

    def _items(self, values: Sequence[Any]) -> list[Any]:
        """Return the items of a list, which may be a command line: the word behind `--token` is one."""
        items: list[Any] = []
        is_next = False
        for value in values:
            is_text = isinstance(value, str)
            items.append(REDACTED if is_next and is_text else self._inside(value))
            is_next = is_text and self._is_option(value)
        return items

    def _is_option(self, text: str) -> bool:
        if not text.startswith("-") or len(text) > _LONGEST_WORD or text.strip(_OF_WORDS):
            return False
        return self._name.search(text) is not None

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
