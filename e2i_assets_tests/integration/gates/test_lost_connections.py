"""The connection to PostgreSQL is lost in the middle: it is made again or told, and nothing is half there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient

from e2i_assets.automation.alerts import tell
from e2i_assets.build import build_resources
from e2i_assets.cli.runner import _error
from e2i_assets.observability.background import Unavailable
from e2i_assets.observability.database import Database
from e2i_assets.resources import retries
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.serving.server.prediction_log import _INSERT
from e2i_assets.settings import Settings
from e2i_assets.warehouse import transactions
from e2i_assets.warehouse.errors import lost_connection
from e2i_assets.warehouse.loader import Load
from e2i_assets.warehouse.postgres import export, url_for
from e2i_assets.warehouse.queries.alert_deliveries import unsent
from e2i_assets.warehouse.queries.alerts import raise_alert
from e2i_assets.warehouse.queries.registry import model_of
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import installation
from e2i_assets_tests.cut_connections import Way, way_to
from e2i_assets_tests.integration.gates.partition import run
from e2i_assets_tests.integration.gates.test_recovery import openings, versions
from e2i_assets_tests.integration.receivers import webhook
from e2i_assets_tests.integration.test_alerts import DRIFT, NOON, rules
from e2i_assets_tests.integration.test_load_recovery import PARTITIONS, counts, each_once, tables
from e2i_assets_tests.registry_world import register

Reached = tuple[Way, Settings]
COMMIT = "COMMIT"


@pytest.fixture(scope="module")
def reached(server: str, base: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reached]:
    """A copy of the partition, and the way to its database."""
    folder = tmp_path_factory.mktemp("lost")
    with installation(server, folder, template=base) as here, way_to(here) as (way, there):
        export(there)
        yield way, there


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "SECONDS", 0)
    monkeypatch.setattr(transactions, "FIRST_WAIT", 0.0)


def execute(there: Settings, statement: str) -> None:
    with build_resources(there)["warehouse"].engine.begin() as connection:
        connection.execute(sa.text(statement))


@pytest.mark.parametrize(
    ("stage", "statement", "unheard", "anew"),
    [
        ("raw/treatment_events", "COPY (", "", None),
        ("qc_report", "INSERT INTO e2i.ml_data_quality_reports", COMMIT, None),
        ("cohort", "INSERT INTO e2i.ml_cohort_eligibility_log", COMMIT, None),
        ("splits", "INSERT INTO e2i.ml_split_assignments", COMMIT, "ml_split_assignments"),
        ("conversion/trained_model", "INSERT INTO metrics", "", None),
        ("conversion/evaluation", "INSERT INTO e2i.ml_split_access", COMMIT, "ml_split_access, e2i.ml_split_attempts"),
    ],
)  # fmt: skip
def test_a_stage_is_made_again(
    reached: Reached, stage: str, statement: str, unheard: str, anew: str | None
) -> None:
    way, there = reached
    before = versions(there)
    if anew:
        execute(there, f"TRUNCATE e2i.{anew}")
    way.cut_at(statement, unheard=unheard)
    assert run(there, f'key:"{stage}"', force=True).success
    assert way.cuts == 1
    assert versions(there) == before
    assert openings(there) == (1, 1)


def test_a_server_that_stays_away_ends_the_run_and_the_next_one_goes_on(reached: Reached) -> None:
    way, there = reached
    before = versions(there)
    way.cut_at("INSERT INTO e2i.ml_cohort_eligibility_log", times=1 + retries.TRIES)
    result = run(there, "key:cohort or key:features", force=True)
    assert not result.success
    assert "cohort: the database was lost: " in _error(result)
    assert versions(there) == before
    assert run(there, "key:cohort or key:features").success
    assert versions(there) == before


def test_a_load_that_was_committed_unheard_is_not_published_twice(reached: Reached) -> None:
    way, there = reached
    warehouse = Warehouse(there)
    way.cut_at("INSERT INTO e2i.patient_journeys", unheard=COMMIT)
    report = warehouse.load(Load(tables("v"), "lost"), PARTITIONS)
    assert way.cuts == 1
    assert report.rows["patient_journeys"] == 400
    assert counts(warehouse, "v") == each_once(1)


def test_a_registration_is_there_once_or_not_at_all(reached: Reached) -> None:
    way, there = reached
    warehouse, client = Warehouse(there), MlflowClient(ExperimentTracking(there).uri)
    for unheard, known in (("", 0), (COMMIT, 1)):
        way.cut_at("INSERT INTO e2i.ml_model_registry", unheard=unheard)
        with pytest.raises(sa.exc.OperationalError) as error:
            register(there, warehouse, client, "e2i-lost")
        assert lost_connection(error.value)
        assert len(model_of(warehouse, "e2i-lost").versions) == known
    assert register(there, warehouse, client, "e2i-lost").version == 1
    assert len(client.search_model_versions("name = 'e2i-lost'")) == 1


def test_a_prediction_whose_row_was_written_unheard_is_logged_once(reached: Reached) -> None:
    way, there = reached
    row = {"request_id": "lost", "row": 0, "predicted_at": NOON.isoformat(), "service": "s", "release": "r",
           "model_name": "m", "version": "1", "stage": "production", "prediction": 0.5, "latency_ms": 1.0}  # fmt: skip
    database, statement = Database(url_for(there, "e2i")), "INSERT INTO e2i.ml_prediction_log"
    for unheard, known in (("", 0), (statement, 1)):
        way.cut_at(statement, unheard=unheard)
        with pytest.raises(Unavailable):
            database.insert(_INSERT, [row])
        assert logged(there) == known
    database.insert(_INSERT, [row])
    assert logged(there) == 1


def logged(there: Settings) -> int:
    with Warehouse(there).reading() as connection:
        return connection.exec_driver_sql(
            "SELECT count(*) FROM e2i.ml_prediction_log WHERE request_id = 'lost'"
        ).scalar_one()


def test_a_notice_that_was_sent_and_not_recorded_is_sent_again(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    way, there = reached
    warehouse = Warehouse(there)
    raise_alert(warehouse, DRIFT, now=NOON)
    with webhook() as hook, webhook() as slack:
        monkeypatch.setenv("ALERT_HOOK", hook.url)
        monkeypatch.setenv("ALERT_SLACK", slack.url)
        way.cut_at("UPDATE e2i.ml_alert_deliveries")
        with pytest.raises(sa.exc.OperationalError) as error:
            tell(warehouse, rules(), NOON)
        assert lost_connection(error.value)
        assert len(unsent(warehouse)) == 2
        assert dict(tell(warehouse, rules(), NOON).sent) == {"webhook": 1, "slack": 1}
        assert len(hook.keys) + len(slack.keys) == 3
        assert len({*hook.keys, *slack.keys}) == 1, "whoever is told twice can know it by the key"
    assert unsent(warehouse) == []
