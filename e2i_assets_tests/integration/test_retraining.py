"""Retrainings on a real database and real run records: asked for, approved by somebody else, carried out."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from e2i_assets.assets.attribute_names import NEWEST
from e2i_assets.automation.comparison import COMPARISON, RETRAINING, build_comparison_job
from e2i_assets.automation.jobs import REFRESH
from e2i_assets.automation.retraining import build_retraining_job
from e2i_assets.build import build_defs, build_resources
from e2i_assets.cli.main import app
from e2i_assets.errors import E2IError
from e2i_assets.monitoring.retraining import Retraining
from e2i_assets.registry.ledger import Entry, Version
from e2i_assets.resources.store import Published
from e2i_assets.settings import Settings
from e2i_assets.stages.stage import FORCE
from e2i_assets.warehouse.alert_records import retraining_history
from e2i_assets.warehouse.queries.alerts import alerts
from e2i_assets.warehouse.queries.gates import GateResult, record_gate_results
from e2i_assets.warehouse.queries.monitoring import record_monitoring
from e2i_assets.warehouse.queries.publications import Publication, record_publication
from e2i_assets.warehouse.queries.registry import registry
from e2i_assets.warehouse.queries.retraining import (
    Wanted,
    answer_request,
    request_retraining,
    retraining_of,
    retrainings,
)
from e2i_assets.warehouse.queries.splits import record_assignments
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import CONFIG, shipped_config

PARTITION = "fabhalta_c3g"
NAME = f"e2i-conversion-{PARTITION}"
NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
WANTED = Wanted(PARTITION, "conversion", NAME, 1, "drift", "drift of data is 0.6", "e2i")
FAILURE, SUCCESS = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS


def registered(warehouse: Warehouse) -> None:
    version = Version(
        model_name=NAME, scope="conversion", partition=PARTITION, problem_type="binary_classification",
        algorithm="LightGBM", model_fingerprint="f", service="classification-service", bento_tag=f"{NAME}:a",
        files_hash="h", data_version="d", trained_on={}, metrics={}, samples={}, mlflow_run_id="m", run_id="r",
        version=1, mlflow_version=1, created_at=NOW,
    )  # fmt: skip
    with registry(warehouse) as ledger:
        ledger.add(version)
        ledger.add(replace(version, version=2, mlflow_version=2, files_hash="h2"))
        ledger.append(Entry(NAME, 1, 1, "registered", None, "staging", "e2i", "e2i", NOW))


@cache
def definitions() -> dg.Definitions:
    return build_defs(Settings(config=CONFIG))


@dataclass
class World:
    here: Settings
    warehouse: Warehouse
    instance: dg.DagsterInstance
    cursor: str | None = None

    def tick(self, name: str = "retraining_sensor") -> list[dg.RunRequest]:
        defs, resources = definitions(), build_resources(self.here)
        sensor = defs.resolve_sensor_def(name)
        with dg.build_sensor_context(
            instance=self.instance,
            resources={key: resources[key] for key in sensor.required_resource_keys},
            definitions=defs,
            cursor=self.cursor,
        ) as context:
            tick = sensor.evaluate_tick(context)
        if name == "retraining_sensor":
            self.cursor = tick.cursor
        return list(tick.run_requests or [])

    def ran(self, number: int, status: dg.DagsterRunStatus, tag: str = RETRAINING) -> str:
        run = dg.DagsterRun(REFRESH, status=status, tags={tag: str(number)})
        self.instance.add_run(run)
        return run.run_id

    def now(self, number: int) -> Retraining:
        found = retraining_of(self.warehouse, number)
        assert found is not None
        return found


@pytest.fixture
def world(here: Settings, warehouse: Warehouse) -> Iterator[World]:
    registered(warehouse)
    with dg.DagsterInstance.ephemeral() as instance:
        yield World(here, warehouse, instance)


def approved(world: World) -> int:
    made = request_retraining(world.warehouse, WANTED, approval=False)
    assert made is not None
    return made.id


def test_one_is_open_at_a_time_and_waits_for_somebody(world: World) -> None:
    made = request_retraining(world.warehouse, WANTED, approval=True)
    assert made is not None
    assert request_retraining(world.warehouse, WANTED, approval=False) is None
    (alert,) = alerts(world.warehouse)
    assert (alert.id, alert.kind) == (made.alert_id, "retraining")
    assert f"e2i retrain approve {made.id}" in alert.next_step
    assert world.tick() == []
    with pytest.raises(sa.exc.IntegrityError, match="two_people"):
        answer_request(world.warehouse, made.id, approve=True, by="e2i")
    answered = answer_request(world.warehouse, made.id, approve=True, by="Anna Smith")
    assert answered is not None
    assert answered.status == "approved"
    assert [request.run_key for request in world.tick()] == [f"retraining-{made.id}-attempt-1"]


def test_the_run_is_of_the_scope_alone_and_forced(world: World) -> None:
    number = approved(world)
    first, again = world.tick(), world.tick()  # lost between tick and launch: Dagster knows the key
    assert [one.run_key for one in first] == [one.run_key for one in again]
    (request,) = first
    assert (request.partition_key, request.tags[RETRAINING]) == (PARTITION, str(number))
    assert request.tags[FORCE]
    stages = {key.path[-1] for key in request.asset_selection or ()}
    assert {key.path[0] for key in request.asset_selection or ()} == {"conversion"}
    assert "registered_model" in stages
    assert not stages & {"deployment", "holdout_validation", "splits"}
    run_id = world.ran(number, dg.DagsterRunStatus.STARTED)
    assert world.tick() == []
    assert (world.now(number).status, world.now(number).run_id) == ("running", run_id)


def test_a_cohort_file_that_is_wrong_is_waited_for_and_one_that_is_gone_ends_it(
    world: World, tmp_path: Path
) -> None:
    number = approved(world)
    world.here = world.here.model_copy(update={"config": shipped_config(tmp_path)})
    file = world.here.config_dir / "cohorts" / f"{PARTITION}.yaml"
    right = file.read_text()
    file.write_text("a: [1,")
    assert world.tick() == []
    assert world.now(number).status == "approved"
    file.write_text(right)
    assert len(world.tick()) == 1
    file.unlink()
    assert world.tick() == []
    assert (world.now(number).status, alerts(world.warehouse)[0].kind) == ("failed", "retraining")


@pytest.mark.parametrize(("refused", "status"), [(True, "refused"), (False, "failed")])
def test_a_run_that_comes_to_nothing_ends_it_with_an_alert(world: World, refused: bool, status: str) -> None:
    number = approved(world)
    for attempt in (2, 3):
        world.ran(number, FAILURE)
        assert [one.run_key for one in world.tick()] == [f"retraining-{number}-attempt-{attempt}"]
    last = world.ran(number, FAILURE)
    if refused:
        record_gate_results(
            world.warehouse,
            [GateResult("conversion/evaluation", PARTITION, "v", "success_criteria", False, "low", {}, last)],
        )
    assert world.tick() == []
    ended = world.now(number)
    assert (ended.status, ended.run_id, ended.attempts) == (status, last, 3)
    assert ended.completed_at is not None
    (alert,) = alerts(world.warehouse)
    assert f"e2i retrain request conversion -p {PARTITION}" in alert.next_step
    assert world.tick() == []
    assert approved(world) == number + 1


@pytest.mark.parametrize(
    ("files", "status", "version", "note"),
    [
        ("h", "level", None, f"the same model came out, {NAME} version 1"),
        # Registered before, by the run of a load: it is what came out nevertheless.
        ("h2", "failed", 2, f"{NAME} version 2 is registered, and cannot be compared"),
        ("other", "failed", None, "what its run made is not on record"),
    ],
)
def test_what_was_trained_is_compared(
    world: World, files: str, status: str, version: int | None, note: str
) -> None:
    number = approved(world)
    assert world.tick("retraining_comparison_sensor") == []
    run_id = world.ran(number, SUCCESS)
    bundle = Publication(
        "conversion/bento_bundle", PARTITION, "v", "f", "c", {}, {}, {"files": files}, run_id
    )
    record_publication(world.warehouse, bundle, {})
    assert world.tick() == []
    (request,) = world.tick("retraining_comparison_sensor")
    assert (request.run_key, request.tags[COMPARISON]) == (f"retraining-{number}-comparison-1", str(number))
    world.ran(number, dg.DagsterRunStatus.STARTED, COMPARISON)
    assert world.tick("retraining_comparison_sensor") == []
    resources = {
        name: build_resources(world.here)[name] for name in ("settings", "warehouse", "store", "tracking")
    }
    job = build_comparison_job()
    assert job.execute_in_process(
        instance=world.instance, resources=resources, tags={COMPARISON: str(number)}
    ).success
    ended = world.now(number)
    assert (ended.status, ended.new_model_version) == (status, version)
    assert ended.note is not None
    assert ended.note.startswith(note)
    assert world.tick() == []


def drifted(world: World, score: float, version: int = 1, accuracy: float = 0.8) -> None:
    """One comparison of a version with new data, as `drift_report` records it."""
    run = {
        "partition": PARTITION, "scope": "conversion", "model_name": NAME, "model_version": version,
        "run_id": f"watch {score} {accuracy} {version}", "data_version": "d", "new_patients": 500, "predictions": 0,
        "judged": True, "total_checks": 2, "drift_detected_count": 2, "severity": "high", "drift_score": score,
        "summary": {},
    }  # fmt: skip
    drift = [
        {"drift_type": "data", "feature_name": name, "drift_detected": True, "severity": "high", "drift_score": of,
         "reason": ""}
        for name, of in (("age", score - 0.1), ("region", score + 0.1))
    ]  # fmt: skip
    performance = [
        {"metric_name": "accuracy", "metric_value": accuracy, "source": "measured", "sample_size": 500,
         "ci_lower": accuracy - 0.04, "ci_upper": accuracy + 0.04, "baseline_value": 0.82, "is_degraded": False},
    ]  # fmt: skip
    record_monitoring(world.warehouse, run, drift, performance)


def a_published_partition(world: World, patients: int = 1000, age: int = 10) -> None:
    """Data that a new version could be trained on."""
    newest = (dt.datetime.now(dt.UTC).date() - dt.timedelta(days=age)).isoformat()
    build_resources(world.here)["store"].publish(
        Published("raw/patient_journeys", PARTITION, "0" * 16, "", attributes={NEWEST: newest}, run_id="r")
    )
    names = [f"p{number}" for number in range(patients)]
    record_assignments(world.warehouse, PARTITION, pd.DataFrame({"patient_id": names, "split": "train"}))


def automatic(world: World, tmp_path: Path) -> None:
    config = shipped_config(tmp_path)
    file = config / "retraining.yaml"
    file.write_text(file.read_text().replace("auto: false", "auto: true"))
    world.here = world.here.model_copy(update={"config": config})


def test_what_is_due_is_said_once_where_nothing_is_asked_for_by_itself(world: World) -> None:
    a_published_partition(world)
    drifted(world, 0.3)
    assert world.tick() == []
    assert not alerts(world.warehouse)
    drifted(world, 0.6)
    drifted(world, 0.9, version=2)  # does not answer
    for _ in range(2):
        assert world.tick() == []
    (alert,) = alerts(world.warehouse)
    assert (alert.kind, alert.raised, alert.scope) == ("retraining", 1, "conversion")
    assert "drift of data is 0.6 (at least 0.5)" in alert.message
    assert alert.next_step.startswith(f"e2i retrain request conversion -p {PARTITION}")
    assert not retrainings(world.warehouse)


def test_what_is_due_is_asked_for_and_a_person_approves(world: World, tmp_path: Path) -> None:
    a_published_partition(world)
    automatic(world, tmp_path)
    drifted(world, 0.1, accuracy=0.67)  # by chance, as far as anybody knows
    assert world.tick() == []
    assert not retrainings(world.warehouse)
    drifted(world, 0.1, accuracy=0.65)
    assert world.tick() == []
    (made,) = retrainings(world.warehouse)
    assert (made.status, made.trigger_type, made.requested_by) == ("requested", "performance", "e2i")
    assert "accuracy is 0.69 at most (below 0.7)" in made.trigger_reason
    assert len(made.decision["reasons"]) == 11
    answer_request(world.warehouse, made.id, approve=False, by="Anna Smith")
    drifted(world, 0.85)
    assert world.tick() == []  # cool-down
    assert len(retrainings(world.warehouse)) == 1


def test_large_drift_needs_nobody(world: World, tmp_path: Path) -> None:
    a_published_partition(world)
    automatic(world, tmp_path)
    drifted(world, 0.8)
    (request,) = world.tick()
    assert request.run_key == "retraining-1-attempt-1"
    assert world.now(1).status == "approved"


def scheduled(world: World) -> list[Retraining]:
    """What the schedule's job leaves."""
    resources = {name: build_resources(world.here)[name] for name in ("settings", "warehouse", "store")}
    assert build_retraining_job().execute_in_process(instance=world.instance, resources=resources).success
    return retrainings(world.warehouse)


