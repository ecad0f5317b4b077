"""The patterns that tell kinds of time apart without their colours."""

from raytrace_analyze.report.markup import Markup, tag

_SIZE = 8
_SLASH = "M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4"
_BACKSLASH = "M-2,6 l4,4 M0,0 l8,8 M6,-2 l4,4"
_LEVEL = "M0,2 h8 M0,6 h8"
_UPRIGHT = "M2,0 v8 M6,0 v8"
_CROSS = f"{_SLASH} {_BACKSLASH}"
_GRID = "M0,4 h8 M4,0 v8"
_WAVE = "M0,4 l4,-3 l4,3"
_STEP = "M0,6 h4 v-4 h4"
_LINES = {
    "submit": _LEVEL,
    "fetch": _UPRIGHT,
    "wait": _CROSS,
    "queue": _SLASH,
    "dependency": _BACKSLASH,
    "actor-busy": _GRID,
    "actor-start": _WAVE,
    "worker-start": _SLASH,
    "no-slot": _CROSS,
    "transfer": _UPRIGHT,
    "function-load": _BACKSLASH,
    "retry": _GRID,
    "dispatch": _STEP,
    "slot-start": _BACKSLASH,
    "restore": _UPRIGHT,
    "store-full": _CROSS,
    "placement": _STEP,
    "replica": _LEVEL,
}
_DOTTED = ("idle", "unknown")


def hatching() -> Markup:
    """Define the patterns for the whole page: `p-KEY` for the kind with that key."""
    made = [_pattern(key, tag("path", d=lines, class_="hatch")) for key, lines in _LINES.items()]
    made += [_pattern(key, tag("circle", cx="2", cy="2", r="1.2", class_="dots")) for key in _DOTTED]
    return tag("svg", tag("defs", made), class_="defs", aria_hidden="true")


def _pattern(key: str, over: Markup) -> Markup:
    ground = tag("rect", width=_SIZE, height=_SIZE, class_=f"c-{key}")
    return tag("pattern", ground, over, id=f"p-{key}", width=_SIZE, height=_SIZE, patternUnits="userSpaceOnUse")
