"""Services that go on when the command that started them has ended."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time

from e2i_assets.cli.output import say
from e2i_assets.deployment.releases import DeploymentError
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.deployments import Release, is_reconciled
from e2i_assets.warehouse.warehouse import Warehouse

STARTS_WITHIN = 60.0


def serve_in_background(here: Settings, warehouse: Warehouse, *, as_json: bool) -> None:
    """Start `e2i serve`, unless a reconciler runs already.

    Raises:
        DeploymentError: it does not start; with what it says.
    """
    if is_reconciled(warehouse):
        return
    here.serving_dir.mkdir(parents=True, exist_ok=True)
    log = here.serving_dir / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "e2i_assets.cli.main", "serve"], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    deadline = time.monotonic() + STARTS_WITHIN
    while not is_reconciled(warehouse):
        if process.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(errors="replace").strip().splitlines()
            raise DeploymentError(
                f"the services do not start: {lines[-1] if lines else 'no reason given'}",
                f"Mend that, and run the same again; {log} has more.",
                code="services_do_not_start",
            )
        time.sleep(0.2)
    say(f"the services run in the background (process {process.pid}, {log})", as_json=as_json)


def example_request(here: Settings, release: Release) -> str:
    """A command that asks the first model of a release; of a typical patient who is nobody."""
    first = next(member for member in release.members if member["role"] == "active")
    bento = here.bento_home / "bentos" / release.service_name / release.release
    schema = json.loads(
        (bento / "src" / "models" / first["model_name"] / "schema.json").read_text(encoding="utf-8")
    )
    body = json.dumps({"features": schema["example"]}, ensure_ascii=False)
    url = f"{here.service_url(release.service_name)}/{first['model_name']}/predict"
    return f"curl -s {url} -H 'Content-Type: application/json' -d {shlex.quote(body)}"
