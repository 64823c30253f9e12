"""`e2i data check`: whoever corrects a source is told the keys of the rows that quality control refuses."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from typer.testing import CliRunner, Result

from e2i_assets.cli.data import app
from e2i_assets.partitions import cohort_config
from e2i_assets.settings import Settings
from e2i_assets.warehouse.loader import Load
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.integration.load_frames import frame

CHECKED, OTHER, EMPTY = "fabhalta_pnh", "kisqali_hr_her2_bc", "remibrutinib_csu"
DAY = dt.date(2024, 1, 1)
STAMP = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
LATE = dt.date(2024, 6, 1)


@pytest.fixture
def loaded(here: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """Two partitions; in both an event happened after it was recorded, in the first a window is open."""
    both = [cohort_config(here.config_dir, key) for key in (CHECKED, OTHER)]
    of = [both[i % 2] for i in range(4)]
    journeys = frame(
        "patient_journeys",
        patient_journey_id=["j0", "j1", "j2", "j3"], patient_id=["secret0", "secret1", "secret2", "secret3"],
        brand=[one.brand for one in of], indication=[one.indication for one in of],
        diagnosis_date=[DAY] * 4, first_observation_date=[DAY] * 4,
        last_observation_date=[STAMP.date()] * 2 + [dt.date(9999, 12, 31), STAMP.date()],
        source_timestamp=[STAMP] * 4, ingestion_timestamp=[STAMP] * 4,
    )  # fmt: skip
    events = frame(
        "treatment_events",
        treatment_event_id=["e0", "e1", "e2", "e3"], patient_journey_id=["j0", "j1", "j2", "j3"],
        patient_id=["secret0", "secret1", "secret2", "secret3"], event_date=[LATE, LATE, DAY, DAY],
        event_type=["consultation"] * 4, source_timestamp=[STAMP] * 4, ingestion_timestamp=[STAMP] * 4,
    )  # fmt: skip
    partitions = [(one.brand, one.indication) for one in both]
    warehouse.load(Load({"patient_journeys": journeys, "treatment_events": events}, "clinic"), partitions)
    monkeypatch.setattr("e2i_assets.cli.check.open_session", lambda: (here, warehouse))
    return warehouse


def check(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments])


def test_the_rows_that_break_a_rule_are_named_by_their_keys(loaded: Warehouse) -> None:
    answer = check("-p", CHECKED, "--json")
    assert answer.exit_code == 1
    assert json.loads(answer.stdout) == {
        "partition": CHECKED,
        "rows": [
            {
                "table": "patient_journeys",
                "key": "j2",
                "column": "last_observation_date",
                "rule": "after_extract",
            },
            {"table": "treatment_events", "key": "e0", "column": "event_date", "rule": "after_extract"},
        ],
    }
    result = check("-p", CHECKED)
    assert result.exit_code == 1
    assert "2 times a row breaks a rule" in result.stdout
    assert {"j2", "e0"} <= set(result.stdout.split())
    assert not {"j0", "e1"} & set(result.stdout.split())
    assert "secret" not in result.stdout + answer.stdout


def test_rows_that_keep_every_rule_end_with_0(loaded: Warehouse) -> None:
    with loaded.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE e2i.treatment_events SET event_date = '2024-01-01'")
    answer = check("-p", OTHER)
    assert (answer.exit_code, answer.stdout) == (0, "0 times a row breaks a rule\n")
    assert json.loads(check("-p", OTHER, "--json").stdout) == {"partition": OTHER, "rows": []}


def test_what_cannot_be_checked_is_said(loaded: Warehouse) -> None:
    wrong = check("-p", "nowhere")
    assert wrong.exit_code == 2
    assert "no partition 'nowhere'; there are fabhalta_c3g" in " ".join(wrong.output.split())
    with pytest.raises(ValueError, match="no rows of Remibrutinib/csu, so nothing was checked"):
        CliRunner().invoke(app, ["check", "-p", EMPTY], catch_exceptions=False)
