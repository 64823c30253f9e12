"""The registry on a real database and a real MLflow: moves, approvals, races, and what cannot be undone."""

from __future__ import annotations

import asyncio
import datetime as dt
import getpass
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from e2i_assets.registry import MLflowConnector
from e2i_assets.registry.errors import LostRace, PromotionRefused, RegistryError
from e2i_assets.registry.ledger import Entry, NewVersion
from e2i_assets.registry.rollback import rolled_back
from e2i_assets.resources.mlflow_registry import MlflowRegistry
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.settings import Settings, settings
from e2i_assets.warehouse.queries.registry import model_of, registry, served_versions, shadow_evidence_of
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import ROOT, installation
from e2i_assets_tests.registry_world import START, at, in_production, in_shadow, register, shadowed

NUMBERS = itertools.count(1)
PEOPLE = ("Anna Smith", "Bert Jones")


@pytest.fixture(scope="module")
def here(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """One installation; each test has a model name of its own."""
    with installation(server, tmp_path_factory.mktemp("registry")) as settings:
        yield settings


@pytest.fixture(scope="module")
def warehouse(here: Settings) -> Warehouse:
    return Warehouse(here)


@pytest.fixture(scope="module")
def client(here: Settings, warehouse: Warehouse) -> MlflowClient:
    warehouse.open()
    return MlflowClient(ExperimentTracking(here).uri)


@pytest.fixture
def name() -> str:
    return f"e2i-conversion-p{next(NUMBERS)}"


def aliases(client: MlflowClient, name: str) -> dict[str, str]:
    return {alias: str(number) for alias, number in client.get_registered_model(name).aliases.items()}


def stages(client: MlflowClient, name: str) -> dict[str, str]:
    return {
        str(known.version): known.tags["stage"] for known in client.search_model_versions(f"name = '{name}'")
    }


def test_the_same_bundle_is_the_same_version(
    here: Settings, warehouse: Warehouse, client: MlflowClient, name: str
) -> None:
    first = register(here, warehouse, client, name)
    assert (first.version, first.mlflow_version) == (1, 1)
    assert register(here, warehouse, client, name) == first
    assert register(here, warehouse, client, name, bundle="2").version == 2
    (known,) = client.search_model_versions(f"name = '{name}' and tag.files_hash = '{first.files_hash}'")
    assert known.tags["bento_tag"] == first.bento_tag


def test_the_whole_way_to_production_and_back(
    here: Settings, warehouse: Warehouse, client: MlflowClient, name: str
) -> None:
    old = register(here, warehouse, client, name)
    in_production(here, warehouse, old, 10)
    new = register(here, warehouse, client, name, bundle="2")
    in_production(here, warehouse, new, 30)
    model = at(here, warehouse, 30).model(name)
    assert model.stages() == {1: "staging", 2: "production"}
    assert [model.champion(START + dt.timedelta(days=day)) for day in (9, 10, 29, 30)] == [
        None,
        old,
        old,
        new,
    ]
    last = model.entries[-1]
    assert (last.actor, last.approved_by, last.note) == ("Anna Smith", "Bert Jones", None)
    assert {one["name"] for one in last.evidence} >= {
        "min_auc",
        "shadow_days",
        "shadow_requests",
        "bundle",
        "approval",
    }
    assert all(one["met"] for one in last.evidence)
    assert aliases(client, name) == {"champion": "2", "staging": "1"}
    assert stages(client, name) == {"1": "staging", "2": "production"}

    with registry(warehouse) as records:
        when = START + dt.timedelta(days=31)
        for entry in rolled_back(records.model(name), 2, 1, by="e2i", note="errors", at=when):
            records.append(entry)
    assert at(here, warehouse, 31).tell_mlflow(name) is None
    assert aliases(client, name) == {"champion": "1", "staging": "2"}
    assert {
        (s.version.version, s.stage, s.role)
        for s in served_versions(warehouse)
        if s.version.model_name == name
    } == {(1, "production", "active")}

    assert [
        m.version for m in at(here, warehouse, 60.9).archive_retired() if m.version.model_name == name
    ] == []
    archived = at(here, warehouse, 61).archive_retired()
    assert [m.version for m in archived if m.version.model_name == name] == [new]
    assert at(here, warehouse, 61).model(name).stages() == {1: "production", 2: "archived"}


@pytest.mark.parametrize("event", ["version", "entry"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET model_name = model_name", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
def test_nothing_is_changed_or_deleted_also_by_the_owner(
    here: Settings, warehouse: Warehouse, client: MlflowClient, name: str, event: str, statement: str
) -> None:
    register(here, warehouse, client, name)
    table = {"version": "e2i.ml_model_registry", "entry": "e2i.ml_model_stage_history"}[event]
    for prepare in ("SELECT 1", "SET session_replication_role = replica"):
        with warehouse.engine.connect() as connection:
            connection.execute(sa.text(prepare))
            owner = connection.scalar(
                sa.text(
                    "SELECT current_user = tableowner FROM pg_tables WHERE tablename = 'ml_model_registry'"
                )
            )
            assert owner
            with pytest.raises(sa.exc.IntegrityError, match="is only ever added to"):
                connection.execute(sa.text(statement.format(table)))
            connection.invalidate()


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"metrics": {"auc": 0.69}}, "min_auc: 0.69, at least 0.7 wanted"),
        ({"metrics": {}}, "min_auc: not known, at least 0.7 wanted"),
        ({"samples": {"train": 99}}, "min_samples: 99, at least 100 wanted"),
    ],
)  # fmt: skip
def test_a_rule_that_does_not_hold_is_said_and_nothing_is_written(
    here: Settings,
    warehouse: Warehouse,
    client: MlflowClient,
    name: str,
    change: dict[str, Any],
    missing: str,
) -> None:
    register(here, warehouse, client, name, **change)
    with pytest.raises(PromotionRefused) as refused:
        at(here, warehouse, 1).transition(name, 1, "staging", by="Anna Smith")
    assert missing in str(refused.value)
    assert len(at(here, warehouse, 1).model(name).entries) == 1