def test_the_schedule_asks_by_the_same_rules(world: World) -> None:
    assert scheduled(world) == []  # no data that a new version could be trained on
    a_published_partition(world)
    (made,) = scheduled(world)
    assert (made.status, made.trigger_type, made.requested_by) == ("requested", "scheduled", "e2i")
    assert (made.model_name, made.old_model_version) == (NAME, 1)  # that answers
    assert "schedule is due" in made.trigger_reason
    assert world.tick() == []
    assert len(scheduled(world)) == 1  # one is open
    answer_request(world.warehouse, made.id, approve=False, by="Anna Smith")
    assert len(scheduled(world)) == 1  # cool-down


def test_what_the_schedule_asks_for_is_carried_out_and_given_up_like_any_other(world: World) -> None:
    a_published_partition(world)
    drifted(world, 0.85)
    for number in (1, 2, 3):
        made, *_ = scheduled(world)
        assert (made.id, made.status, made.trigger_type) == (
            number,
            "approved",
            "drift",
        )  # drift is that large
        (request,) = world.tick()
        assert request.run_key == f"retraining-{number}-attempt-1"
        long_ago = {"status": "level", "completed_at": NOW, "triggered_at": NOW}
        with world.warehouse.engine.begin() as connection:
            connection.execute(sa.update(retraining_history).values(long_ago))
    assert len(scheduled(world)) == 3
    (alert,) = [one for one in alerts(world.warehouse) if "given up" in one.subject]
    assert "attempts: 3, wanted fewer than 3 that came to nothing" in alert.message
    assert "e2i retrain status" in alert.next_step


