"""The table that commands read where none is named."""

from pathlib import Path

RUN_FOLDER = Path("raytrace-record")
"""Where `record` leaves a run."""
_MERGED = Path("spans.parquet")
_RECORDED = RUN_FOLDER / _MERGED


def default_table() -> Path:
    """Give `spans.parquet` of the working directory, as `merge` writes it; without it, that of the last `record`."""
    return _RECORDED if _RECORDED.exists() and not _MERGED.exists() else _MERGED
