"""`e2i mlflow` and `e2i psql`: other people's programs on what this installation keeps."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from e2i_assets.addresses import without_secrets
from e2i_assets.cli.output import say
from e2i_assets.cli.ports import listen
from e2i_assets.cli.session import open_session
from e2i_assets.errors import E2IError
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.settings import Settings
from e2i_assets.warehouse.embedded import bundled_programs
from e2i_assets.warehouse.postgres import psql_address

MLFLOW_PORT = 5000
"""Where E2I_MLFLOW_URL names no port."""


class ToolMissing(E2IError, RuntimeError):
    """A program that is not installed."""

    code = "tool_missing"


def run_mlflow(host: str, port: int | None) -> int:
    """Serve MLflow's pages until interrupted; where a team's server keeps the runs, say where it is.

    Raises:
        PortUnavailable: something else listens there.
    """
    here, _ = open_session()
    if here.mlflow_tracking_uri:
        say(f"MLflow: {without_secrets(here.mlflow_tracking_uri)} (E2I_MLFLOW_TRACKING_URI)")
        return 0
    port = port or urlsplit(here.mlflow_url).port or MLFLOW_PORT
    listen(host, port).close()
    say(f"MLflow: http://{host}:{port} (Ctrl-C stops it)")
    return _attend(mlflow_command(host, port), mlflow_environment(here))


def mlflow_command(host: str, port: int) -> list[str]:
    """What serves MLflow's pages."""
    return [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", host, "--port", str(port)]


def mlflow_environment(here: Settings) -> dict[str, str]:
    """Where MLflow keeps its runs; by the environment, because every user of a machine sees arguments."""
    return {
        "MLFLOW_BACKEND_STORE_URI": ExperimentTracking(here).uri,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": here.mlflow_root,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # a dozen processes for what nobody asks here
    }


def run_psql(arguments: Sequence[str]) -> int:
    """Open the warehouse in psql, with the schema `e2i` in front.

    Raises:
        ToolMissing: neither the embedded server's psql nor another is there.
    """
    here, _ = open_session()
    address, secret = psql_address(here)
    return min(_attend([_psql(), address, *arguments], secret), 2)


def _psql() -> str:
    path = shutil.which("psql", path=os.pathsep.join(map(str, bundled_programs()))) or shutil.which("psql")
    if path is None:
        raise ToolMissing(
            "there is no psql.", "Install PostgreSQL's client, or use another one that speaks to it."
        )
    return path


def _attend(command: Sequence[str | Path], environment: Mapping[str, str]) -> int:
    """Run a program in the foreground; this process keeps the embedded warehouse running meanwhile."""
    process = subprocess.Popen(command, env={**os.environ, **environment})
    # Ctrl-C is the program's own affair: psql stops a query by it.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    ended = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, ended)
