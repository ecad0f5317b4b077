"""Whether anybody listens at a cluster's address: Ray itself tries that for minutes."""

import socket

from raytrace_analyze.errors import UsageError

_CONNECT_S = 10.0


def check_reachable(address: str) -> None:
    """Raise UsageError where nobody listens at a `host:port`; other addresses are left to Ray."""
    why = why_unreachable(address)
    if why is not None:
        raise UsageError(f"no Ray cluster can be reached at {address}: {why}")


def why_unreachable(address: str) -> str | None:
    """Tell why nobody can be reached at a `host:port`; None where somebody can, and for other addresses."""
    host, _, port = address.rpartition(":")
    if "://" in address or not (host and port.isdecimal()):
        return None
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except (OSError, OverflowError) as error:
        return str(error)
    return None