@pytest.mark.parametrize(
    ("evidence", "missing"),
    [
        ({"first": 0, "days": 0}, "shadow_requests: 0"),
        ({"first": -20, "days": 8}, "shadow_days: 7.5 days, requests on 0"),
        ({"first": 0, "days": 5}, "shadow_days: 7.5 days, requests on 5"),
        ({"first": 0, "errors": 3}, "shadow_error_rate: 0.015, at most 0.01"),
        ({"first": 0, "latency_p99_ms": 151.0}, "shadow_latency_p99_ms: 151, at most 150"),
        ({"first": 0, "latency_p99_ms": None}, "shadow_latency_p99_ms: not known"),
        ({"first": 2}, "shadow_clock: some of 2025-01-10"),
    ],
)
def test_production_without_enough_of_shadow_is_refused(
    here: Settings,
    warehouse: Warehouse,
    client: MlflowClient,
    name: str,
    evidence: dict[str, Any],
    missing: str,
) -> None:
    version = register(here, warehouse, client, name)
    in_shadow(here, warehouse, version, 0)
    shadowed(warehouse, version, **evidence)
    with pytest.raises(PromotionRefused) as refused:
        at(here, warehouse, 7.5).transition(name, 1, "production", by="Anna Smith")
    assert missing in str(refused.value)
    with pytest.raises(RegistryError, match="nobody asked"):
        at(here, warehouse, 7.5).approve(name, 1, by="Bert Jones")


