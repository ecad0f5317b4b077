"""Times as text to times as nanoseconds, a column at once."""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from raytrace_analyze.schema import TIME

_NS = 1_000_000_000

_YEARS = (1970, 2261)
"""The whole years whose nanoseconds, and the differences between them, 64 bits reach."""

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d+))?\s*(?:[Zz]|([+-])(\d\d):?(\d\d))?", re.ASCII)


def times_of(texts: pl.Series) -> pl.Series:
    """Parse ISO 8601 times, whose zone is UTC where none is named, with any number of digits of a fraction.

    Gives `schema.TIME`, null where there is none, and for what is no time from 1970 to 2261.
    """
    known = _of_one_form(texts)
    if known is not None:
        return known
    return with_odd_times(texts.to_frame().select(time_of(pl.col(texts.name))).to_series(), texts)


_PATTERN = b"0000-00-00T00:00:00.000000000Z"
_DATE = 10
_WHOLE = len("0000-00-00T00:00:00.")
_DAY_SECONDS = 86_400
_HIGHEST = {14: 5, 17: 5}
"""The highest that the first digit of minutes and seconds can be."""


def _of_one_form(texts: pl.Series) -> pl.Series | None:
    """Parse times that are all written as exporters write them, with as many digits each: a fifth of the time.

    None where one is missing, or is written in another form.
    """
    if not len(texts) or texts.null_count():
        return None
    lengths = texts.str.len_bytes()
    width = lengths[0]
    if not _WHOLE < width - 1 <= len(_PATTERN) - 1 or (lengths != width).any():
        return None
    pattern = np.frombuffer(_PATTERN[: width - 1] + b"Z", np.uint8)
    digits = np.frombuffer(texts.str.join("").item().encode(), np.uint8).reshape(len(texts), width) - pattern
    if digits.max() > 9 or digits[:, pattern != ord("0")].any():
        return None
    if any((digits[:, place] > highest).any() for place, highest in _HIGHEST.items()):
        return None
    is_one_date = not (digits[:, :_DATE] != digits[0, :_DATE]).any()
    dates = (texts.head(1) if is_one_date else texts).str.slice(0, _DATE).str.to_date("%Y-%m-%d", strict=False)
    within_day = digits @ _weights(width)
    if dates.null_count() or not dates.dt.year().is_between(*_YEARS).all() or (within_day[:, 0] >= _DAY_SECONDS).any():
        return None
    seconds = dates.to_physical().to_numpy().astype(np.int64) * _DAY_SECONDS + within_day[:, 0].astype(np.int64)
    return pl.Series(texts.name, seconds * _NS + within_day[:, 1].astype(np.int64)).cast(TIME)


@cache
def _weights(width: int) -> npt.NDArray[np.float64]:
    """Tell for each digit of a time how many seconds of the day it stands for, and how many ns of the second."""
    weights = np.zeros((width, 2))
    weights[[11, 12, 14, 15, 17, 18], 0] = 36_000, 3600, 600, 60, 10, 1
    places = np.arange(_WHOLE, width - 1)
    weights[places, 1] = 10.0 ** (_WHOLE + 8 - places)
    return weights


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
    # The year in UTC: that of the text may be another.
    if not _YEARS[0] <= (second - (second.utcoffset() or timedelta())).year <= _YEARS[1]:
        return None
    return int(second.timestamp()) * _NS + int((fraction or "").ljust(9, "0")[:9])
