"""Where commands listen."""

from __future__ import annotations

import socket

from e2i_assets.cli.front import LOOPBACK
from e2i_assets.errors import E2IError


class PortUnavailable(E2IError, RuntimeError):
    """An address that cannot be listened on."""

    code = "port_unavailable"


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with listen(LOOPBACK, 0) as free:
        return int(free.getsockname()[1])


def listen(
    host: str, port: int, next_step: str = "Stop what listens there, or choose another with --port."
) -> socket.socket:
    """A socket that listens there.

    Raises:
        PortUnavailable: with the reason.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise PortUnavailable(
            f"cannot listen on {host}, port {port}: {error.strerror}.", next_step
        ) from error
