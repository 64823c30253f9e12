"""Indicators against a real database: what it has, what each comes to, and that nothing can be written."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from e2i_assets.assets.kpi_report import KpiPage
from e2i_assets.automation.jobs import KPIS
from e2i_assets.build import build_defs
from e2i_assets.cli.audit import app
from e2i_assets.contracts.partition_key import PartitionKey
from e2i_assets.ingest.synthetic.spec import AS_OF
from e2i_assets.kpis.errors import KpiFileError
from e2i_assets.kpis.file import KpiGroup, load_kpis
from e2i_assets.kpis.kpi import Kpi
from e2i_assets.kpis.report import KpiResult
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.settings import Settings, settings
from e2i_assets.warehouse.loader import Load
from e2i_assets.warehouse.queries import kpis as queries
from e2i_assets.warehouse.queries.kpis import measure_kpis
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import CONFIG
from e2i_assets_tests.integration.load_frames import frame

PARTITION, PNH, CSU = "fabhalta_pnh", PartitionKey("Fabhalta", "pnh"), PartitionKey("Remibrutinib", "csu")
DAY = dt.date(2025, 1, 1)
YEAR = dt.timedelta(365)
NOW = dt.datetime.combine(AS_OF, dt.time(9), dt.UTC)
STAMP = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
N = 10


def tables() -> dict[str, pl.DataFrame]:
    """Ten journeys of PNH, three of which begin the brand on day 30; j9 lacks its gender. One journey of CSU."""
    brands = ["Fabhalta"] * N + ["Remibrutinib"]
    days = [30 if i < 3 else None for i in range(N + 1)]
    return {
        "hcp_profiles": frame(
            "hcp_profiles",
            hcp_id=[f"h{i}" for i in range(4)], decile=[10, 9, 8, 1], coverage_status=[True, True, False, False],
        ),
        "patient_journeys": frame(
            "patient_journeys",
            patient_journey_id=[f"j{i}" for i in range(N + 1)], patient_id=[f"p{i}" for i in range(N + 1)],
            hcp_id=[f"h{i % 4}" for i in range(N + 1)], brand=brands, indication=["pnh"] * N + ["csu"],
            diagnosis_code=["D59.5"] * (N + 1), diagnosis_date=[DAY] * (N + 1), age_at_diagnosis=[50] * (N + 1),
            gender=["F"] * (N - 1) + [None, "F"], geographic_region=["south"] * 6 + ["west"] * 5,
            first_observation_date=[DAY] * (N + 1), last_observation_date=[DAY + dt.timedelta(200)] * (N + 1),
            treatment_initiated=[i < 3 for i in range(N + 1)], days_to_treatment=days,
            source_timestamp=[STAMP] * (N + 1),
            ingestion_timestamp=[STAMP + dt.timedelta(days=4)] * (N + 1),
        ),
        "treatment_events": frame(
            "treatment_events",
            treatment_event_id=[f"e{i}" for i in range(5)], patient_journey_id=["j0", "j0", "j1", "j2", "j3"],
            patient_id=["p0", "p0", "p1", "p2", "p3"], event_type=["prescription"] * 5,
            event_date=[DAY + dt.timedelta(days) for days in (30, 60, 30, 30, 10)],
            brand=["Fabhalta"] * 4 + ["Soliris"], source_timestamp=[STAMP] * 5, ingestion_timestamp=[STAMP] * 5,
        ),
        # j0 after its initiation, j1 and j2 before it, j3 and j4 never initiate; that of j5 never arrived.
        "triggers": frame(
            "triggers",
            trigger_id=[f"t{i}" for i in range(6)], patient_journey_id=[f"j{i}" for i in range(6)],
            patient_id=[f"p{i}" for i in range(6)], hcp_id=[f"h{i % 4}" for i in range(6)],
            trigger_date=[DAY + dt.timedelta(40 if i == 0 else 10 * i) for i in range(6)],
            trigger_type=["engagement_gap"] * 6,
            delivery_status=["delivered", "viewed", "delivered", "delivered", "delivered", "failed"],
            acceptance_status=["accepted", "accepted", "rejected", "expired", "pending", "pending"],
        ),
        # The figures of the year before stand no longer; those of the year after do not stand yet.
        "reference_universe": frame(
            "reference_universe",
            universe_id=[f"u{i}" for i in range(5)], universe_type=["patients"] * 4 + ["hcps"],
            brand=["Fabhalta"] * 5, indication=["pnh"] * 5, region=["south", "west", "south", "south", None],
            total_count=[8, 12, 999, 999, 5], effective_date=[DAY, DAY, DAY - YEAR, AS_OF + YEAR, DAY],
        ),
        # u1 today and twenty days ago, u2 six days ago, u3 two months ago.
        "user_sessions": frame(
            "user_sessions",
            session_id=[f"s{i}" for i in range(4)], user_id=["u1", "u1", "u2", "u3"],
            session_start=[NOW - dt.timedelta(days) for days in (0, 20, 6, 60)],
        ),
        "data_source_tracking": frame(
            "data_source_tracking",
            tracking_id=["d0", "d1", "d2"], source_name=["claims", "ehr", "claims"],
            tracking_date=[AS_OF, AS_OF - dt.timedelta(29), AS_OF - dt.timedelta(30)],
            records_received=[100, 300, 900], records_matched=[90, 210, 0],
            stacking_eligible_records=[10, 30, 900], stacking_lift_percentage=[20.0, 12.0, 0.0],
        ),
        # Two of three agree about g1 (one pair of three), both about g2; g3 has one label alone.
        "ml_annotations": frame(
            "ml_annotations",
            annotation_id=[f"a{i}" for i in range(6)], annotation_type=["response"] * 6,
            annotator_id=["x", "y", "z", "x", "y", "x"], annotation_value=["yes", "yes", "no", "no", "no", "no"],
            annotation_timestamp=[STAMP] * 6, iaa_group_id=["g1", "g1", "g1", "g2", "g2", "g3"],
        ),
        "etl_pipeline_metrics": frame(
            "etl_pipeline_metrics",
            pipeline_run_id=["r0", "r1", "r2", "r3"], pipeline_name=["claims"] * 4,
            run_start=[NOW - dt.timedelta(hours=1)] * 4, run_end=[NOW, NOW, NOW, None],
            source_data_timestamp=[NOW - dt.timedelta(hours=hours) for hours in (10, 40, 500, 1)],
            status=["success", "success", "failed", None],
        ),
    }  # fmt: skip


@pytest.fixture
def loaded(warehouse: Warehouse) -> Warehouse:
    warehouse.load(Load(tables(), "test"), {PNH, CSU})
    return warehouse


def measured(warehouse: Warehouse, groups: Any = None) -> dict[str, KpiResult]:
    report = measure_kpis(warehouse, groups or load_kpis(CONFIG), PARTITION, PNH, AS_OF)
    return {one.kpi.id: one for one in report.results}


def execute(warehouse: Warehouse, *statements: str) -> None:
    with warehouse.engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def asked_of(view: str, sql: str = "SELECT max(n) AS value, 1 AS rows FROM {view}") -> tuple[KpiGroup]:
    kpi = Kpi(
        id="K", name="of a view", formula="n", unit="index", frequency="daily", columns={view: {"n": "bigint"}},
        sql=sql.format(view=view),
    )  # fmt: skip
    return (KpiGroup(group="G", kpis=(kpi,)),)


def test_each_indicator_comes_to_what_its_formula_says(loaded: Warehouse) -> None:
    results = measured(loaded)
    computed = {name: one.value for name, one in results.items() if one.value is not None}
    assert computed == pytest.approx(
        {
            "WS1-DQ-001": 0.5,  # ten of twenty
            "WS1-DQ-002": 0.4,  # h0 and h1 of five
            "WS1-DQ-003": 0.75,
            "WS1-DQ-004": 0.14,
            "WS1-DQ-005": 0.9,  # j9 has no gender
            "WS1-DQ-006": 0.2,  # six of ten live in the south, eight of twenty in the reference
            "WS1-DQ-007": 4.0,
            "WS1-DQ-008": 2 / 3,
            "WS1-DQ-009": 25.0,
            "WS2-TR-001": 0.5,  # j1 and j2 of j1 to j4
            "WS2-TR-002": 2 / 3,  # j1 and j2 of j0 to j2
            "WS2-TR-004": 0.4,  # of five that arrived
            "WS2-TR-007": 15.0,  # 20 and 10 days
            "WS3-BI-001": 2.0,
            "WS3-BI-002": 2.0,
            "WS3-BI-003": 0.6,
            "WS3-BI-004": 2 / 3,  # h0 and h1 of h0 to h2
            "WS3-BI-005": 4.0,
            "WS3-BI-006": 4.0,
            "WS3-BI-007": 3.0,
            "WS3-BI-008": 0.8,
            "WS3-BI-009": 0.6,  # j0 (day 60), j1 and j2 of five
        }
    )
    assert results["WS1-DQ-007"].standing == "below_target"
    assert results["WS3-BI-001"].standing == "critical"
    assert (results["WS1-MP-001"].standing, results["WS1-MP-001"].why) == (
        "no_data",
        "no rows in ml_model_registry",
    )
    assert results["WS2-TR-005"].why == "not there: column triggers.false_positive_flag"
    assert not any(one.standing == "failed" for one in results.values())


def test_every_statement_is_one_that_postgresql_takes_once_its_columns_are_there(loaded: Warehouse) -> None:
    """Also those of columns and tables that no contract has: they are added here as the files ask for them."""
    groups = load_kpis(CONFIG)
    before = measured(loaded, groups)
    for one in (kpi for group in groups for kpi in group.kpis if kpi.sql):
        for table, columns in one.columns.items():
            execute(loaded, f"CREATE TABLE IF NOT EXISTS e2i.{table} ()")
            for name, dtype in columns.items():
                execute(loaded, f"ALTER TABLE e2i.{table} ADD COLUMN IF NOT EXISTS {name} {dtype}")
    execute(
        loaded,
        "UPDATE e2i.triggers SET control_group_flag = trigger_id IN ('t0', 't1'), false_positive_flag = "
        "trigger_id = 't5', action_taken = CASE WHEN trigger_id IN ('t0', 't2', 't3', 't4') THEN 'call' END",
    )
    after = measured(loaded, groups)
    assert before["WS2-TR-003"].standing == "not_computable"
    assert after["WS2-TR-003"].value == pytest.approx(0.5)  # three of four against one of two
    assert after["WS2-TR-005"].value == pytest.approx(1 / 6)
    assert {one.kpi.id: one.why for one in after.values() if one.standing == "failed"} == {}
    assert not any(one.kpi.sql and one.standing == "not_computable" for one in after.values())


def test_tables_for_kpis_touch_no_partition_and_go_with_their_source(loaded: Warehouse) -> None:
    before = loaded.watermark(*PNH)
    sessions = {
        "user_sessions": tables()["user_sessions"].with_columns(
            user_id=pl.lit("u9"), data_source=pl.lit("crm")
        )
    }
    assert loaded.load(Load(sessions, "crm", replaces="crm"), {PNH, CSU}).partitions == ()
    assert loaded.watermark(*PNH) == before  # nothing is due: no model is made of them
    assert measured(loaded)["WS3-BI-001"].value == 1
    gone = loaded.remove("crm", dry_run=False)
    assert (gone.rows, gone.partitions) == ({"user_sessions": 4}, ())
    assert measured(loaded)["WS3-BI-001"].why == "no rows in user_sessions"


def test_a_view_is_read_and_what_it_does_cannot_write(loaded: Warehouse) -> None:
    execute(
        loaded,
        "CREATE VIEW e2i.v_fine AS SELECT count(*) AS n FROM e2i.triggers",
        "CREATE FUNCTION e2i.erase() RETURNS bigint LANGUAGE sql VOLATILE AS "
        "'WITH gone AS (DELETE FROM e2i.triggers RETURNING 1) SELECT count(*) FROM gone'",
        "CREATE VIEW e2i.v_writes AS SELECT e2i.erase() AS n FROM e2i.hcp_profiles",
    )
    assert measured(loaded, asked_of("v_fine"))["K"].value == 6
    written = measured(loaded, asked_of("v_writes"))["K"]
    assert (written.standing, written.why) == ("failed", "its statement was refused: ReadOnlySqlTransaction")
    assert measured(loaded, asked_of("v_fine"))["K"].value == 6


def test_a_statement_that_takes_too_long_is_ended_and_the_next_is_asked(
    loaded: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "TIMEOUT_S", 0.2)
    execute(
        loaded,
        "CREATE FUNCTION e2i.slow() RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT 1::bigint FROM pg_sleep(20)'",
        "CREATE VIEW e2i.v_slow AS SELECT e2i.slow() AS n FROM e2i.hcp_profiles",
    )
    accepted = next(kpi for group in load_kpis(CONFIG) for kpi in group.kpis if kpi.id == "WS2-TR-004")
    results = measured(loaded, (*asked_of("v_slow"), KpiGroup(group="G", kpis=(accepted,))))
    assert (results["K"].standing, results["K"].why) == ("failed", "its statement took longer than 0.2 s")
    assert results["WS2-TR-004"].value == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("value", "standing", "why"),
    [
        ("max(n) / 0", "no_data", "would divide by nothing"),
        ("CAST(max(n) AS text)", "failed", "something else than numbers"),
        ("CAST('secret' || max(n) AS bigint)", "failed", "refused: InvalidTextRepresentation"),
    ],
)
def test_what_gives_no_number_gives_no_value_and_quotes_none(
    loaded: Warehouse, value: str, standing: str, why: str
) -> None:
    execute(loaded, "CREATE VIEW e2i.v_fine AS SELECT count(*) AS n FROM e2i.triggers")
    result = measured(loaded, asked_of("v_fine", f"SELECT {value} AS value, 1 AS rows FROM {{view}}"))["K"]
    assert (result.standing, result.value) == (standing, None)
    assert why in result.why
    assert "secret" not in result.why


def test_the_command_reports_and_exits_with_1_on_what_it_found(
    here: Settings, loaded: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert here.database_url is not None
    monkeypatch.setenv("E2I_DATABASE_URL", here.database_url.get_secret_value())
    monkeypatch.setenv("E2I_AS_OF", str(AS_OF))
    monkeypatch.setenv("COLUMNS", "80")
    settings.cache_clear()
    page, text = tmp_path / "kpis.html", tmp_path / "kpis.md"
    options = ["kpi", "-p", PARTITION, "--html", str(page), "--markdown", str(text)]
    shown = CliRunner().invoke(app, options)
    assert shown.exit_code == 1
    assert max(map(len, shown.stdout.split("WS1-MP-001 no data")[0].splitlines())) <= 80
    assert re.search(r"WS2-TR-004\W+Acceptance rate\W+40%\W+60%\W+warning", shown.stdout)
    assert "<td>Fabhalta" not in page.read_text()
    assert "on target" in page.read_text()
    assert "| WS2-TR-004 Acceptance rate | 40% | warning | 60% / 45% / 30% | 5 |" in text.read_text()

    document = json.loads(CliRunner().invoke(app, ["kpi", "-p", PARTITION, "--json"]).stdout)[PARTITION]
    assert document["counts"]["not_computable"] > 5
    assert not document["ok"]
    config = tmp_path / "config"
    config.mkdir()
    for item in CONFIG.iterdir():
        (config / item.name).symlink_to(item)
    (config / "kpis").unlink()
    (config / "kpis").mkdir()
    whole = (CONFIG / "kpis" / "4_business.yaml").read_text()
    touched = whole[whole.index("  - id: WS3-BI-003") : whole.index("  - id: WS3-BI-004")]
    (config / "kpis" / "a.yaml").write_text(f"group: Business\nkpis:\n{touched}")
    monkeypatch.setenv("E2I_CONFIG", str(config))
    settings.cache_clear()
    assert CliRunner().invoke(app, ["kpi", "-p", PARTITION]).exit_code == 0
    (config / "kpis" / "a.yaml").write_text("group: Business\nkpis: []\n")
    refused = CliRunner().invoke(app, ["kpi", "-p", PARTITION]).exception
    assert isinstance(refused, KpiFileError)
    assert refused.exit_code == 2


def test_the_asset_keeps_the_page_and_its_check_warns(here: Settings, loaded: Warehouse) -> None:
    job = build_defs(here).resolve_job_def(KPIS)
    first, again = (job.execute_in_process(partition_key=PARTITION, raise_on_error=False) for _ in range(2))
    assert first.success
    (check,) = first.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.blocking) == ("kpis_met", False, False)
    store = open_store(here)
    published = store.current("kpi_report", PARTITION)
    assert published is not None
    kept = store.read("kpi_report", PARTITION, published.version, KpiPage)
    assert "Acceptance rate" in kept.page
    assert kept.record["counts"]["on_target"] > 0
    # the same again is not made again; what is loaded since is
    assert again.success
    assert store.current("kpi_report", PARTITION) == published
    execute(loaded, "UPDATE e2i.triggers SET acceptance_status = 'accepted' WHERE trigger_id = 't2'")
    assert job.execute_in_process(partition_key=PARTITION).success
    changed = store.current("kpi_report", PARTITION)
    assert changed is not None
    assert changed.version != published.version
