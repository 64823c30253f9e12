"""Indicators against a real database: what it has, what each comes to, and that nothing can be written."""

from __future__ import annotations

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
from e2i_assets.warehouse.monitoring_records import drift_history, monitoring_runs
from e2i_assets.warehouse.queries import kpis as queries
from e2i_assets.warehouse.queries.kpis import measure_kpis
from e2i_assets.warehouse.records import causal_validations
from e2i_assets.warehouse.registry_records import model_registry
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import CONFIG
from e2i_assets_tests.integration.kpi_frames import CSU, DAY, NOW, PARTITION, PNH, tables
from e2i_assets_tests.integration.load_frames import frame, query


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


def test_figures_of_models_are_those_of_the_newest_versions(loaded: Warehouse) -> None:
    def version(
        scope: str, number: int, auc: float, slope: float, problem: str = "binary_classification"
    ) -> Any:
        words = (
            "algorithm",
            "model_fingerprint",
            "service",
            "bento_tag",
            "data_version",
            "mlflow_run_id",
            "run_id",
        )
        return {
            **dict.fromkeys(words, "x"), "model_name": f"e2i-{scope}", "version": number, "scope": scope,
            "partition": PARTITION, "problem_type": problem, "files_hash": f"{scope}{number}", "trained_on": {},
            "metrics": {"auc": auc, "brier": 0.2, "calibration_slope": slope}, "samples": {"test": 60},
            "mlflow_version": number, "created_at": NOW,
        }  # fmt: skip

    loaded.record(
        model_registry,
        [
            version("conversion", 1, 0.60, 1.0), version("conversion", 2, 0.82, 1.25), version("churn", 1, 0.75, 0.9),
            version("adoption", 1, 0.1, 0.1, "regression"),
        ],
    )  # fmt: skip
    compared = {
        "partition": PARTITION, "scope": "churn", "model_name": "e2i-churn", "model_version": 1, "measured_at": NOW,
    }  # fmt: skip
    for psi in (0.9, 0.15):
        run = {
            **compared, "run_id": "x", "data_version": "x", "new_patients": 70, "predictions": 0, "judged": True,
            "total_checks": 1, "drift_detected_count": 0, "severity": "none", "drift_score": 0.0, "summary": {},
        }  # fmt: skip
        loaded.record(monitoring_runs, [run])
        ((newest,),) = query(loaded, "SELECT max(id) FROM e2i.ml_monitoring_runs")
        column = {
            "monitoring_run_id": newest, "drift_type": "data", "feature_name": "age", "drift_detected": False,
            "severity": "none", "drift_score": 0.0, "psi": psi, "current_count": 70, "reason": "x",
        }  # fmt: skip
        loaded.record(drift_history, [compared | column])
    validated = {
        "partition": PARTITION, "scope": "uplift", "test_type": "cross_library", "treatment_variable": "t",
        "outcome_variable": "y", "covariates": [], "rows": 500, "details": {}, "run_id": "x",
    }  # fmt: skip
    loaded.record(causal_validations, [validated | {"status": "passed", "effect": 0.12}])
    results = measured(loaded)
    told = ("WS1-MP-001", "WS1-MP-005", "WS1-MP-006", "WS1-MP-009", "CM-001")
    assert [results[name].value for name in told] == pytest.approx([0.75, 0.2, 0.8, 0.15, 0.12])
    assert [results[name].rows for name in told] == [120, 120, 120, 70, 500]
    assert results["WS1-MP-002"].standing == "no_data"  # no version has it
    loaded.record(causal_validations, [validated | {"status": "failed", "effect": 0.3}])
    assert measured(loaded)["CM-001"].standing == "no_data"  # what was found last does not agree


def test_what_one_brand_looks_at(warehouse: Warehouse) -> None:
    cancer = PartitionKey("Kisqali", "hr_her2_bc")
    journeys = tables()["patient_journeys"].head(4)
    brands = ["Kisqali", "Kisqali", "Kisqali", "Remibrutinib"]
    indications = ["hr_her2_bc"] * 3 + ["csu"]
    events = tables()["treatment_events"].head(3)
    warehouse.load(
        Load(
            {
                "hcp_profiles": frame("hcp_profiles", hcp_id=[f"h{i}" for i in range(4)], specialty=["oncology"] * 3 + [None]),
                "patient_journeys": journeys.with_columns(brand=pl.Series(brands), indication=pl.Series(indications)),
                "treatment_events": events.with_columns(brand=pl.lit("Kisqali")),
                "triggers": tables()["triggers"].head(2).with_columns(
                    delivery_status=pl.Series(["delivered", "failed"])
                ),
                "hcp_intent_surveys": frame(
                    "hcp_intent_surveys",
                    survey_id=["a", "b", "c"], hcp_id=["h3"] * 3, survey_date=[DAY, AS_OF, AS_OF],
                    brand=["Remibrutinib"] * 3, intent_to_prescribe_score=[3, 5, 7], previous_survey_id=[None, "a", None],
                ),
                "causal_paths": frame(
                    "causal_paths",
                    path_id=["c0", "c1", "c2"], brand=["Kisqali"] * 3, discovery_date=[DAY, AS_OF, AS_OF],
                    source_node=["hcp_engaged"] * 3, target_node=["treatment_initiated"] * 3,
                    causal_effect_size=[0.9, 0.1, 0.4], confidence_level=[1.0, 0.75, 0.25],
                ),
            },
            "test",
        ),
        {cancer, CSU},
    )  # fmt: skip
    groups = load_kpis(CONFIG)
    of_cancer = measure_kpis(warehouse, groups, cancer.stem, cancer, AS_OF)
    values = {one.kpi.id: one.value for one in of_cancer.results}
    assert (values["BR-004"], values["BR-005"]) == (30.0, pytest.approx(1 / 3))  # days; h0 of h0 to h2
    assert values["CM-003"] == pytest.approx(0.175)
    assert "BR-002" not in values
    of_csu = measure_kpis(warehouse, groups, CSU.stem, CSU, AS_OF)
    assert {one.kpi.id: one.value for one in of_csu.results}["BR-002"] == 2.0


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
