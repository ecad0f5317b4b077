"""What runs ask of their nodes, as whoever knows it best says it."""

import polars as pl

from raytrace_analyze.names.attributes import RESOURCES, UNIT, parse_cpus, told
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.span_arrays import Structure


def asked_resources(structure: Structure, runs: RowIds) -> pl.Series:
    """Give the resources that some runs (row numbers) ask for, as JSON; null where nobody says.

    Ray's task events know them, else the submit does.
    """
    submit = structure.submit[runs]
    submits = pl.Series(submit).set(pl.Series(submit < 0), None)
    by_submit = told(structure.spans.get_column("attributes").gather(submits), RESOURCES)
    by_events = structure.spans.get_column("required_resources").gather(runs)
    return pl.select(pl.coalesce(by_events, by_submit)).to_series()


def asked_cpus(structure: Structure, runs: RowIds) -> RowIds:
    """Give how much CPU some runs (row numbers) ask for: in ten-thousandths, 1 CPU where nobody says."""
    return parse_cpus(asked_resources(structure, runs), otherwise=UNIT)
