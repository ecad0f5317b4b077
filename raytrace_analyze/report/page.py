"""The page: the template filled with sections, data, style and script, and a policy that forbids the rest."""

import base64
import hashlib
from importlib.metadata import version
from importlib.resources import files
from string import Template

from raytrace_analyze.analyses.diff import RunDiff
from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.hatching import hatching
from raytrace_analyze.report.markup import Markup, escaped, join, tag
from raytrace_analyze.report.packing import script_json
from raytrace_analyze.report.sections.advice import advice_section, what_if_section
from raytrace_analyze.report.sections.cluster import cluster_section
from raytrace_analyze.report.sections.datasets import datasets_section
from raytrace_analyze.report.sections.difference import difference_section
from raytrace_analyze.report.sections.errors import errors_section
from raytrace_analyze.report.sections.flame import flame_section
from raytrace_analyze.report.sections.functions import functions_section
from raytrace_analyze.report.sections.head import head_section, short_title
from raytrace_analyze.report.sections.missing import missing_section
from raytrace_analyze.report.sections.path import path_section
from raytrace_analyze.report.sections.tasks import tasks_section
from raytrace_analyze.report.sections.timeline import timeline_section
from raytrace_analyze.report.timeline import timeline_data

_STYLES = ("colours.css", "page.css", "charts.css")
_SCRIPTS = (
    *("unpack.js", "words.js", "page.js", "lanes.js", "draw.js"),
    *("input.js", "timeline.js", "details.js", "tasks.js", "main.js"),
)
_DIFFERENCE = ("difference", "What changed")
_ERRORS = ("errors", "Errors")
_DATASETS = ("datasets", "Ray Data")
_NAVIGATION = (
    ("path", "Path"),
    ("advice", "Advice"),
    ("timeline", "Timeline"),
    ("flame", "Flame graph"),
    ("cluster", "Cluster"),
    ("functions", "Functions"),
    ("tasks", "Tasks"),
    ("what-if", "What if"),
    ("missing", "Missing"),
)


def page(facts: ReportFacts, difference: RunDiff | None = None, names: tuple[str, str] = ("BASE", "NEW")) -> str:
    """Make the page of a job; with a difference that, too, between runs that the user called `names`."""
    data = timeline_data(facts)
    changed = None if difference is None else difference_section(difference, names)
    has_failed = facts.path.ended.failed_attempts > 0
    errors, datasets = errors_section(facts), datasets_section(facts)
    sections = [
        head_section(facts),
        errors if has_failed else None,
        changed,
        datasets,
        path_section(facts),
        advice_section(facts),
        timeline_section(facts, data["summedUp"]),
        flame_section(facts),
        cluster_section(facts),
        functions_section(facts),
        tasks_section(facts),
        None if has_failed else errors,
        what_if_section(facts),
        missing_section(facts),
    ]
    style, script = _asset(*_STYLES), _script()
    subject = short_title(facts.path.scope)
    return Template(_asset("page.html")).substitute(
        policy=_policy(style, script),
        title=escaped(f"{subject}: raytrace-analyze"),
        subject=escaped(subject),
        version=escaped(version("raytrace-analyze")),
        source=escaped(_source(facts)),
        navigation=_navigation(
            [_ERRORS] * has_failed + [_DIFFERENCE] * (changed is not None) + [_DATASETS] * (datasets is not None)
        ),
        patterns=hatching(),
        content=join(sections),
        data=script_json(data),
        style=style,
        script=script,
    )


def _asset(*names: str) -> str:
    folder = files("raytrace_analyze.report") / "assets"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def _script() -> str:
    return f"(() => {{\n'use strict';\n{_asset(*_SCRIPTS)}\n}})();"


def _policy(style: str, script: str) -> str:
    """Allow this style and this script, by their hashes, and nothing else: no network, no other script."""
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def _navigation(special: list[tuple[str, str]]) -> Markup:
    links = (*special, *_NAVIGATION)
    return tag("ul", (tag("li", tag("a", text, href=f"#{key}")) for key, text in links))


def _source(facts: ReportFacts) -> str:
    spans = f"{facts.timed.height:,} spans"
    return spans if facts.ingest is None else f"{spans} in {len(facts.ingest.files):,} files"
