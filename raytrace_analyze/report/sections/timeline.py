"""The timeline: the place that the script draws in, and what works it."""

from raytrace_analyze.report.elements import section
from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.markup import Markup, tag
from raytrace_analyze.text.units import count_text

_BUTTONS = (
    ("zoom-in", "Zoom in"),
    ("zoom-out", "Zoom out"),
    ("zoom-whole", "Whole job"),
    ("path-before", "Step back on the path"),
    ("path-next", "Next step of the path"),
)
_KEYS = (
    ("← →", "move"),
    ("+ -", "zoom"),
    ("↑ ↓", "scroll"),
    ("Home", "whole job"),
    ("n p", "next and previous step of the path"),
    ("Enter", "zoom to what is chosen"),
    ("/", "search"),
)


def timeline_section(facts: ReportFacts, summed_up: int) -> Markup:
    """Give the timeline's place; `summed_up` is how many spans are not drawn one by one."""
    lead = (
        "Every span by node, process and actor, what ran at the same time below each other. The strip at the top is "
        "the critical path by cause; the framed line below the spans is where it runs."
    )
    search = tag("input", type="search", id="find", placeholder="search functions", aria_label="Search the timeline")
    controls = tag(
        "div",
        (tag("button", text, type="button", id=key) for key, text in _BUTTONS),
        search,
        tag("output", id="found", for_="find"),
        class_="controls",
    )
    drawing = tag(
        "div",
        tag(
            "div",
            tag("canvas"),
            tag("div", class_="room"),
            id="timeline-scroll",
            tabindex="0",
            role="application",
            aria_label="Timeline of spans; n and p go along the critical path and tell each step below",
        ),
        id="timeline-view",
    )
    keys = tag(
        "p",
        "Drag or shift + wheel to move, ctrl + wheel to zoom, click for all attributes, double-click to zoom to a "
        "span. Keys: ",
        ([tag("kbd", key), f" {does}{'.' if key == _KEYS[-1][0] else '; '}"] for key, does in _KEYS),
        class_="keys",
    )
    details = tag("div", id="details", role="region", aria_label="The chosen span", aria_live="polite", hidden=True)
    note = tag("p", "The timeline is drawn by a script.", id="timeline-note")
    parts = tag("div", controls, drawing, details, keys, id="timeline-parts", hidden=True)
    return section("timeline", "Timeline", _summed(facts, summed_up), note, parts, lead=lead)


def _summed(facts: ReportFacts, summed_up: int) -> Markup | None:
    if not summed_up:
        return None
    every = count_text(facts.timed.height, "span")
    return tag(
        "p",
        f"This job has {every}. The critical path, what failed and the slowest are drawn in full; the other "
        f"{count_text(summed_up, 'span')} are summed up by process, function and stretch of time, and drawn paler.",
    )
