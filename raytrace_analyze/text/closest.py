"""Did you mean: the known words that are closest to one that is not known."""

import difflib
from collections.abc import Iterable

_MOST = 3
_ALIKE = 0.6
"""From which ratio on (0 to 1, of difflib) two words are near enough to be mistaken for each other."""


def closest(wanted: str, known: Iterable[str]) -> list[str]:
    """Give the known words that may have been meant, the closest first; of names with dots the last part counts too.

    >>> closest("functoin", ["function", "name"]), closest("scor", ["__main__.score", "__main__.load"])
    (['function'], ['__main__.score'])
    """
    by_form: dict[str, str] = {}
    for word in known:
        for form in (word.rpartition(".")[2], word):
            by_form.setdefault(form.lower(), word)
    near = difflib.get_close_matches(wanted.lower(), by_form, _MOST, _ALIKE)
    starting = [form for form in by_form if wanted and form.startswith(wanted.lower())]
    return list(dict.fromkeys(by_form[form] for form in (*near, *starting)))[:_MOST]


def did_you_mean(wanted: str, known: Iterable[str]) -> str:
    """Say it behind the word that is not known: ` (did you mean 'score'?)`, and nothing where no word is near."""
    found = closest(wanted, known)
    return f" (did you mean {' or '.join(repr(str(word)) for word in found)}?)" if found else ""
