"""Rollbacks in ledger and records: what they move, what they refuse, and who comes first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from pydantic import SecretStr

from e2i_assets.api import app
from e2i_assets.deployment import reconciler
from e2i_assets.deployment.decision import Slot
from e2i_assets.deployment.reconciler import ServiceKeeper
from e2i_assets.deployment.releases import DeploymentError
from e2i_assets.deployment.rollback import roll_back
from e2i_assets.deployment.wishes import answering, await_release, deploy
from e2i_assets.registry.errors import RegistryError
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.alerts import alerts
from e2i_assets.warehouse.queries.deployments import (
    Release,
    history,
    incidents_of,
    reconciling,
    release_row,
    releases,
)
from e2i_assets.warehouse.queries.registry import model_of, models
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import installation
from e2i_assets_tests.deployment_world import SERVICE, in_staging, move

NUMBERS = itertools.count(1)

ADDRESS = "http://127.0.0.1:3001"


@pytest.fixture(scope="module")
def here(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with installation(server, tmp_path_factory.mktemp("rollback")) as settings:
        yield settings


@pytest.fixture(scope="module")
def warehouse(here: Settings) -> Warehouse:
    return Warehouse(here)


@pytest.fixture
def name(warehouse: Warehouse) -> str:
    """A model of each test's own, whose versions 1, 2 and 3 answered one after the other."""
    name = f"e2i-rollback-p{next(NUMBERS)}"
    for number in (1, 2, 3):
        in_staging(warehouse, name, number)
        deployed(warehouse)
    return name


def confirmed(warehouse: Warehouse, asked: Release) -> Release:
    """As the reconciler does once it answers."""
    with releases(warehouse, SERVICE) as records:
        records.confirm(asked.release)
    return release_row(warehouse, asked.id)


def deployed(warehouse: Warehouse) -> Release:
    return confirmed(warehouse, deploy(warehouse, None, by="test")[SERVICE])


def version(warehouse: Warehouse, name: str) -> int | None:
    answers = answering(warehouse, name)
    return answers[1].version if answers else None


def back(here: Settings, warehouse: Warehouse, name: str, to: Any = None, by: str = "Anna Smith") -> Release:
    return roll_back(warehouse, here, name, to, by=by, reason="wrong answers").release


def test_what_was_rolled_back_is_not_deployed_again_until_somebody_promotes_it(
    here: Settings, warehouse: Warehouse, name: str
) -> None:
    asked = confirmed(warehouse, back(here, warehouse, name))
    assert (asked.status, asked.cause, asked.asked_by, asked.reason) == (
        "active", "rollback", "Anna Smith", "wrong answers",
    )  # fmt: skip
    last = model_of(warehouse, name).entries[-1]
    assert (last.version, last.to_stage, last.actor, last.note) == (
        3, "development", "Anna Smith", "rolled back: wrong answers",
    )  # fmt: skip
    for again in (None, [name]):
        confirmed(warehouse, deploy(warehouse, again, by="test")[SERVICE])
        assert version(warehouse, name) == 2
    move(warehouse, name, 3, "development", "staging")
    deployed(warehouse)
    assert version(warehouse, name) == 3


def test_the_operations_api_rolls_back(
    here: Settings, warehouse: Warehouse, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "await_release", lambda own, asked, within: confirmed(own, asked))
    client = TestClient(
        app.operations_api(here.model_copy(update={"api_token": SecretStr("a-token")}), warehouse)
    )
    with reconciling(warehouse):
        answer = client.post(
            "/api/deployments/rollback",
            json={"model_name": name, "target_version": "v2", "reason": "too many errors"},
            headers={"Authorization": "Bearer a-token"},
        ).json()
    assert (answer["status"], version(warehouse, name)) == ("active", 2)
    assert {one["version"] for one in answer["members"] if one["model_name"] == name} == {2}
    last = model_of(warehouse, name).entries[-1]
    assert (last.actor, last.note) == ("operations API", "rolled back: too many errors")
    (warning,) = answer["warnings"]  # it was never registered with MLflow
    assert "MLflow's aliases are behind" in warning


def test_what_was_in_production_before_is_there_again(
    here: Settings, warehouse: Warehouse, name: str
) -> None:
    for number in (1, 2):
        move(warehouse, name, number, "staging", "shadow")
        move(warehouse, name, number, "shadow", "production")
        deployed(warehouse)
        if number == 1:
            move(warehouse, name, 1, "production", "staging")
    confirmed(warehouse, back(here, warehouse, name, 1))
    assert model_of(warehouse, name).stages() == {1: "production", 2: "staging", 3: "staging"}
    deployed(warehouse)
    assert version(warehouse, name) == 1


