"""What `deploy/` says is what runs: files that a linter accepts, and commands that are run as processes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
import yaml
from pydantic import SecretStr

from e2i_assets.deployment import processes
from e2i_assets.deployment.router import mark
from e2i_assets.settings import Settings
from e2i_assets.warehouse.postgres import url_for
from e2i_assets_tests.conftest import ROOT
from e2i_assets_tests.deployment_world import until
from e2i_assets_tests.serve_process import free_port, serving_environment

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
KNOWN = {
    "image", "build", "command", "init", "depends_on", "environment", "volumes", "ports", "healthcheck",
    "stop_grace_period", "restart",
}  # fmt: skip
"""What the Compose specification calls the parts of a service, of those that are used."""


def test_a_linter_finds_nothing_in_the_dockerfile() -> None:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert program, "hadolint comes with the dev extra"
    linted = subprocess.run([program, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_compose_file_refers_to_what_there_is() -> None:
    assert set(COMPOSE) == {"name", "services", "volumes"}
    for service in COMPOSE["services"].values():
        assert set(service) <= KNOWN
        assert ("image" in service) != ("build" in service)
        assert set(service.get("depends_on", {})) <= set(COMPOSE["services"])
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"]
        for port in service.get("ports", []):
            assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)  # to this machine alone
    build = COMPOSE["services"]["platform"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    published = {port.rsplit(":")[-1] for port in COMPOSE["services"]["platform"]["ports"]}
    assert published == set(re.findall(r"^EXPOSE (.*)$", DOCKERFILE, re.MULTILINE)[0].split())
    ports = Settings(home=Path("x")).service_ports.values()
    assert published >= {str(port) for port in ports}


def test_no_secret_is_written_down() -> None:
    for name, value in COMPOSE["services"]["platform"]["environment"].items():
        assert ("${" in value) == (name != "E2I_DATABASE_URL"), name
    assert "PASSWORD" not in DOCKERFILE
    assert "TOKEN" not in DOCKERFILE


def test_a_password_may_have_any_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    password = "p@ss:w/o#r%d &x"
    of = {name: service["environment"] for name, service in COMPOSE["services"].items()}
    assert re.match(r"\$\{E2I_DATABASE_PASSWORD\b", of["postgres"]["POSTGRES_PASSWORD"])
    assert of["platform"]["PGPASSWORD"] == "${E2I_DATABASE_PASSWORD}"
    monkeypatch.setenv("PGPASSWORD", password)
    here = Settings(home=tmp_path, database_url=SecretStr(of["platform"]["E2I_DATABASE_URL"]))
    options = {option.keyword: option.val for option in psycopg.pq.Conninfo.get_defaults()}
    address = psycopg.pq.Conninfo.parse(url_for(here, "e2i", "").encode())
    options |= {option.keyword: option.val for option in address if option.val is not None}
    wanted = {b"host": b"postgres", b"user": b"e2i", b"dbname": b"e2i", b"password": password.encode()}
    assert {name: options[name] for name in wanted} == wanted


def test_the_command_of_the_container_starts_and_stops_without_a_trace(
    here: Settings, tmp_path: Path
) -> None:
    """With services and API alone: Dagit and MLflow take a minute of CPU to start, and have tests of their own."""
    command = COMPOSE["services"]["platform"]["command"]
    assert re.findall(r"^CMD \[(.*)\]$", DOCKERFILE, re.MULTILINE) == [", ".join(f'"{c}"' for c in command)]
    assert here.database_url
    environment = {
        **os.environ, **serving_environment(), "E2I_DAGIT_PORT": str(free_port()),
        "E2I_DATABASE_URL": here.database_url.get_secret_value(), "E2I_API_TOKEN": "t",
        "E2I_SERVING_HOST": "0.0.0.0",
    }  # fmt: skip
    own = [sys.executable, "-m", "e2i_assets.cli.main", *command[1:], "--only", "services", "--only", "api"]
    log = tmp_path / "up.log"
    with log.open("wb") as output:
        up = subprocess.Popen(own, env=environment, stdout=output, stderr=output)
    try:
        until(lambda: "all of it answers" in log.read_text() or up.poll() is not None, "it is up")
        api = f"http://127.0.0.1:{environment['E2I_API_PORT']}"
        assert httpx.get(f"{api}/api/models").json() == {"versions": []}
        services = httpx.get(f"{api}/api/deployments/status").json()["services"]
        assert all(service["reconciled"] for service in services)
        lines = log.read_text()
        assert "services | classification-service: http://0.0.0.0" in lines
        assert "api | operations API: http://0.0.0.0" in lines
        children = psutil.Process(up.pid).children(recursive=True)
        assert len(children) >= 2
        # What ends without being asked to is started again, and takes up what runs.
        router = processes.marked(mark(here.serving_dir))
        reconciler = next(child for child in children if "serve" in child.cmdline())
        reconciler.kill()
        until(lambda: "services ended (-9); it is started again" in log.read_text(), "it is started again")
        until(lambda: log.read_text().count("services | causal-service") == 2, "it serves again")
        assert processes.marked(mark(here.serving_dir)) == router
    finally:
        up.terminate()
        code = up.wait(60)
    assert code == 0, log.read_text()
    assert not processes.marked(mark(here.serving_dir))
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