def test_evidence_is_taken_together_by_requests(
    here: Settings, warehouse: Warehouse, client: MlflowClient, name: str
) -> None:
    version = register(here, warehouse, client, name)
    shadowed(warehouse, version, first=0, days=2, requests=990, latency_p99_ms=10.0, mean_difference=0.1)
    shadowed(
        warehouse, version, first=2, days=1, requests=20, latency_p99_ms=900.0, mean_difference=None, errors=5
    )
    evidence = shadow_evidence_of(warehouse, name, 1, START)
    assert (evidence.days, evidence.requests, evidence.errors, evidence.latency_p99_ms) == (3, 2000, 5, 10.0)
    assert evidence.mean_difference == pytest.approx(0.1)
    shadowed(warehouse, version, first=3, days=1, requests=1, latency_p99_ms=900.0)
    assert shadow_evidence_of(warehouse, name, 1, START).latency_p99_ms == 900.0
    assert shadow_evidence_of(warehouse, name, 1, START + dt.timedelta(days=9)).requests == 0


@pytest.mark.parametrize(
    "approver", ["Anna Smith", "anna.smith@example.com", "SMITH, Anna", "asmith", "Anna"]
)
def test_who_asked_does_not_approve_under_any_spelling(
    here: Settings, warehouse: Warehouse, client: MlflowClient, name: str, approver: str
) -> None:
    version = register(here, warehouse, client, name)
    in_shadow(here, warehouse, version, 0)
    shadowed(warehouse, version, first=0)
    for _ in range(2):  # asked for once, however often
        with pytest.raises(PromotionRefused, match="once somebody else than Anna Smith"):
            at(here, warehouse, 9).transition(name, 1, "production", by="Anna Smith")
    with pytest.raises(PromotionRefused) as refused:
        at(here, warehouse, 9).approve(name, 1, by=approver)
    assert refused.value.code == "same_person"
    model = at(here, warehouse, 9).model(name)
    assert [entry.event for entry in model.entries].count("requested") == 1
    assert model.champion() is None


def test_an_approval_is_of_what_is_so_when_it_is_given(
    here: Settings, warehouse: Warehouse, client: MlflowClient, name: str
) -> None:
    """Between the request and the approval the shadow began to fail, and then the bundle went."""
    version = register(here, warehouse, client, name)
    in_shadow(here, warehouse, version, 0)
    shadowed(warehouse, version, first=0)
    with pytest.raises(PromotionRefused):
        at(here, warehouse, 9).transition(name, 1, "production", by="Anna Smith")
    shutil.rmtree(here.bento_home / "bentos" / name)
    with pytest.raises(PromotionRefused, match=r"bundle: .* is gone"):
        at(here, warehouse, 9).approve(name, 1, by="Bert Jones")
    shadowed(warehouse, version, first=8, days=1, requests=500, errors=400)
    with pytest.raises(PromotionRefused, match="shadow_error_rate"):
        at(here, warehouse, 9).approve(name, 1, by="Bert Jones")


def test_a_bundle_that_was_changed_goes_nowhere(
    here: Settings, warehouse: Warehouse, client: MlflowClient, name: str
) -> None:
    register(here, warehouse, client, name)
    (here.bento_home / "bentos" / name / "1" / "pipeline.joblib").write_text("other")
    with pytest.raises(PromotionRefused, match=r"bundle: .* was changed"):
        at(here, warehouse, 1).transition(name, 1, "staging")


@pytest.mark.parametrize(
    ("model", "version", "stage", "code"),
    [
        ("e2i-conversion-nobody", 1, "staging", "no_such_model"),
        ("", 1, "staging", "no_such_model"),
        ("'; DROP TABLE e2i.ml_model_registry; --", 1, "staging", "no_such_model"),
        (None, 2, "staging", "no_such_version"),
        (None, "latest", "staging", "no_such_version"),
        (None, 1, "Staging", "unknown_stage"),
        (None, 1, "None", "unknown_stage"),
        (None, 1, "production", "no_such_move"),
        (None, 1, "development", "already_there"),
    ],
)
def test_names_that_there_are_not(
    here: Settings,
    warehouse: Warehouse,
    client: MlflowClient,
    name: str,
    model: str | None,
    version: Any,
    stage: str,
    code: str,
) -> None:
    register(here, warehouse, client, name)
    with pytest.raises(RegistryError) as refused:
        at(here, warehouse, 1).transition(name if model is None else model, version, stage, by="Anna Smith")
    assert refused.value.code == code
    assert refused.value.next_step


