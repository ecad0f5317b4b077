"""What a person calls an actor: by its rank, its trial, its name, else its class and which of its kind it was."""

import polars as pl

from raytrace_analyze.names.attributes import ACTOR_NAME, RANK, TRIAL, told
from raytrace_analyze.names.spans import creates_actor

LABELS = pl.Schema({"session": pl.String, "actor_id": pl.String, "is_alone": pl.Boolean, "actor": pl.String})
"""Columns of `actor_labels`."""


def actor_labels(spans: pl.DataFrame) -> pl.DataFrame:
    """Name each actor of a span table.

    Columns of `LABELS`. `actor` is `rank 1` of Ray Train, `trial 8fc2e_00003` of Ray Tune, the name that the program
    gave it, else `Rollout[2]`: the third of its class whose creation was submitted (where that is not known: that ran
    first). `is_alone` says that there is no other one of its class.
    """
    attributes = pl.col("attributes")
    is_creation = creates_actor(pl.col("function"))
    of_actor = spans.filter(pl.col("actor_id").is_not_null(), pl.col("category") == "task")
    created_by = of_actor.filter(is_creation).get_column("parent_id").drop_nulls().unique().implode()
    submits = spans.filter(pl.col("span_id").is_in(created_by), pl.col("category") == "submit")
    of_actor = of_actor.join(
        submits.select("trace_id", "span_id", submitted="start"),
        left_on=["trace_id", "parent_id"],
        right_on=["trace_id", "span_id"],
        how="left",
        maintain_order="left",
    )
    owner = pl.col("function").str.split(".").list.get(-2, null_on_oob=True).fill_null("actor")
    actors = (
        of_actor.select(
            "session",
            "actor_id",
            start=pl.when(is_creation).then(pl.col("submitted")).fill_null(pl.col("start")),
            owner=pl.when(is_creation).then(owner),
            of_method=owner,
            rank=told(attributes, RANK),
            trial=told(attributes, TRIAL),
            name=told(attributes, ACTOR_NAME),
        )
        .sort("start", "actor_id")
        .group_by("session", "actor_id", maintain_order=True)
        .agg(
            pl.col("start").min(),
            pl.coalesce(pl.col("owner").drop_nulls().first(), pl.col("of_method").first()).alias("owner"),
            pl.col("rank", "trial", "name").drop_nulls().first(),
        )
    )
    of_class = ("session", "owner")
    is_told = pl.any_horizontal(pl.col("rank", "trial", "name").is_not_null())
    number = pl.int_range(pl.len()).over(of_class)
    return actors.sort("start", "actor_id").select(
        "session",
        "actor_id",
        is_alone=~is_told & (pl.len().over(of_class) == 1),
        actor=pl.coalesce(
            pl.format("rank {}", "rank"),
            pl.format("trial {}", "trial"),
            "name",
            pl.format("{}[{}]", "owner", number),
        ),
    )
