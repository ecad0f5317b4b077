"""What a person calls an actor: by its rank, its trial, its name, else its class and which of its kind it was."""

import polars as pl

from raytrace_analyze.attributes import ACTOR_NAME, RANK, TRIAL, told


def actor_labels(spans: pl.DataFrame) -> pl.DataFrame:
    """Name each actor of a span table.

    Columns: `session`, `actor_id`, `actor`: `rank 1` of Ray Train, `trial 8fc2e_00003` of Ray Tune, the name that the
    program gave it, else `Rollout[2]`, the third that was created of its class (of those seen, by their first run).
    """
    attributes = pl.col("attributes")
    of_actor = spans.filter(pl.col("actor_id").is_not_null(), pl.col("category") == "task")
    owner = pl.col("function").str.split(".").list.get(-2, null_on_oob=True).fill_null("actor")
    is_creation = pl.col("function").str.ends_with("__init__")
    actors = (
        of_actor.select(
            "session",
            "actor_id",
            start=pl.col("start"),
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
    number = pl.int_range(pl.len()).over("session", "owner")
    return actors.sort("start", "actor_id").select(
        "session",
        "actor_id",
        actor=pl.coalesce(
            pl.format("rank {}", "rank"),
            pl.format("trial {}", "trial"),
            "name",
            pl.format("{}[{}]", "owner", number),
        ),
    )
