"""`--engine`: where the work of a command is done."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from raytrace_analyze.command_line.standard_input import DASH
from raytrace_analyze.errors import UsageError
from raytrace_analyze.vocabulary.options import Engine

_CLUSTER = "auto"


def check_engine(engine: Engine, address: str | None, paths: Sequence[Path]) -> None:
    """Refuse what an engine cannot do, before anything is read. Raises UsageError."""
    if engine is Engine.LOCAL and address is not None:
        raise UsageError("--address names a cluster: add --engine ray")
    if engine is Engine.RAY and DASH in paths:
        raise UsageError("--engine ray reads files that all nodes see, and standard input is here only")


@contextmanager
def on_engine(engine: Engine, address: str | None) -> Iterator[None]:
    """Be connected to the cluster within this, where one is asked for. Raises UsageError where there is none."""
    if engine is Engine.LOCAL:
        yield
        return
    from raytrace_analyze.cluster.ray_cluster import connected
    from raytrace_analyze.cluster.tasks import ENVIRONMENT

    with connected(address or _CLUSTER, **ENVIRONMENT):
        yield