def test_a_clock_behind_the_ledger_is_refused(
    here: Settings, warehouse: Warehouse, client: MlflowClient, name: str
) -> None:
    register(here, warehouse, client, name)
    at(here, warehouse, 2).transition(name, 1, "staging", by="Anna Smith")
    with pytest.raises(RegistryError) as refused:
        at(here, warehouse, 1).transition(name, 1, "shadow", by="Anna Smith")
    assert refused.value.code == "clock_behind"


def promote(here: Settings, name: str, version: int, who: str, barrier: Barrier) -> str:
    """One of those who race: decides, waits until all others have, and writes, on a connection of its own."""
    registry = at(here, Warehouse(here), 20)
    plan = registry.plan(name, version, "production")
    barrier.wait(60)
    try:
        registry.carry_out(plan, who, approved_by="Carol Brown")
    except LostRace as lost:
        return str(lost)
    return "won"


def test_of_those_who_promote_at_once_one_wins_and_the_others_are_told(
    here: Settings, warehouse: Warehouse, client: MlflowClient, name: str
) -> None:
    for number, who in enumerate(PEOPLE, 1):
        version = register(here, warehouse, client, name, bundle=str(number))
        in_shadow(here, warehouse, version, 0)
        with registry(warehouse) as records:
            of = records.model(name).next_sequence, number, "requested", "shadow", "production", who, "test"
            records.append(Entry(name, *of, START + dt.timedelta(days=19)))
    barrier = Barrier(len(PEOPLE))
    with ThreadPoolExecutor(len(PEOPLE)) as pool:
        racers = [
            pool.submit(promote, here, name, number, who, barrier) for number, who in enumerate(PEOPLE, 1)
        ]
        outcomes = dict(zip(PEOPLE, (racer.result(120) for racer in racers), strict=True))
    won = only_winner(outcomes, name, "went to production")
    assert at(here, warehouse, 20).model(name).stages() == {won: "production", 3 - won: "shadow"}
    assert aliases(client, name)["champion"] == str(won)


def only_winner(outcomes: dict[str, str], name: str, what: str) -> int:
    """Version of the one who won; the other was told of it."""
    (winner,) = [who for who, outcome in outcomes.items() if outcome == "won"]
    (loser,) = set(outcomes) - {winner}
    won = PEOPLE.index(winner) + 1
    assert f"{winner} was first: {name} version {won} {what}" in outcomes[loser]
    return won


def test_the_database_decides_between_processes(
    here: Settings, warehouse: Warehouse, client: MlflowClient, name: str
) -> None:
    """Each read the ledger before any of them wrote to it."""
    assert here.database_url is not None
    for number, _ in enumerate(PEOPLE, 1):
        register(here, warehouse, client, name, bundle=str(number))
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", "e2i_assets_tests.registry_racer", name, str(number), who],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "RACE_URL": here.database_url.get_secret_value()},
        )
        for number, who in enumerate(PEOPLE, 1)
    ]  # fmt: skip
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    outcomes = dict(zip(PEOPLE, (racer.communicate(timeout=60)[0].strip() for racer in racers), strict=True))
    assert [racer.returncode for racer in racers] == [0, 0]
    won = only_winner(outcomes, name, "went to staging")
    assert at(here, warehouse, 20).model(name).stages() == {won: "staging", 3 - won: "development"}


