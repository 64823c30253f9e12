"""What a partition that passed every gate leaves in records, metadata, pages and MLflow."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from e2i_assets.build import build_resources
from e2i_assets.cli.audit_data import audit_partition
from e2i_assets.leakage.info_sheet import NOT_COVERED
from e2i_assets.modeling.artifacts import Evaluated
from e2i_assets.settings import Settings
from e2i_assets_tests.conftest import config_with_examples
from e2i_assets_tests.integration.gates.partition import (
    PARTITION,
    checks,
    page_of,
    run,
)


def test_every_stage_leaves_its_records(base: Settings) -> None:
    expected = {
        "ml_load_batches": 1,
        "ml_gate_results": 14,
        "ml_data_quality_reports": 5,
        "ml_cohort_definitions": 1,
        "ml_cohort_executions": 1,
        "ml_cohort_eligibility_log": 10,
        "ml_split_assignments": 372,
        "ml_split_access": 1,
        "ml_hpo_studies": 1,
        "ml_hpo_patterns": 1,
        "ml_training_runs": 1,
        "ml_bento_bundles": 1,
        "ml_model_registry": 1,
        "ml_model_stage_history": 2,
    }
    with build_resources(base)["warehouse"].engine.connect() as connection:
        result = {
            table: connection.scalar(sa.text(f"SELECT count(*) FROM e2i.{table}")) for table in expected
        }
        shares = connection.execute(
            sa.text("SELECT split, count(*) / 372.0 FROM e2i.ml_split_assignments GROUP BY split")
        ).all()
    assert result == expected
    wanted = {"train": 0.60, "validation": 0.20, "test": 0.15, "holdout": 0.05}
    assert {split: pytest.approx(wanted[split], abs=0.02) for split, _ in shares} == {
        s: float(v) for s, v in shares
    }


def test_nobody_of_a_sealed_split_is_in_any_file_in_the_clear(base: Settings) -> None:
    """Neither among the artifacts nor in MLflow, bundles or reports; of train and validation two files."""
    query = sa.text("SELECT patient_id FROM e2i.ml_split_assignments WHERE split IN ('test', 'holdout')")
    with build_resources(base)["warehouse"].engine.connect() as connection:
        sealed = [patient.encode() for patient in connection.scalars(query)]
    declared = base.home_dir / "artifacts" / "synthetic_truth"  # of patients who do not exist
    remaining = [path for path in base.home_dir.rglob("*") if not path.is_relative_to(declared)]
    files = [path for path in remaining if path.is_file()]
    assert len(sealed) > 50
    contents = {path: path.read_bytes() for path in files}
    assert not [path for path, content in contents.items() if any(patient in content for patient in sealed)]
    clear = {path.name for path, content in contents.items() if content.startswith(b"PAR1")}
    assert clear == {"train.parquet", "validation.parquet"}
    assert not [path for path in files if path.stat().st_mode & 0o077]


def test_an_evaluation_says_what_covers_each_type_of_leakage(base: Settings) -> None:
    """Made from what ran, kept with the artifact, and shown in Dagit as a table."""
    store = build_resources(base)["store"]
    current = store.current("conversion/evaluation", PARTITION)
    rows = {
        row.type: row
        for row in store.read("conversion/evaluation", PARTITION, current.version, Evaluated).leakage_sheet
    }
    assert len(rows) == 8
    assert not [row for row in rows.values() if row.covered_by == NOT_COVERED]
    assert "fitted_on_train passed" in rows["L1.2"].result
    assert "pairs of splits compared by patient and row 6" in rows["L1.4"].result
    assert "0 findings" in rows["L2"].result
    shown = dg.deserialize_value(current.display, dict)["metadata"]["leakage"]
    assert [record.data["type"] for record in shown.records] == list(rows)


def test_the_published_splits_can_be_audited_without_the_sealed_ones(base: Settings) -> None:
    (report,) = audit_partition(base, build_resources(base)["store"], PARTITION).values()
    assert report.ok
    assert report.examined["contamination"] == 1
    assert report.examined["availability"] == report.examined["target"] > 0
    with build_resources(base)["warehouse"].engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM e2i.ml_split_access")) == 1


def test_the_quality_report_is_shown_with_its_parts_history_and_pages(base: Settings) -> None:
    store = build_resources(base)["store"]
    current = store.current("qc_report", PARTITION)
    shown = dg.deserialize_value(current.display, dict)["metadata"]
    assert {"score", "lowest_dimension", "fix_first", "grades", "dimensions", "history", "trend"} <= set(
        shown
    )
    (run,) = shown["history"].records
    assert run.data["overall_score"] == pytest.approx(shown["score"].value, abs=1e-4)
    assert [r.data["table"] for r in shown["grades"].records][-1] == "all tables"
    docs = page_of(base, shown["data_docs"].value)
    pages = [docs, *docs.parent.glob("*.html"), docs.parent.parent / "report.html"]
    assert len(pages) == 8
    for page in pages:
        text = page.read_text()
        assert not [value for value in ("pt_0", "patient_0", "hcp_0", "http") if value in text]


def test_one_mlflow_run_holds_what_was_made(base: Settings) -> None:
    from mlflow import MlflowClient
    from mlflow.models import Model

    client = MlflowClient(tracking_uri=build_resources(base)["tracking"].uri)
    experiment = client.get_experiment_by_name("e2i_conversion")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.tags["partition"] == PARTITION
    assert run.data.tags["success_criteria"] == "passed"
    assert run.data.tags["primary_metric"] == "roc_auc"
    assert {"algorithm", "seed", "data_splits"} <= set(run.data.params)
    assert {
        "train_roc_auc",
        "validation_roc_auc",
        "test_roc_auc",
        "test_roc_auc_low",
        "baseline_roc_auc",
        "train_brier",
        "validation_pr_auc",
        "test_ece",
    } <= set(run.data.metrics)
    remaining = {
        file.path
        for folder in ("plots", "preprocessor")
        for file in client.list_artifacts(run.info.run_id, folder)
    }
    studied = {path for path in remaining if path.startswith("plots/study_")}
    assert "plots/study_history.png" in studied
    assert remaining - studied == {
        "plots/importance.png",
        "plots/roc.png",
        "plots/precision_recall.png",
        "plots/calibration.png",
        "plots/decision_curve.png",
        "plots/learning_curve.png",
        "preprocessor/preprocessor.joblib",
    }
    (logged,) = client.search_logged_models([experiment.experiment_id])
    (lineage,) = run.inputs.dataset_inputs
    splits = build_resources(base)["store"].current("splits", PARTITION)
    assert (lineage.dataset.name, lineage.dataset.digest) == (f"splits/{PARTITION}", splits.version)
    assert str(base.home) not in lineage.dataset.source
    model = Model.load(f"{logged.artifact_location.removeprefix('file://')}/MLmodel")
    assert model.signature.inputs.input_names()
    assert model.signature.outputs is not None
    assert model.saved_input_example_info["artifact_path"] == "input_example.json"
    page = f"http://127.0.0.1:5000/#/experiments/{experiment.experiment_id}/runs/{run.info.run_id}"
    for asset in ("conversion/trained_model", "conversion/evaluation"):
        shown = build_resources(base)["store"].current(asset, PARTITION).display
        assert dg.deserialize_value(shown, dict)["metadata"]["mlflow_run"].value == page


def test_a_scope_of_other_partitions_is_passed_over_by_a_run_of_everything(
    here: Settings, tmp_path: Path
) -> None:
    config = config_with_examples(tmp_path / "with_examples")
    result = run(here.model_copy(update={"config": config}), "*")
    assert result.success
    assert checks(result) == dict.fromkeys(checks(result), True)
    assert len(checks(result)) == 14
    made = {
        e.asset_key.to_user_string(): e.materialization for e in result.get_asset_materialization_events()
    }
    passed_over = {name for name, shown in made.items() if "not_served" in shown.metadata}
    assert passed_over == {name for name in made if name.startswith("recurrence/")}
    assert len(passed_over) == 9
    store = build_resources(here)["store"]
    assert not [name for name in passed_over if store.current(name, PARTITION)]
