"""How a patch is made: tested first, once per process, and at the price of its one feature when it does not fit."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from typing import Any, Callable

from raytrace_hook.log import warn_once
from raytrace_hook.ray.internals import ray_version

_MARK = "_raytrace_original"

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Takes a function and returns what is called in its place."""


not_recorded: list[str] = []
"""What of Ray's libraries is not recorded here, since this version of Ray has no place for it: the spans say so."""


def patched(feature: str, *, of_library: bool = False) -> Callable[[Callable[..., None]], Callable[..., bool]]:
    """Make a patch safe: True when it was made, else False, and `feature` is off.

    That is logged; of Ray's libraries, which change from version to version, it goes to `not_recorded` instead.
    """

    def decorate(patch: Callable[..., None]) -> Callable[..., bool]:
        @functools.wraps(patch)
        def safe(*arguments: Any) -> bool:
            try:
                patch(*arguments)
            except Exception as error:
                if not of_library:
                    warn_once(f"{feature}: not with this version of Ray ({ray_version()})", error)
                elif feature not in not_recorded:
                    not_recorded.append(feature)
                return False
            return True

        return safe

    return decorate


def when_loaded(name: str, action: Callable[[], Any]) -> None:
    """Call `action` once that module is there: now, or right after it has been imported."""
    if name in sys.modules:
        action()
    else:
        sys.meta_path.insert(0, _Watch(name, action))


class _Watch:
    """Sees one module being imported, through the finders that would have been asked anyway."""

    def __init__(self, name: str, action: Callable[[], Any]) -> None:
        self._name, self._action = name, action

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if name != self._name or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        loader: Any = getattr(spec, "loader", None)
        if loader is not None:
            execute = loader.exec_module

            def exec_module(module: Any) -> None:
                execute(module)
                self._action()

            loader.exec_module = exec_module
        return spec


class Overlay:
    """A module with some of its names replaced, for one user of it alone."""

    def __init__(self, module: Any, **replaced: Any) -> None:
        self.__dict__.update(replaced)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def replace_attribute(owner: Any, name: str, wrapper: Wrapper) -> None:
    """Wrap an attribute of a class or module, once."""
    original = getattr(owner, name)
    if not hasattr(original, _MARK):
        replacement = functools.wraps(original)(wrapper(original))
        setattr(replacement, _MARK, original)
        setattr(owner, name, replacement)


def replace_code(function: Any, wrapper: Wrapper) -> None:
    """Wrap a function of a module in place, so that names bound to it long before (`from ray import wait`) follow."""
    raw = inspect.unwrap(function)
    if hasattr(raw, _MARK):
        return
    if raw.__closure__:
        raise TypeError(f"{raw.__name__} is a closure")
    original = types.FunctionType(raw.__code__, raw.__globals__, raw.__name__, raw.__defaults__)
    original.__kwdefaults__ = raw.__kwdefaults__
    original.__qualname__, original.__module__ = raw.__qualname__, raw.__module__
    name = f"_raytrace_{raw.__name__}"
    raw.__signature__ = inspect.signature(raw)
    raw.__globals__[name] = wrapper(original)
    setattr(raw, _MARK, original)
    raw.__defaults__ = raw.__kwdefaults__ = None
    # Compiled here: no text from elsewhere ever becomes code. It shows in tracebacks as no file of ours.
    names = tuple(name if one == "_raytrace_wrapped" else one for one in _calling.__code__.co_names)
    raw.__code__ = _calling.__code__.replace(co_names=names, co_name=raw.__name__, co_filename="<string>")


_raytrace_wrapped: Callable[..., Any]


def _calling(*args: Any, **kwargs: Any) -> Any:
    return _raytrace_wrapped(*args, **kwargs)  # noqa: F821 - a name of the module that it is put into
