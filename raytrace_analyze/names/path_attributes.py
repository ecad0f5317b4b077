"""What paths are told from among the attributes of spans: most of the text is said in columns, too, or only shown."""

import re
import zlib

import polars as pl

from raytrace_analyze.names import attributes as names

ASKED = (
    *(names.RESOURCES, names.PLACEMENT_RESOURCES, names.PUT_ARGUMENTS, names.PUT_BYTES, names.CANCELLED),
    *(names.TARGET_TASK_ID, names.PLACEMENT_GROUP_ID, names.ITEM, names.ITEM_READY, names.ITEMS),
    *(names.AWAITED, names.AWAITED_COUNT, names.AWAITED_TASK_IDS, names.TIMED_OUT, names.SAMPLED_TIMES, names.LOOPS),
    *(names.POLLS, names.CALL_SITE),
    *(names.CPU_NS, names.CPU_DELAY_NS, names.BUSY, names.IDLE, names.STACKS, names.ENTRYPOINT, names.ALIVE),
    *(names.CONCURRENCY_GROUP, names.MAX_CONCURRENCY, names.ON_EVENT_LOOP, names.ACTOR_NAME, names.RANK, names.TRIAL),
    *(names.LIBRARY, names.SAMPLER),
)
"""All attributes that a path may be told from."""
ASKED_HERE = f"{zlib.crc32(chr(10).join(ASKED).encode()):08x}"
"""Tells these attributes from those of another version."""

_ANY = "|".join(re.escape(name) for name in ASKED)
_BEGINS = rf'^"(?:{_ANY})"\s*:'
_LONGEST = max(map(len, ASKED)) + 4
_NOTHING = "{}"


def asked_attributes(texts: pl.Series) -> pl.Series:
    """Give attributes (JSON) without what stands before the first that a path may be told from.

    What is left tells of all of those the same. Of texts that have inner objects, or other characters than ASCII, all
    is left.
    """
    about = pl.DataFrame({"text": texts, "at": texts.str.find(_ANY)})
    some = about.filter(pl.col("at").is_not_null())
    rest = pl.col("text").str.slice(pl.col("at").cast(pl.Int64) - 1)
    is_plain = (
        (pl.col("text").str.len_bytes() == pl.col("text").str.len_chars())
        & rest.str.head(_LONGEST).str.contains(_BEGINS)
        & ~pl.col("text").str.contains_any(names.NESTED)
    )
    left = some.select(pl.when(is_plain).then(pl.concat_str(pl.lit("{"), rest)).otherwise("text")).to_series()
    nothing = pl.Series(texts.name, [_NOTHING]).new_from_index(0, len(texts))
    return nothing.scatter(about.get_column("at").is_not_null().arg_true(), left)
