"""All that can be looked at: this machine, a running cluster, what was recorded."""

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path

from raytrace_analyze.diagnosis.cluster import check_cluster
from raytrace_analyze.diagnosis.environment import check_environment, trace_directory
from raytrace_analyze.diagnosis.finding import Diagnosis, Finding
from raytrace_analyze.diagnosis.recorded import check_recorded


def doctor(paths: str | PathLike[str] | Sequence[str | PathLike[str]] = (), *, address: str | None = None) -> Diagnosis:
    """Tell whether tracing works, and whether what it recorded can be relied on.

    With `paths` (span files and folders, tables, also logs and programs) it looks at what was recorded, with `address`
    at a running cluster, to each node of which it sends a small task; with neither at this machine, and at what lies
    where its hook writes. Raises UsageError for a path that does not exist, and where Ray is missing for `address`.
    """
    given = [paths] if isinstance(paths, str | PathLike) else paths
    return Diagnosis(tuple(_findings([Path(path) for path in given], address)))


def _findings(paths: list[Path], address: str | None) -> Iterator[Finding]:
    if not paths and address is None:
        yield from check_environment()
        usual = trace_directory()
        paths = [usual] if usual.is_dir() and not usual.is_symlink() and any(usual.iterdir()) else []
    if address is not None:
        yield from check_cluster(address)
    if paths:
        yield from check_recorded(paths)
