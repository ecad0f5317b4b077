"""What of Ray's libraries the hook could not record, since a version of Ray has no place for it: the spans say so."""

import re

import polars as pl

from raytrace_analyze.names.attributes import NOT_RECORDED
from raytrace_analyze.vocabulary.spans import Library

_ABOUT = {
    Library.DATA: "dataset",
    Library.SERVE: "Ray Serve",
    Library.TRAIN: "Ray Train",
    Library.TUNE: "Ray Tune",
}
"""What the hook's words for a library's features have in them."""
_TOLD = rf'"{re.escape(NOT_RECORDED)}"\s*:\s*"([^"\\]{{1,2000}})'


def not_recorded(spans: pl.DataFrame, library: Library) -> list[tuple[str, tuple[str, ...]]]:
    """Give for each version of Ray in these spans what of this library the hook does not record with it, if anything.

    `spans` has the column `resource`.
    """
    resources = spans.get_column("resource").unique()
    told = resources.filter(resources.str.contains(NOT_RECORDED, literal=True)).str.extract(_TOLD).drop_nulls()
    by_version: dict[str, list[str]] = {}
    for text in told.unique().sort():
        version, _, features = text.partition(": ")
        known = by_version.setdefault(version, [])
        known += [one for one in features.split(", ") if _ABOUT[library] in one and one not in known]
    return [(version, tuple(features)) for version, features in by_version.items() if features]
