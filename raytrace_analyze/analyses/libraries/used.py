"""Which of Ray's libraries a job uses, told from what its spans are called."""

import re

import polars as pl

from raytrace_analyze.names.functions import MAP_WORKER, OPERATOR_TASKS
from raytrace_analyze.names.spans import REPORT_SPAN
from raytrace_analyze.vocabulary.spans import Library

_NAMES = {
    Library.DATA: OPERATOR_TASKS,
    Library.TRAIN: REPORT_SPAN,  # checkpoints of Ray Tune's trials are Train's, too
    Library.TUNE: "ray.tune.",
}
"""What names of spans begin with."""
_FUNCTIONS = {
    Library.DATA: f"^{re.escape(MAP_WORKER)}",
    Library.SERVE: "ServeReplica:",
    Library.TRAIN: r"(^|\.)RayTrainWorker\.",
    Library.TUNE: r"(^|\.)ImplicitFunc\.train",
}
"""What is in names of functions: Ray's own tracing has no spans but of these."""


def libraries_used(spans: pl.DataFrame) -> tuple[Library, ...]:
    """Give the libraries of which there are spans (columns `name` and `function`), in the order of `Library`."""
    never = pl.lit(value=False)
    uses = spans.select(
        (
            (pl.col("name").str.starts_with(_NAMES[library]) if library in _NAMES else never)
            | (pl.col("function").str.contains(_FUNCTIONS[library]).fill_null(value=False))
        )
        .any()
        .alias(library)
        for library in Library
    )
    return tuple(library for library in Library if spans.height and uses.item(0, library))
