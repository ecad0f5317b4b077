"""Tasks that run wherever a cluster has room, and run again where what they ran on, or what they gave, is lost."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from raytrace_analyze.cluster.ray_cluster import Failed, gathered, lacking_packages, nodes_with_cpus, reason_of
from raytrace_analyze.errors import RaytraceError

_RETRIES = 5
"""How often Ray runs a task again whose process or node is gone, or whose result was on a node that is."""
ENVIRONMENT = {"POLARS_MAX_THREADS": "1"}
"""What to connect with: Ray runs as many tasks at a time as a node has cores."""


class Tasks:
    """Calls functions of this package on a cluster; to be made within `ray_cluster.connected`."""

    def __init__(self) -> None:
        import ray

        lacking = gathered(lacking_packages(nodes_with_cpus()))
        packages = sorted({each for found in lacking.values() if not isinstance(found, Failed) for each in found})
        self._options: dict[str, Any] = {"max_retries": _RETRIES}
        if packages:
            self._options["runtime_env"] = {"pip": packages}
        self._remote: dict[Callable[..., Any], Any] = {}
        self._given: list[Any] = []
        """What was put: Ray can make again what calls returned, as long as it has what they were given."""
        self.cpus = max(int(ray.cluster_resources().get("CPU", 1)), 1)
        """How many tasks run at a time."""

    def call(self, function: Callable[..., Any], *arguments: Any, returns: int = 1) -> Any:
        """Have a function of this package called; gives a reference to what it returns, with several a list of them.

        References among the arguments stand for what they refer to.
        """
        import ray

        if function not in self._remote:
            self._remote[function] = ray.remote(function)
        return self._remote[function].options(num_returns=returns, **self._options).remote(*arguments)

    def put(self, value: Any) -> Any:
        """Give a reference to a value that several calls take."""
        import ray

        self._given.append(ray.put(value))
        return self._given[-1]

    @staticmethod
    def values(references: Iterable[Any]) -> Iterator[Any]:
        """Give what calls returned, one after another. Raises what they raised, and RaytraceError for what is lost."""
        import ray
        from ray.exceptions import RayError

        for reference in references:
            try:
                value = ray.get(reference)
            except RayError as error:
                raise _told(error) from error
            yield value


def _told(error: Exception) -> RaytraceError:
    cause = getattr(error, "cause", None)
    if isinstance(cause, RaytraceError):
        return cause
    return RaytraceError(f"the cluster could not finish this: {reason_of(error)}")
