"""What the warehouse says it holds: rows, rejected rows, dates and loads of every table and partition."""

from __future__ import annotations

import datetime as dt
import json

import dagster as dg
import polars as pl
import pytest
from typer.testing import CliRunner

from e2i_assets.automation.jobs import REFRESH
from e2i_assets.build import build_defs
from e2i_assets.cli.data import app
from e2i_assets.contracts.partition_key import PartitionKey
from e2i_assets.contracts.tables import RAW_TABLES, TABLES
from e2i_assets.ingest.problems import LoadError
from e2i_assets.partitions import cohort_configs
from e2i_assets.settings import Settings
from e2i_assets.warehouse.loader import Load
from e2i_assets.warehouse.table_status import TableStatus, total
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.integration.load_frames import frame

N = 60
DAY = dt.date(2024, 1, 1)
STAMP = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def parts(here: Settings) -> list[tuple[str, str]]:
    return [one.partition_key for one in cohort_configs(here.config_dir).values()][:2]


@pytest.fixture
def tables(parts: list[tuple[str, str]]) -> dict[str, pl.DataFrame]:
    """Two partitions of 30 journeys; journey 1 and its event break a rule or follow it, HCP 3 and event 7 too."""
    keys = range(N)
    return {
        "hcp_profiles": frame(
            "hcp_profiles", hcp_id=[f"h{i}" for i in keys], decile=[11 if i == 3 else 5 for i in keys]
        ),
        "patient_journeys": frame(
            "patient_journeys",
            patient_journey_id=[f"j{i}" for i in keys], patient_id=[f"p{i}" for i in keys],
            hcp_id=[None if i == 3 else f"h{i}" for i in keys],
            brand=[parts[i % 2][0] for i in keys], indication=[parts[i % 2][1] for i in keys],
            diagnosis_date=[DAY + dt.timedelta(i) for i in keys], first_observation_date=[DAY] * N,
            last_observation_date=[DAY + dt.timedelta(400)] * N,
            age_at_diagnosis=[200 if i == 1 else 50 for i in keys],
            source_timestamp=[STAMP] * N,
            ingestion_timestamp=[STAMP + dt.timedelta(hours=i) for i in keys],
        ),
        "treatment_events": frame(
            "treatment_events",
            treatment_event_id=[f"e{i}" for i in keys], patient_journey_id=[f"j{i}" for i in keys],
            patient_id=[f"p{i}" for i in keys], event_date=[DAY - dt.timedelta(i) for i in keys],
            event_type=["consultation"] * N, cost=[-1.0 if i == 7 else 1.0 for i in keys],
            source_timestamp=[STAMP] * N, ingestion_timestamp=[STAMP] * N,
        ),
        "ml_predictions": frame(
            "ml_predictions",
            prediction_id=["s0"], patient_journey_id=["j0"], patient_id=["p0"], prediction_type=["risk"],
            prediction_timestamp=[dt.datetime(2024, 5, 1, 23, 59, tzinfo=dt.UTC)],
        ),
        "business_metrics": frame(
            "business_metrics",
            metric_id=["m0"], metric_date=[dt.date(2024, 6, 1)], metric_name=["trx"], brand=[parts[0][0]],
        ),
    }  # fmt: skip


def by_table(statuses: list[TableStatus]) -> dict[str, TableStatus]:
    return {status.table: status for status in statuses}


def test_rows_rejected_rows_dates_and_loads(
    warehouse: Warehouse, tables: dict[str, pl.DataFrame], parts: list[tuple[str, str]]
) -> None:
    report = warehouse.load(Load(tables, "first"), parts)
    whole = by_table(warehouse.status())
    assert list(whole) == list(TABLES)
    assert {name: content.rejected for name, content in whole.items() if content.rejected} == {
        "hcp_profiles": 1, "patient_journeys": 1, "treatment_events": 2,
    }  # fmt: skip
    journeys = whole["patient_journeys"]
    assert (journeys.rows, journeys.first_date, journeys.last_date) == (59, DAY, DAY + dt.timedelta(59))
    assert journeys.last_arrival == STAMP + dt.timedelta(hours=59)
    assert journeys.last_load is not None
    assert (journeys.last_load.load_id, journeys.last_load.source) == (report.load_id, "first")
    assert whole["ml_predictions"].last_date == dt.date(2024, 5, 1), "the day in UTC"
    assert whole["hcp_profiles"].last_date is None
    assert whole["triggers"] == TableStatus("triggers", 0, 0, None, None, None, None)


def test_a_partition_has_its_share_and_a_load_counts_where_it_touched(
    warehouse: Warehouse, tables: dict[str, pl.DataFrame], parts: list[tuple[str, str]]
) -> None:
    warehouse.load(Load(tables, "first"), parts)
    later = {"treatment_events": tables["treatment_events"].head(1).with_columns(cost=pl.lit(5.0))}
    second = warehouse.load(Load(later, "second"), parts)
    status = {partition: by_table(statuses) for partition, statuses in warehouse.status_of(parts).items()}
    even, odd = status[parts[0]], status[parts[1]]
    assert [even["patient_journeys"].rows, odd["patient_journeys"].rows] == [30, 29]
    assert [even["patient_journeys"].rejected, odd["patient_journeys"].rejected] == [0, 1]
    assert [even["treatment_events"].rejected, odd["treatment_events"].rejected] == [0, 2]
    loads = [part["treatment_events"].last_load for part in (even, odd)]
    assert [load and load.source for load in loads] == ["second", "first"]
    assert loads[0].load_id == second.load_id
    summed = total(even.values())
    assert (summed.rows, summed.first_date) == (sum(h.rows for h in even.values()), DAY - dt.timedelta(58))
    assert summed.last_load == loads[0]


