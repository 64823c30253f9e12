"""Releases that take over, are rolled back and survive kills, as real processes under steady requests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from e2i_assets.deployment.releases import DeploymentError
from e2i_assets.deployment.rollback import roll_back
from e2i_assets.deployment.wishes import await_release, deploy, require_reconciler
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.deployments import history, incidents_of, is_reconciled
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import installation
from e2i_assets_tests.deployment_world import (
    MODEL,
    SERVICE,
    Load,
    Reconciling,
    load,
    move,
    reconciling,
    register,
    right_answers,
    until,
)
from e2i_assets_tests.serve_process import serving_environment
from e2i_assets_tests.serving_toy import ROW

PENALTIES = {1: 1.0, 2: 0.01}
RATE = 100.0
KNOWN = right_answers(PENALTIES)


@dataclass
class World:
    here: Settings
    warehouse: Warehouse
    serving: Reconciling
    url: str

    def deploy(self, *models: str) -> str:
        asked = deploy(self.warehouse, models or None, by="test")
        return await_release(self.warehouse, asked[SERVICE]).release

    def roll_back(self, version: str | None) -> None:
        roll_back(self.warehouse, self.here, MODEL, version, by="test")

    def settled(self) -> None:
        until(lambda: all(one.status != "wanted" for one in history(self.warehouse)), "no release is wanted")


@pytest.fixture(scope="module")
def world(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("serving")
    with installation(server, folder) as here:
        warehouse = Warehouse(here)
        with pytest.raises(DeploymentError, match="no reconciler runs") as refused:
            require_reconciler(warehouse)
        assert "e2i up" in refused.value.next_step
        register(here, warehouse, 1, PENALTIES[1])
        environment = serving_environment() | {
            "E2I_HOME": str(here.home_dir),
            "E2I_DATABASE_URL": here.database_url.get_secret_value() if here.database_url else "",
            "E2I_HEALTH_SECONDS": "0.5",
        }
        with reconciling(here, environment, folder / "serve.log") as serving:
            until(lambda: is_reconciled(warehouse) and serving.marked("router"), "reconciler and router")
            port = environment["E2I_CLASSIFICATION_PORT"]
            yield World(here, warehouse, serving, f"http://127.0.0.1:{port}")
        assert not any(serving.marked(slot) for slot in ("blue", "green", "router"))
        warehouse.engine.dispose()


def asked(url: str) -> httpx.Response | None:
    try:
        return httpx.get(url, timeout=20)
    except httpx.ConnectError:
        return None


@pytest.fixture(scope="module")
def under(world: World) -> Iterator[Load]:
    """Two versions deployed one after the other, under load from the first on."""
    unanswered = until(lambda: asked(f"{world.url}/health"), "the router answers")
    assert unanswered.status_code == 503
    assert "no release of classification-service answers" in unanswered.json()["error"]
    world.deploy()
    with load(world.url, KNOWN, RATE) as under:
        register(world.here, world.warehouse, 2, PENALTIES[2])
        world.deploy()
        yield under
    assert len(under.answers) > 5 * RATE
    assert under.wrong == 0
    assert not under.failures, under.failures


def test_a_release_takes_over_and_is_rolled_back_without_a_lost_request(world: World, under: Load) -> None:
    until(lambda: under.newest() == "2", "version 2 answers")
    start = time.monotonic()
    world.roll_back(None)
    until(lambda: under.first("1", start), "version 1 answers again", within=20)
    world.settled()
    # What was rolled back is not deployed again, until somebody promotes it.
    world.deploy(MODEL)
    assert under.newest() == "1"
    move(world.warehouse, MODEL, 2, "development", "staging")
    world.deploy()
    until(lambda: under.newest() == "2", "version 2 answers again")
    world.roll_back("v1")
    until(lambda: under.newest() == "1", "the version that was named answers")
    world.settled()
    statuses = [one.status for one in reversed(history(world.warehouse, SERVICE))]
    assert statuses == ["replaced", "rolled_back", "replaced", "rolled_back", "active"]


@pytest.mark.parametrize("victim", ["reconciler", "warm"])
def test_what_is_killed_comes_back_by_itself_and_nobody_notices(
    world: World, under: Load, victim: str
) -> None:
    active = next(s for s in ("blue", "green") if (world.here.serving_dir / SERVICE / f"{s}.active").exists())
    warm = {"blue": "green", "green": "blue"}[active]
    answering = {one.pid for one in world.serving.marked(active)}
    if victim == "reconciler":
        world.serving.kill()
        world.serving.start()
        until(lambda: is_reconciled(world.warehouse), "a reconciler again")
    else:
        before = incidents_of(world.warehouse, 100)
        for process in world.serving.marked(warm):
            process.kill()
        until(lambda: len(incidents_of(world.warehouse, 100)) > len(before), "an incident")
        assert incidents_of(world.warehouse, 1)[0].kind == "process_died"
    assert {one.pid for one in world.serving.marked(active)} == answering
    answered = len(under.answers)
    until(lambda: len(under.answers) > answered + RATE / 2, "it goes on")


def test_a_model_whose_files_were_changed_never_takes_over(world: World, under: Load) -> None:
    version = register(world.here, world.warehouse, 3, 10.0)
    pipeline = next(
        (world.here.bento_home / "bentos" / version.bento_tag.replace(":", "/")).rglob("pipeline.joblib")
    )
    pipeline.write_bytes(pipeline.read_bytes() + b" ")
    with pytest.raises(DeploymentError, match=r"do not give the hash .* of the registry"):
        world.deploy()
    assert incidents_of(world.warehouse, 1)[0].kind == "release_failed"
    assert history(world.warehouse, SERVICE)[0].status == "failed"
    assert httpx.post(f"{world.url}/{MODEL}/predict", json={"features": ROW}).status_code == 200
    assert history(world.warehouse, SERVICE)[1].status == "active"