def test_the_ledger_stands_when_mlflow_fails_and_the_next_command_repairs_the_alias(
    here: Settings, warehouse: Warehouse, client: MlflowClient, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register(here, warehouse, client, name)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_registered_model_alias", _down)
        moved = at(here, warehouse, 1).transition(name, 1, "staging", by="Anna Smith")
    assert moved.not_told is not None
    assert moved.not_told.startswith("MlflowException")
    assert at(here, warehouse, 1).model(name).stages() == {1: "staging"}
    assert aliases(client, name) == {}
    assert at(here, warehouse, 2).transition(name, 1, "shadow", by="Anna Smith").not_told is None
    assert aliases(client, name) == {"shadow": "1"}
    client.set_registered_model_alias(name, "champion", "1")  # by somebody in MLflow
    client.set_model_version_tag(name, "1", "stage", "production")
    assert at(here, warehouse, 2).tell_mlflow(name) is None
    assert (aliases(client, name), stages(client, name)) == ({"shadow": "1"}, {"1": "shadow"})
    assert version.mlflow_version == 1


def test_a_registration_that_dies_before_its_row_is_taken_up(
    here: Settings, warehouse: Warehouse, client: MlflowClient, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow has numbered the version, the ledger knows nothing: the next one finds the number."""
    number_of = MlflowRegistry.number_of

    def killed(self: MlflowRegistry, new: NewVersion) -> int:
        number_of(self, new)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MlflowRegistry, "number_of", killed)
        with pytest.raises(KeyboardInterrupt):
            register(here, warehouse, client, name)
    assert len(client.search_model_versions(f"name = '{name}'")) == 1
    assert register(here, warehouse, client, name).mlflow_version == 1
    assert len(client.search_model_versions(f"name = '{name}'")) == 1


def test_the_guides_call_awaited_or_not(
    here: Settings,
    warehouse: Warehouse,
    client: MlflowClient,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    assert here.database_url is not None
    monkeypatch.setenv("E2I_DATABASE_URL", here.database_url.get_secret_value())
    settings.cache_clear()
    request.addfinalizer(settings.cache_clear)
    register(here, warehouse, client, name)
    connector = MLflowConnector()
    moved = connector.transition_model_stage_sync(model_name=name, version=1, stage="staging")
    assert (moved.entry.to_stage, moved.entry.actor) == ("staging", getpass.getuser())
    asyncio.run(connector.transition_model_stage(model_name=name, version=1, stage="shadow", by="Anna Smith"))
    assert at(here, warehouse, 0).model(name).stages() == {1: "shadow"}
    assert aliases(client, name) == {"shadow": "1"}
    with pytest.raises(PromotionRefused, match="shadow_days"):
        asyncio.run(connector.transition_model_stage(model_name=name, version=1, stage="production"))


def _down(*_: Any) -> None:
    raise MlflowException("the server is gone")


def test_what_answers_is_not_retired_and_a_clock_behind_one_ledger_stops_no_other(
    here: Settings, warehouse: Warehouse, client: MlflowClient, name: str
) -> None:
    def move(model: str, number: int, before: str, after: str, day: float, event: str = "moved") -> None:
        by = "Bert Jones" if (event, after) == ("moved", "production") else None
        with registry(warehouse) as records:
            of = records.model(model).next_sequence, number, event, before, after, "Anna Smith", "test"
            records.append(Entry(model, *of, START + dt.timedelta(days=day), approved_by=by))

    def retired() -> list[int]:
        with pytest.raises(RegistryError, match="has an entry of") as refused:
            at(here, warehouse, 70).archive_retired()
        assert refused.value.code == "clock_behind"
        return [version.version for version in model_of(warehouse, name).in_stage("archived")]

    behind = f"a-{name}"  # its turn comes first
    register(here, warehouse, client, behind)
    move(behind, 1, "development", "staging", 71)
    register(here, warehouse, client, name)
    move(name, 1, "development", "staging", 1)
    move(name, 1, "staging", "shadow", 1)
    move(name, 1, "shadow", "production", 1, "requested")
    move(name, 1, "shadow", "production", 1)
    move(name, 1, "production", "staging", 2)
    assert retired() == []
    register(here, warehouse, client, name, bundle="2")
    move(name, 2, "development", "staging", 3)
    assert retired() == [1]