@pytest.mark.parametrize("to", [None, 3])
def test_of_two_who_roll_back_at_once_the_second_goes_no_further(
    here: Settings, warehouse: Warehouse, name: str, to: int | None
) -> None:
    in_staging(warehouse, f"{name}b", 1)
    deployed(warehouse)
    in_staging(warehouse, name, 4)
    deployed(warehouse)
    people = ("Anna Smith", "Bert Jones")
    with ThreadPoolExecutor(2) as pool:
        asked = list(pool.map(lambda by: back(here, warehouse, name, to, by), people))
    assert asked[0] == asked[1]
    assert [
        one.version for one in model_of(warehouse, name).entries if (one.note or "").startswith("roll")
    ] == [4]
    with pytest.raises(DeploymentError, match="rolls other models of"):
        back(here, warehouse, f"{name}b")
    confirmed(warehouse, asked[0])
    with pytest.raises(DeploymentError, match=r"rolled back to the release that answers|answers already"):
        back(here, warehouse, name, to)
    assert version(warehouse, name) == 3


@pytest.mark.parametrize(
    ("to", "code"),
    [(3, "answers_already"), (4, "never_answered"), (9, "no_such_version"), (1, "bundle_changed")],
)
def test_a_rollback_that_cannot_be_is_in_neither_ledger_nor_records(
    here: Settings, warehouse: Warehouse, name: str, to: int, code: str
) -> None:
    in_staging(warehouse, name, 4)
    before = len(model_of(warehouse, name).entries), history(warehouse, SERVICE)
    with pytest.raises((DeploymentError, RegistryError)) as refused:
        back(here, warehouse, name, to)
    assert refused.value.code == code
    assert (len(model_of(warehouse, name).entries), history(warehouse, SERVICE)) == before


def test_a_model_that_did_not_change_is_not_taken_back_with_others(
    here: Settings, warehouse: Warehouse, name: str
) -> None:
    other = f"{name}b"
    in_staging(warehouse, other, 1)
    deployed(warehouse)
    with pytest.raises(DeploymentError, match="is the same in the release before"):
        back(here, warehouse, name)
    # What was added is gone with its release, and does not come again by itself.
    asked = back(here, warehouse, other)
    with pytest.raises(DeploymentError, match="is deployed"):
        back(here, warehouse, other, 1)
    confirmed(warehouse, asked)
    deployed(warehouse)
    assert (version(warehouse, other), version(warehouse, name)) == (None, 3)


def test_a_deployment_under_way_is_taken_back(here: Settings, warehouse: Warehouse, name: str) -> None:
    in_staging(warehouse, name, 4)
    asked = deploy(warehouse, None, by="test")[SERVICE]
    assert back(here, warehouse, name).status == "active"
    with reconciling(warehouse), pytest.raises(DeploymentError, match="was given up for another meanwhile"):
        await_release(warehouse, asked)
    assert version(warehouse, name) == 3
    assert model_of(warehouse, name).stages()[4] == "development"


def test_who_waits_for_a_release_learns_of_their_own(warehouse: Warehouse, name: str) -> None:
    """The same members are the same release, and may be asked for again by somebody else."""
    with reconciling(warehouse):
        first = next(one for one in history(warehouse, SERVICE) if one.status == "active")
        in_staging(warehouse, name, 4)
        deployed(warehouse)
        move(warehouse, name, 4, "staging", "development")
        again = deployed(warehouse)
        assert (again.release, again.status) == (first.release, "active")
        assert await_release(warehouse, again) == again
        with pytest.raises(DeploymentError, match="answered, and another took over meanwhile"):
            await_release(warehouse, first)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ({"failed_checks": 3}, "3 health checks in a row failed"),
        ({"error_rate": 0.2}, "20.0% of the requests since the switch were answered with an error"),
    ],
)
def test_the_reconciler_rolls_back_in_the_ledger_too_and_leaves_an_incident(
    warehouse: Warehouse, name: str, trouble: dict[str, Any], reason: str
) -> None:
    new, old = history(warehouse, SERVICE)[:2]
    slots = (
        Slot("blue", new.release, "ready", active=True, **trouble),
        Slot("green", old.release, "ready"),
    )
    observed: Any = SimpleNamespace(observe=lambda: slots, died=[])
    ServiceKeeper(SERVICE, warehouse, observed, ADDRESS).tick()
    incident = incidents_of(warehouse, 1)[0]
    assert (incident.kind, incident.release, incident.reason) == ("rolled_back", new.release, reason)
    assert old.release in incident.action
    alert = next(one for one in alerts(warehouse) if one.subject == f"{SERVICE}: rolled_back")
    assert (alert.kind, alert.severity, reason in alert.message) == ("deployment", "high", True)
    assert "e2i deploy status" in alert.next_step
    last = model_of(warehouse, name).entries[-1]
    assert (last.version, last.to_stage, last.actor) == (3, "development", "e2i")
    assert last.note == f"rolled back: {reason}"
    asked = history(warehouse, SERVICE)[0]
    assert (asked.release, asked.cause, asked.reason) == (old.release, "automatic_rollback", reason)
    confirmed(warehouse, asked)
    deployed(warehouse)
    assert version(warehouse, name) == 2


