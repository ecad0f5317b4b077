"""How large what is stored or passed on by value gets: only its serialization knows."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.ray import patches
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.ray.tracing_patches import CONTEXT

_MUCH_CODE = 100_000


class _Measured(threading.local):
    """What a thread wants to know the size of."""

    put: bool = False
    put_bytes: int | None = None
    arguments: frozenset[int] | None = None
    """The values by number (`id`): Ray serializes names of parameters, too, and tracing's own argument."""
    argument_bytes: int = 0
    code_bytes: int = 0


_measured = _Measured()


def install() -> None:
    """Look at what is serialized from now on."""
    patches.patch_serialize(_measuring)
    patches.patch_exports(_measuring_code)


def begin_put() -> None:
    """Take the next size for that of a put."""
    _measured.put, _measured.put_bytes = True, None


def size_of_put() -> dict[str, Any]:
    """Return the size since `begin_put` as an attribute."""
    _measured.put = False
    size = _measured.put_bytes
    return {} if size is None else {names.PUT_BYTES: size}


def begin_arguments(args: Iterable[Any] | None, keywords: Mapping[str, Any]) -> None:
    """Add up the sizes of these arguments of a submission, and of the code that it exports."""
    _measured.put, _measured.argument_bytes, _measured.code_bytes = False, 0, 0
    own = [value for name, value in keywords.items() if name != CONTEXT] if len(keywords) > 1 else ()
    _measured.arguments = frozenset(map(id, (*(args or ()), *own)))


def size_of_arguments() -> int:
    """Return the sum since `begin_arguments`."""
    _measured.arguments = None
    return _measured.argument_bytes


def size_of_code() -> int:
    """Return what was exported since `begin_arguments`; 0 where that is little."""
    code_bytes, _measured.code_bytes = _measured.code_bytes, 0
    return code_bytes if code_bytes >= _MUCH_CODE else 0


def _measuring_code(original: Callable[..., Any]) -> Callable[..., Any]:
    def pickle_dumps(*arguments: Any, **keywords: Any) -> Any:
        try:
            pickled = original(*arguments, **keywords)
        except BaseException as error:
            leave_out_this_frame(error)
            raise
        _measured.code_bytes += len(pickled)
        return pickled

    return pickle_dumps


def _measuring(original: Callable[..., Any]) -> Callable[..., Any]:
    serialized_name: list[Any] = []
    """What the name of tracing's own argument became: it goes along with every call, and is always the same."""

    def serialize(context: Any, value: Any, *arguments: Any, **keywords: Any) -> Any:
        wanted = _measured.arguments
        if value is CONTEXT and wanted is not None and id(value) not in wanted and not arguments and not keywords:
            if not serialized_name:
                serialized_name.append(original(context, value))
            return serialized_name[0]
        try:
            serialized = original(context, value, *arguments, **keywords)
        except BaseException as error:
            leave_out_this_frame(error)
            raise
        if _measured.put:
            _measured.put, _measured.put_bytes = False, getattr(serialized, "total_bytes", None)
        elif _measured.arguments is not None and id(value) in _measured.arguments:
            _measured.argument_bytes += getattr(serialized, "total_bytes", 0)
        return serialized

    return serialize
