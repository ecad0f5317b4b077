"""Whether anybody listens at a cluster's address: Ray itself tries that for minutes."""

import socket

from raytrace_analyze.errors import UsageError

_CONNECT_S = 10.0


def check_reachable(address: str) -> None:
    """Raise UsageError where nobody listens at a `host:port`; other addresses are left to Ray."""
    host, _, port = address.rpartition(":")
    if "://" in address or not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"no Ray cluster can be reached at {address}: {error}") from error