def test_the_reconciler_goes_back_to_nothing_that_was_archived(
    warehouse: Warehouse, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(reconciler.log, "info", lambda text, *values: lines.append(text % values))
    move(warehouse, name, 2, "staging", "archived")
    new, old = history(warehouse, SERVICE)[:2]
    slots = (
        Slot("blue", new.release, "ready", active=True, failed_checks=3),
        Slot("green", old.release, "ready"),
    )
    observed: Any = SimpleNamespace(observe=lambda: slots, died=[])
    keeper, before = ServiceKeeper(SERVICE, warehouse, observed, ADDRESS), history(warehouse, SERVICE)
    for _ in range(2):
        keeper.tick()
    incidents = [one for one in incidents_of(warehouse, 2) if one.release == new.release]
    assert [(one.kind, "version 2 is in archived" in one.action) for one in incidents] == [
        ("unhealthy", True)
    ]
    assert len(lines) == 1
    assert history(warehouse, SERVICE) == before


def test_a_release_is_confirmed_once_it_answers_where_everybody_asks(warehouse: Warehouse, name: str) -> None:
    in_staging(warehouse, name, 4)
    wanted = deploy(warehouse, None, by="test")[SERVICE]
    answers = iter([False, True])
    slots = (Slot("blue", wanted.release, "ready", active=True), Slot("green"))
    observed: Any = SimpleNamespace(
        observe=lambda: slots,
        died=[],
        answers_at=lambda address, slot: (address, slot) == (ADDRESS, "blue") and next(answers),
    )
    keeper = ServiceKeeper(SERVICE, warehouse, observed, ADDRESS)
    for status in ("wanted", "active"):
        keeper.tick()
        assert history(warehouse, SERVICE)[0].status == status


def test_what_is_archived_is_taken_out_and_a_service_that_has_nothing_left_stops(
    warehouse: Warehouse, name: str
) -> None:
    in_staging(warehouse, f"{name}b", 1)
    deployed(warehouse)
    archive(warehouse, f"{name}b")
    confirmed(warehouse, deploy(warehouse, [f"{name}b"], by="test")[SERVICE])
    assert (version(warehouse, f"{name}b"), version(warehouse, name)) == (None, 3)
    for model in models(warehouse):
        archive(warehouse, model.name)
    assert deploy(warehouse, [name], by="test") == {}
    assert version(warehouse, name) is None
    with pytest.raises(DeploymentError, match="no version of a model to serve"):
        deploy(warehouse, None, by="test")
    retired: list[list[str]] = []
    answers = (Slot("blue", "r", "ready", active=True), Slot("green"))
    observed: Any = SimpleNamespace(observe=lambda: answers, died=[], retire=retired.append)
    ServiceKeeper(SERVICE, warehouse, observed, ADDRESS).tick()
    assert retired == [["blue"]]


def test_a_reconciler_that_has_read_no_records_stops_nothing() -> None:
    """It may start while the database is away; services go on."""
    away: Any = SimpleNamespace(engine=SimpleNamespace(begin=_away))
    answers = (Slot("blue", "r", "ready", active=True), Slot("green"))
    observed: Any = SimpleNamespace(observe=lambda: answers, died=[])
    with pytest.raises(sa.exc.OperationalError):
        ServiceKeeper(SERVICE, away, observed, ADDRESS).tick()


def _away() -> None:
    raise sa.exc.OperationalError("SELECT", {}, psycopg.OperationalError("away"))


def archive(warehouse: Warehouse, name: str) -> None:
    for number, stage in model_of(warehouse, name).stages().items():
        if stage != "archived":
            move(warehouse, name, number, stage, "archived")
