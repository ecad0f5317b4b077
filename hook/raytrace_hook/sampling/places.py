"""Where a thread is: the frames on its stack, told apart into the program's, Ray's, and the library's below them."""

from __future__ import annotations

import dis
import functools
import os
import sys
from types import CodeType, FrameType, ModuleType
from typing import Any

_PROGRAM, _PACKAGE, _RAY, _LIBRARY = range(4)
"""Whose code is: the program's own, an installed package's, Ray's (or tracing's), the standard library's."""
_SHOWN = (_PROGRAM, _PACKAGE)
_NOT_THE_PROGRAM = ("ray.", "raytrace_hook.", "opentelemetry.")
_RAYS_COPIES = f"{os.sep}ray{os.sep}thirdparty_files{os.sep}"
"""Where Ray keeps packages that it brings along, for itself."""
_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_RAYS_MAIN = "default_worker.py"
_RUNS_MANY = "ray.util.multiprocessing.pool"
"""Goes through the calls that it was given, as a loop of the program's own would."""
_MOST_FRAMES = 100
"""How many frames of a stack are kept, the innermost; the program's next one is kept besides, down to `_DEEPEST`."""
_DEEPEST = 400
_MOST_CODES = 20_000
_SOCKET_CALLS = frozenset(
    ("accept", "connect", "recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "send", "sendall", "sendto")
)
_ENTERS = ("BEFORE_WITH", "LOAD_SPECIAL")
"""Where the code of `with` calls the object's `__enter__`."""
_WRAPPERS = ("ray._private.auto_init_hook", "ray._private.client_mode_hook", "raytrace_hook.", "opentelemetry.")
"""What stands between a program and the function of Ray that it called."""
_RECORDED_BY = "raytrace_hook.record."
_RECORDED_CALLS = frozenset((("ray._private.worker", "get"), ("ray._private.worker", "wait")))

Place = tuple[int, ...]
"""Numbers of the code objects on a stack and where in them it is, in pairs, innermost first."""
_kinds: dict[int, tuple[CodeType, int]] = {}
"""By the code's number: whose it is. The code is held so that no other can come to have its number."""
_called: dict[tuple[int, int], str] = {}


def place_of(frame: FrameType | None) -> Place:
    """Return where a thread is, by its innermost frame; empty where nothing of the program is on its stack.

    It ends where the program was called by Ray: there a task's body begins.
    """
    found: list[int] = []
    is_in_program, in_package, depth, most = False, 0, 0, 2 * _MOST_FRAMES
    while frame is not None and depth < _DEEPEST and (len(found) < most or not is_in_program):
        depth += 1
        code = frame.f_code
        number = id(code)
        known = _kinds.get(number)
        kind = known[1] if known is not None else _classify(frame)
        if kind == _PROGRAM:
            is_in_program = True
        elif len(found) >= most:
            frame = frame.f_back  # modules that import one another go deep, and the program is further out
            continue
        elif kind == _RAY:
            if is_in_program:
                break
            # A package that Ray uses itself has the program further out; where there is none, it was what Ray ran.
            in_package = in_package or (len(found) if any(_kinds[one][1] == _PACKAGE for one in found[::2]) else 0)
        found.append(number)
        found.append(frame.f_lasti)
        frame = frame.f_back
    if is_in_program:
        return tuple(found)
    is_in_package = any(_kinds[one][1] == _PACKAGE for one in found[::2])
    return tuple(found[: in_package or len(found)]) if is_in_package else ()


def folded(place: Place) -> str:
    """Return the program's frames as `function (file:line)`, outermost first, with semicolons between them."""
    pairs = zip(place[-2::-2], place[::-2])
    return ";".join(_shown(_kinds[number][0], at) for number, at in pairs if _kinds[number][1] in _SHOWN)


def codes(place: Place) -> list[tuple[CodeType, int]]:
    """Return the code on a stack and where in each it is, innermost first, in the program and below it."""
    return [(_kinds[number][0], at) for number, at in zip(place[::2], place[1::2]) if number in _kinds]


def site(place: Place) -> str:
    """Return `file:line` of the program's innermost frame: its own where there is one, else an installed package's."""
    frames = [(*_kinds[number], at) for number, at in zip(place[::2], place[1::2])]
    own = [(code, at) for code, kind, at in frames if kind == _PROGRAM]
    others = [(code, at) for code, kind, at in frames if kind == _PACKAGE]
    code, at = (own or others)[0]
    return f"{_file(code)}:{_line(code, at)}"


def own_frame(place: Place) -> Place:
    """Return the frame of which `site` tells the line, as a place of its own; empty for nowhere."""
    pairs = list(zip(place[::2], place[1::2]))
    own = [pair for pair in pairs if _kinds[pair[0]][1] == _PROGRAM]
    others = [pair for pair in pairs if _kinds[pair[0]][1] == _PACKAGE]
    return next(iter(own or others), ())


def is_importing(place: Place) -> bool:
    """Tell whether a module is being imported there."""
    return any(
        code.co_name == "_find_and_load" and code.co_filename.startswith("<frozen importlib")
        for code, _ in codes(place)
    )


def what_it_calls(frame: FrameType) -> str:
    """Return what the program's innermost frame waits in, such as `threading.Event.wait` or `time.sleep`.

    That is the function of the standard library or of Ray that it called. Where there is none, it is native code:
    its name as far as it can be told from the code of the call, for an object's method as the program writes it.
    """
    innermost, below = frame, None
    below_name = ""
    current: FrameType | None = frame
    while current is not None and _kind(current) not in _SHOWN:
        if not _module(current).startswith(_WRAPPERS):
            below, below_name = current, _module(current)
        current = current.f_back
    native = _native_call(innermost)
    if native.startswith("socket.") or below is None:
        return native
    code = below.f_code
    return f"{below_name}.{getattr(code, 'co_qualname', code.co_name)}"


def is_in_recorded_wait(frame: FrameType | None) -> bool:
    """Tell whether the program is in a call that has a span of its own, such as `ray.get`."""
    while frame is not None and _kind(frame) not in _SHOWN:
        module = _module(frame)
        if module.startswith(_RECORDED_BY) or (module, frame.f_code.co_name) in _RECORDED_CALLS:
            return True
        frame = frame.f_back
    return False


def _kind(frame: FrameType) -> int:
    known = _kinds.get(id(frame.f_code))
    return known[1] if known is not None else _classify(frame)


def _classify(frame: FrameType) -> int:
    code = frame.f_code
    file = code.co_filename
    if _module(frame) == _RUNS_MANY:
        kind = _LIBRARY
    elif f"{_module(frame)}.".startswith(_NOT_THE_PROGRAM) or file.endswith(_RAYS_MAIN) or _RAYS_COPIES in file:
        kind = _RAY
    elif any(part in file for part in _INSTALLED):
        kind = _PACKAGE
    elif file.startswith(("<frozen ", _STANDARD_LIBRARY)):
        kind = _LIBRARY
    else:
        kind = _PROGRAM
    _kinds[id(code)] = code, kind
    return kind


def forget_when_full() -> bool:
    """Forget all codes once they are very many; the places told so far then mean nothing any more."""
    if len(_kinds) < _MOST_CODES:
        return False
    _kinds.clear()
    _called.clear()
    _shown.cache_clear()
    return True


def _module(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


@functools.lru_cache(maxsize=5000)
def _shown(code: CodeType, at: int) -> str:
    name = getattr(code, "co_qualname", code.co_name)
    return f"{name} ({_file(code)}:{_line(code, at)})".replace(";", ",").replace("\n", " ")


def _file(code: CodeType) -> str:
    file = code.co_filename
    # A program is often started by a relative path; `<stdin>` and the like are no paths.
    return file if file.startswith("<") else os.path.abspath(file)


def _line(code: CodeType, at: int) -> int:
    found = code.co_firstlineno
    for start, line in dis.findlinestarts(code):
        if start > at:
            break
        found = line or found
    return found


def _native_call(frame: FrameType) -> str:
    key = id(frame.f_code), frame.f_lasti
    known = _called.get(key)
    if known is None:
        try:
            known = _callee(frame)
        except Exception:  # the code of another Python than those known: what is called has no name then
            known = ""
        known = _called[key] = known or "native code"
    return known


def _callee(frame: FrameType) -> str:
    """Return the name of what a frame calls, by the code that put it on the stack."""
    if sys.version_info < (3, 11):
        return ""  # the code does not say where in the line it belongs
    start = None
    before: list[dis.Instruction] = []
    for instruction in dis.get_instructions(frame.f_code):
        if instruction.offset > frame.f_lasti:
            break
        before.append(instruction)
    enters = bool(before) and before[-1].opname in _ENTERS
    if not before or not (enters or before[-1].opname.startswith(("CALL", "PRECALL"))):
        return ""
    # What `with` enters stands right before it.
    position = before[-2 if enters and len(before) > 1 else -1].positions
    start = position and (position.lineno, position.col_offset)
    names: list[str] = []
    # The call and the name of what it calls begin at the same place of the source, its arguments further on.
    for instruction in reversed(before[:-1]):
        position = instruction.positions
        if not position or (position.lineno, position.col_offset) != start:
            if names:
                break
            continue
        if instruction.opname.startswith(("LOAD_ATTR", "LOAD_METHOD")):
            names.append(str(instruction.argval))
        elif instruction.opname.startswith(("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FAST", "LOAD_DEREF")):
            names.append(str(instruction.argval))
            if enters:
                return ".".join([*names[::-1], "__enter__"])
            return _named(names[::-1], frame if instruction.opname.startswith(("LOAD_GLOBAL", "LOAD_NAME")) else None)
        elif names:
            break
    return _named(names[::-1], None)


def _named(names: list[str], frame: FrameType | None) -> str:
    """Return the full name: what a global name stands for is looked at, an object is not touched."""
    value: Any = None
    if frame is not None and names:
        value = frame.f_globals.get(names[0], frame.f_builtins.get(names[0]))
        for name in names[1:]:
            value = vars(value).get(name) if isinstance(value, (ModuleType, type)) else None
    module, qualified = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if isinstance(module, str) and isinstance(qualified, str):
        return qualified if module == "builtins" else f"{module}.{qualified}"
    if names and names[-1] in _SOCKET_CALLS:
        return f"socket.{names[-1]}"
    return ".".join(names)