def test_an_extract_tells_the_same_as_the_warehouse(
    warehouse: Warehouse, tables: dict[str, pl.DataFrame], parts: list[tuple[str, str]]
) -> None:
    warehouse.load(Load(tables, "first"), parts)
    for partition, statuses in warehouse.status_of(parts).items():
        with warehouse.snapshot(*partition) as snapshot:
            assert [snapshot.extract(status.table).status for status in statuses] == statuses


def test_a_raw_asset_tells_it_with_dates_rather_than_ages(
    here: Settings, warehouse: Warehouse, tables: dict[str, pl.DataFrame], parts: list[tuple[str, str]]
) -> None:
    report = warehouse.load(Load(tables, "first"), parts)
    key, defs = list(cohort_configs(here.config_dir))[1], build_defs(here)
    result = defs.resolve_job_def(REFRESH).execute_in_process(
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        partition_key=key,
        asset_selection=[dg.AssetKey(["raw", name]) for name in ("patient_journeys", "hcp_profiles")],
    )
    answer = {
        event.asset_key.path[-1]: {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }
    journeys = answer["patient_journeys"]
    assert journeys["dagster/partition_row_count"] == 29
    assert journeys["rejected_rows"] == 1
    assert (journeys["first_date"], journeys["last_date"]) == ("2024-01-04", "2024-02-29")
    assert journeys["last_arrival"] == "2024-03-03T23:00:00+00:00"
    assert journeys["last_load"].startswith(f"{report.load_id} of first, 20")
    shown = {c.name: c for c in journeys["dagster/column_schema"].columns}
    assert shown["gender"].constraints.other == ["one of F, M"]
    assert (answer["hcp_profiles"]["first_date"], answer["hcp_profiles"]["last_arrival"]) == (
        "none",
        "not recorded",
    )


def test_a_failed_load_rejects_nothing_of_what_is_held(
    warehouse: Warehouse, tables: dict[str, pl.DataFrame], parts: list[tuple[str, str]]
) -> None:
    with pytest.raises(LoadError):
        warehouse.load(
            Load({"hcp_profiles": tables["hcp_profiles"].with_columns(decile=pl.lit(12))}, "bad"), parts
        )
    assert {status.rejected for status in warehouse.status()} == {0}
    assert {status.last_load for status in warehouse.status()} == {None}


def test_ages_are_counted_from_now() -> None:
    status = TableStatus("triggers", 1, 0, DAY, DAY, STAMP, None)
    answer = status.document(dt.datetime(2024, 3, 3, tzinfo=dt.UTC))
    assert (answer["date_age_days"], answer["arrival_age_days"], answer["load_age_days"]) == (62, 1, None)
    assert json.loads(json.dumps(answer)) == answer


def test_the_command_tells_every_table_and_partition(
    here: Settings,
    warehouse: Warehouse,
    tables: dict[str, pl.DataFrame],
    parts: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warehouse.load(Load(tables, "first"), parts)
    monkeypatch.setattr("e2i_assets.cli.status.open_session", lambda: (here, warehouse))
    monkeypatch.setenv("COLUMNS", "80")
    document = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)
    keys = list(cohort_configs(here.config_dir))
    assert [part["partition"] for part in document["partitions"]] == keys
    assert [table["table"] for table in document["partitions"][0]["tables"]] == list(RAW_TABLES)
    assert document["partitions"][1]["rejected"] == 3
    assert document["partitions"][3]["rows"] == 0
    text = CliRunner().invoke(app, ["status"])
    assert text.exit_code == 0
    assert max(len(line.rstrip()) for line in text.stdout.splitlines()) <= 80
    for message in (*TABLES, *keys, "2024-02-29", "first"):
        assert message in text.stdout
    one = CliRunner().invoke(app, ["status", "--partition", keys[1]])
    assert f"Tables of {keys[1]}" in one.stdout
    wrong = CliRunner().invoke(app, ["status", "--partition", "nowhere"])
    assert wrong.exit_code == 2
    assert keys[0] in wrong.stderr


def test_a_column_is_not_collected_when_no_source_of_the_partition_has_it(warehouse: Warehouse) -> None:
    """By the last load of each source: what one of them brings is collected."""

    def collect(source: str, key: str, partition: tuple[str, str], *absent: str) -> None:
        journeys = frame(
            "patient_journeys",
            patient_journey_id=[key], patient_id=[key], brand=[partition[0]], indication=[partition[1]],
            first_observation_date=[DAY], last_observation_date=[DAY], source_timestamp=[STAMP],
            ingestion_timestamp=[STAMP],
        )  # fmt: skip
        load = Load({"patient_journeys": journeys}, source, not_collected={"patient_journeys": absent})
        warehouse.load(load, {partition, ("Other", "b")})

    def absent(partition: PartitionKey) -> dict[str, frozenset[str]]:
        return warehouse.not_collected(partition)

    mine = PartitionKey("Brand", "a")
    assert absent(mine) == {}
    collect("clinic", "j1", mine, "gender", "hcp_id")
    collect("elsewhere", "o1", ("Other", "b"))
    assert absent(mine) == {"patient_journeys": {"gender", "hcp_id"}}
    collect("registry", "j2", mine, "hcp_id", "insurance_type")
    assert absent(mine) == {"patient_journeys": {"hcp_id"}}
    collect("registry", "j3", mine)
    assert absent(mine) == {"patient_journeys": frozenset()}
