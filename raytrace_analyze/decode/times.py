"""Times as text to times as nanoseconds, a column at once."""

import re
from datetime import UTC, datetime, timedelta, timezone

import polars as pl

from raytrace_analyze.schema import TIME

_NS = 1_000_000_000

_YEARS = (1970, 2261)
"""The whole years whose nanoseconds, and the differences between them, 64 bits reach."""

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d+))?\s*(?:[Zz]|([+-])(\d\d):?(\d\d))?", re.ASCII)


def time_of(text: pl.Expr) -> pl.Expr:
    """Parse ISO 8601 times in UTC with up to nine digits of a fraction, as exporters write them.

    Gives `schema.TIME`; null where there is none and for any other form (see `with_odd_times`).
    """
    seconds = text.str.slice(0, 19).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False)
    # Fixed places instead of a format with %.f: that takes three times as long.
    fraction = text.str.slice(19).str.strip_suffix("+00:00").str.strip_suffix("Z")
    usual = fraction.str.contains(r"^(?:\.[0-9]{1,9})?$") & seconds.dt.year().is_between(*_YEARS)
    ns = fraction.str.slice(1).str.pad_end(9, "0").cast(pl.Int64, strict=False)
    return pl.when(usual).then(seconds.dt.epoch("s") * _NS + ns).cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")


def with_odd_times(times: pl.Series, texts: pl.Series) -> pl.Series:
    """Fill in the times that `time_of` left null and that are times all the same.

    Takes another zone, none (which means UTC, as all exporters write it), a blank for the T, more digits.
    """
    odd = (times.is_null() & texts.is_not_null()).arg_true()
    if not odd.len():
        return times
    values = pl.Series([epoch_ns(text) for text in texts.gather(odd)], dtype=pl.Int64)
    return times.scatter(odd, values.cast(TIME))


def epoch_ns(text: str) -> int | None:
    """Read one ISO 8601 time, in whatever form; None for what is none."""
    match = _ISO.fullmatch(text.strip())
    if not match:
        return None
    date, clock, fraction, sign, hours, minutes = match.groups()
    zone = UTC
    try:
        if sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            zone = timezone(offset if sign == "+" else -offset)
        second = datetime.fromisoformat(f"{date}T{clock}").replace(tzinfo=zone)
    except ValueError:
        return None
    if not _YEARS[0] <= second.year <= _YEARS[1]:
        return None
    return int(second.timestamp()) * _NS + int((fraction or "").ljust(9, "0")[:9])
