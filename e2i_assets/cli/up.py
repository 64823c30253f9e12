"""`e2i up`: Dagit with its daemon, and the pages that it links to, on the warehouse of this installation."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from e2i_assets.cli.output import say
from e2i_assets.cli.pages import serve_pages
from e2i_assets.cli.session import open_session
from e2i_assets.resources.store import ArtifactStore

PAGES_PORT = 3004
"""Where E2I_PAGES_URL names no port, as behind a proxy."""
ROOT = Path(__file__).resolve().parent.parent.parent


class PortUnavailable(RuntimeError):
    """An address that cannot be listened on."""


def run_up(host: str, port: int) -> int:
    """Serve until interrupted; this process keeps the embedded warehouse running meanwhile.

    Raises:
        PortUnavailable: something else listens there. Dagster would go on without its web server.
    """
    _require_free(host, port)
    here, _ = open_session()
    pages_port = urlsplit(here.pages_url).port or PAGES_PORT
    command = [
        str(Path(sys.executable).with_name("dagster")), "dev",
        "--workspace", str(ROOT / "workspace.yaml"), "--host", host, "--port", str(port),
    ]  # fmt: skip
    say(f"Dagit: http://{host}:{port} (Ctrl-C stops it)")
    try:
        serve_pages(ArtifactStore(here.artifacts_url), host, pages_port)
    except OSError as error:
        say(
            f"Pages of reports are not served: {host}:{pages_port}: {error.strerror}. Set E2I_PAGES_URL to "
            "a port that is free."
        )
    process = subprocess.Popen(command)
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: process.send_signal(signal.SIGINT))
    return process.wait()


def _require_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise PortUnavailable(
            f"cannot listen on {host}, port {port}: {error.strerror}. Stop what listens there, or choose "
            "another with --port."
        ) from error
