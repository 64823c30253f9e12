"""The profile of a registered version, and what is told when patients come who are not like those."""

from __future__ import annotations

import json

import dagster as dg
import numpy as np
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from e2i_assets.assets.drift_report import DriftPage
from e2i_assets.automation.jobs import WATCH
from e2i_assets.build import build_defs, build_resources
from e2i_assets.cli.main import app
from e2i_assets.features import FeatureSet
from e2i_assets.monitoring.model_profile import ModelProfile
from e2i_assets.monitoring.watching import IDEAL, TOLD
from e2i_assets.settings import Settings, settings
from e2i_assets.warehouse.queries.monitoring import drift_of, monitoring_history, performance_of, profile_of
from e2i_assets.warehouse.records import split_assignments
from e2i_assets_tests.integration.gates.partition import PARTITION

SCOPE = "conversion"


def watched(here: Settings) -> dg.ExecuteInProcessResult:
    return (
        build_defs(here)
        .resolve_job_def(WATCH)
        .execute_in_process(
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            partition_key=PARTITION,
            instance=dg.DagsterInstance.ephemeral(),
            raise_on_error=False,
        )
    )


def newcomers(here: Settings) -> int:
    """Let the patients whom the model was not fitted on be ones who came after it was registered."""
    warehouse = build_resources(here)["warehouse"]
    of = split_assignments.c
    with warehouse.engine.begin() as connection:
        moved = connection.execute(
            sa.update(split_assignments)
            .where(of.partition == PARTITION, of.split != "train")
            .values(assigned_at=sa.func.now() + sa.text("interval '1 day'"))
        )
    return moved.rowcount


def warning(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.check_name == "no_drift"
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    return evaluation


def test_a_registered_version_has_a_profile_without_a_row(here: Settings) -> None:
    resources = build_resources(here)
    profile = resources["store"].current(f"{SCOPE}/reference_profile", PARTITION)
    kept = resources["store"].read(profile.asset, PARTITION, profile.version, ModelProfile)
    assert (
        ModelProfile.from_document(profile_of(resources["warehouse"], kept.model_name, kept.version)) == kept
    )
    assert kept.figures["roc_auc"].low < kept.figures["roc_auc"].value < kept.figures["roc_auc"].high
    assert set(kept.figures) == {*IDEAL, *TOLD}
    assert sum(one["n"] for one in kept.calibration) == kept.predictions.rows
    for column in (*kept.features.columns.values(), *kept.predictions.columns.values()):
        assert all(count == 0 or count >= 5 for count in column.counts) or column.kind == "levels"


def test_patients_like_those_are_no_drift(here: Settings) -> None:
    new = newcomers(here)
    result = watched(here)
    assert result.success
    warehouse = build_resources(here)["warehouse"]
    (run,) = monitoring_history(warehouse, partition=PARTITION)
    told = [one["feature_name"] for one in drift_of(warehouse, run["id"]) if one["drift_detected"]]
    assert told == []
    assert warning(result).passed
    assert (run["severity"], run["judged"]) == ("none", True)
    assert run["new_patients"] == pytest.approx(new, rel=0.2)
    figures = {(one["metric_name"], one["source"]): one for one in performance_of(warehouse, run["id"])}
    measured, estimated = figures["roc_auc", "measured"], figures["roc_auc", "estimated"]
    assert measured["ci_lower"] < measured["metric_value"] < measured["ci_upper"]
    assert not measured["is_degraded"]
    assert figures["accuracy", "measured"]["baseline_value"] is not None  # retraining has a floor for it
    assert 0.5 < estimated["metric_value"] < 1
    implied = {name for name, source in figures if source == "estimated"}
    assert {"roc_auc", "brier", "accuracy", "recall_at_threshold"} <= implied <= set(TOLD)
    assert not _alerts(warehouse)


def test_other_patients_are_told_and_block_nothing(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2I_HOME", str(here.home_dir))
    monkeypatch.setenv("E2I_DATABASE_URL", here.database_url.get_secret_value())
    monkeypatch.setenv("COLUMNS", "200")
    settings.cache_clear()
    newcomers(here)
    loaded = FeatureSet.load
    moved: list[str] = []

    def other(folder) -> FeatureSet:
        made = loaded(folder)
        name = next(
            f.name for f in made.features if f.kind == "numeric" and made.frame[f.name].nunique() > 30
        )
        moved.append(name)
        made.frame[name] = made.frame[name] + 2 * made.frame[name].std()
        target = [column for column in made.outcomes if column != "patient_journey_id"]
        rng = np.random.default_rng(0)
        for column in target:  # the outcome has nothing to do with the patient any more
            made.outcomes[column] = rng.permutation(made.outcomes[column])
        return made

    monkeypatch.setattr(FeatureSet, "load", staticmethod(other))
    result = watched(here)
    assert result.success
    assert not warning(result).passed
    warehouse = build_resources(here)["warehouse"]
    (run,) = monitoring_history(warehouse, partition=PARTITION)
    found = {(one["drift_type"], one["feature_name"]): one for one in drift_of(warehouse, run["id"])}
    assert found["data", moved[0]]["severity"] == "critical"
    assert found["data", moved[0]]["current_mean"] > found["data", moved[0]]["baseline_mean"]
    assert found["concept", "roc_auc"]["drift_detected"]
    alerts = _alerts(warehouse)
    assert {(one["kind"], one["scope"]) for one in alerts} == {("drift", SCOPE), ("performance", SCOPE)}
    assert all(one["next_step"] for one in alerts)
    # Its key is the version: the drift of the next one is news, whether somebody took this one on or not.
    assert {one["subject"] for one in alerts} == {f"e2i-{SCOPE}-{PARTITION} version 1"}
    page = _page(here)
    assert moved[0] in page
    assert "patient_id" not in page
    asked = CliRunner().invoke(app, ["drift", "-p", PARTITION, "--json"], catch_exceptions=False)
    assert asked.exit_code == 1
    (comparison,) = json.loads(asked.stdout)["comparisons"]
    assert comparison["severity"] == "critical"
    assert moved[0] in {one["feature_name"] for one in comparison["columns"] if one["drift_detected"]}
    shown = CliRunner().invoke(app, ["drift", comparison["model_name"], "1"], catch_exceptions=False)
    assert (shown.exit_code, moved[0] in shown.stdout) == (1, True)
    again = watched(here)
    assert again.success
    assert len(monitoring_history(warehouse, partition=PARTITION)) == 1  # nothing came since


def _alerts(warehouse) -> list[dict]:
    with warehouse.engine.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT kind, scope, severity, subject, next_step FROM e2i.ml_monitoring_alerts")
        )
        return [dict(row) for row in rows.mappings()]


def _page(here: Settings) -> str:
    store = build_resources(here)["store"]
    published = store.current(f"{SCOPE}/drift_report", PARTITION)
    return store.read(published.asset, PARTITION, published.version, DriftPage).page