@pytest.mark.parametrize("of", [{"patients": 999}, {"age": 91}])
def test_too_few_patients_or_old_data_are_not_trained_on(
    world: World, tmp_path: Path, of: dict[str, int]
) -> None:
    a_published_partition(world, **of)
    automatic(world, tmp_path)
    drifted(world, 0.9)
    assert world.tick() == []
    assert not retrainings(world.warehouse)


def test_commands_ask_approve_and_show(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.here.database_url is not None
    monkeypatch.setenv("E2I_DATABASE_URL", world.here.database_url.get_secret_value())
    monkeypatch.setenv("COLUMNS", "40")

    def said(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["retrain", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    ask = ("request", "conversion", "-p", PARTITION, "--reason", "a new supplier", "--by")
    number = json.loads(said(*ask, "Anna Smith", "--json"))["retraining"]["id"]
    for arguments, reason in {
        (*ask, "Bert Jones"): "open already",
        ("approve", str(number), "--by", "asmith"): "asmith may be Anna Smith",
        ("approve", "999", "--by", "Bert Jones"): "there is no retraining 999",
        ("request", "nothing", "-p", PARTITION, "--reason", "r", "--by", "Anna Smith"): "no scope 'nothing'",
        (
            "request",
            "conversion",
            "-p",
            "p",
            "--reason",
            "r",
            "--by",
            "Anna Smith",
        ): "no version of conversion",
    }.items():
        with pytest.raises(E2IError, match=reason):
            said(*arguments)
    assert "retraining_sensor requests the run" in said("approve", str(number), "--by", "Bert Jones")
    with pytest.raises(E2IError, match="is approved, and waits for no approval"):
        said("reject", str(number), "--by", "Carl Brown")
    shown = said("status")
    for text in (NAME, "a new supplier", "Anna Smith", "Bert Jones"):
        assert text in shown
