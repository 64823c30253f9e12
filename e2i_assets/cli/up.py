"""`e2i up`: Dagit with its daemon, on the warehouse of this installation."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from e2i_assets.cli.output import say
from e2i_assets.cli.session import open_session

ROOT = Path(__file__).resolve().parent.parent.parent


def run_up(host: str, port: int) -> int:
    """Serve until interrupted; this process keeps the embedded warehouse running meanwhile."""
    open_session()
    command = [
        str(Path(sys.executable).with_name("dagster")), "dev",
        "--workspace", str(ROOT / "workspace.yaml"), "--host", host, "--port", str(port),
    ]  # fmt: skip
    say(f"Dagit: http://{host}:{port} (Ctrl-C stops it)")
    process = subprocess.Popen(command)
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: process.send_signal(signal.SIGINT))
    return process.wait()
