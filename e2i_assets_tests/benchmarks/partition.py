"""One partition, raw to bundle: through the platform, and as a plain script of the same library calls.

Both work on the same loaded warehouse and start with warm imports, in turn, in one process. The platform is
forced to compute, but from the second round on it finds its bundle and its evaluation of the test split (which
opens once for a model) already made, where the script makes them anew: the ratio flatters the platform by
that much, some tenths of a second. The script calls the domain and MLflow and BentoML
directly: no Dagster, no gates, no artifact store, no records.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from e2i_assets.build import build_defs, build_resources
from e2i_assets.cli.runner import run_partitions
from e2i_assets.cli.session import quiet
from e2i_assets.cohorts import CohortConfig, CohortConstructor
from e2i_assets.contracts.tables import TABLES
from e2i_assets.features import build_features
from e2i_assets.ingest import attributes
from e2i_assets.ingest.loader import Load
from e2i_assets.ingest.synthetic import GeneratorSpec, generate
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.evaluation import evaluate, meets
from e2i_assets.modeling.plots import calibration_plot, importance_plot, roc_plot
from e2i_assets.modeling.preprocessing import fit_preprocessor, verify_fitted_on
from e2i_assets.modeling.scope import Scope
from e2i_assets.modeling.selection import select_candidate
from e2i_assets.modeling.splits import assign_splits
from e2i_assets.modeling.training import train_model
from e2i_assets.modeling.tuning import OptunaConfig, tune
from e2i_assets.quality import QualityConfig, audit_leakage, build_qc_report
from e2i_assets.quality.plots import dimension_chart
from e2i_assets.resources.postgres import export
from e2i_assets.serving import bento_store, build_bundle
from e2i_assets.settings import Settings
from e2i_assets_tests.conftest import ROOT, postgres_home

PARTITION = "remibrutinib_csu"


def plain(here: Settings, warehouse: Any, folder: Path) -> float:
    """The same library calls, one after the other; returns the test AUC."""
    programme = CohortConfig.from_yaml(here.config_dir / "cohorts" / f"{PARTITION}.yaml")
    scope = Scope.from_yaml(here.config_dir / "scopes" / "conversion.yaml")
    raw = {name: warehouse.extract(name, programme.brand, programme.indication) for name in TABLES}
    raw["patient_journeys"] = attributes.expand(raw["patient_journeys"], programme.attributes)
    for name, frame in raw.items():
        frame.write_parquet(folder / f"{name}.parquet")
    quality = QualityConfig.from_yaml(here.config_dir / "quality.yaml")
    report = build_qc_report(raw, attributes=programme.attributes, raw_versions={}, config=quality)
    (folder / "report.html").write_text(report.to_html())
    dimension_chart(report)
    members, _ = CohortConstructor(programme).construct_cohort(raw["patient_journeys"])
    windows = programme.temporal_requirements
    made = build_features(
        members, raw["treatment_events"], raw["hcp_profiles"], index_date_field=windows.index_date_field,
        lookback_days=windows.lookback_days, attributes=programme.attributes,
    )  # fmt: skip
    made.frame.to_parquet(folder / "features.parquet")
    rows = made.frame.merge(made.outcomes, on="patient_journey_id")
    patients = pd.DataFrame(
        {"patient_id": rows["patient_id"], "stratum": rows[scope.target].astype("string")}
    )
    none = pd.DataFrame(columns=["patient_id", "split"])
    rows = rows.merge(assign_splits(patients, none, seed=42), on="patient_id")
    frames = dict(list(rows.groupby("split")))
    names = [feature.name for feature in made.features]
    wanted = ["patient_id", *names, scope.target]
    audit_leakage(
        frames["train"][wanted], scope.target, id_column="patient_id",
        other_splits={n: frames[n][wanted] for n in ("validation", "test", "holdout")},
    )  # fmt: skip
    train, validation, test = (
        LabelledSplit(n, frames[n][names], frames[n][scope.target].astype(int))
        for n in ("train", "validation", "test")
    )
    candidate = select_candidate(scope, train, features=made.features, seed=42)
    preprocessor = fit_preprocessor(train.X, made.features)
    verify_fitted_on(preprocessor, train.X)
    config = OptunaConfig.from_yaml(here.config_dir / "optuna_config.yaml")
    tuned = tune(candidate, preprocessor, train, validation, config, study_name="plain")
    model = train_model(candidate, tuned.best_params, preprocessor, train, validation, seed=42)
    result = evaluate(model, test, validation)
    meets(scope.success_criteria, result)
    plots = {
        "importance.png": importance_plot(model),
        "roc.png": roc_plot(result),
        "calibration.png": calibration_plot(result),
    }
    track(here, model, result, plots, folder)
    bundle(here, made, frames["train"], model, result)
    return result.auc_ci.auc


def track(here: Settings, model: Any, result: Any, plots: dict[str, bytes], folder: Path) -> None:
    """What the platform logs to MLflow, in one run."""
    from importlib.metadata import version

    import dagster_mlflow  # noqa: F401 -- the platform logs through it, so its import counts on both sides
    import mlflow

    from e2i_assets.resources.tracking import ExperimentTracking

    mlflow.set_tracking_uri(ExperimentTracking(here).uri)
    if mlflow.get_experiment_by_name("plain") is None:
        mlflow.create_experiment("plain", artifact_location=str(here.home_dir / "plain"))
    mlflow.set_experiment("plain")
    with mlflow.start_run():
        mlflow.log_params(dict(model.params))
        mlflow.log_metrics(
            dict(model.metrics) | {k: v for k, v in result.metrics["test"].items() if v is not None}
        )
        for name, png in plots.items():
            (folder / name).write_bytes(png)
            mlflow.log_artifact(str(folder / name))
        model.save(folder / "model")
        mlflow.log_artifact(str(folder / "model" / "model.joblib"))
        needed = [f"{package}=={version(package)}" for package in ("scikit-learn", "pandas", "numpy")]
        mlflow.sklearn.log_model(
            model.pipeline, name="model", pip_requirements=needed, serialization_format="cloudpickle"
        )


def bundle(here: Settings, made: Any, train: pd.DataFrame, model: Any, result: Any) -> None:
    """The same Bento."""
    levels = {
        f.name: sorted(train[f.name].dropna().unique()) for f in made.features if f.kind == "categorical"
    }
    with bento_store(here.bento_home):
        build_bundle(
            model.pipeline, made.features, name="plain", version=f"v{time.time_ns()}", positive_class="y",
            threshold=result.threshold, metadata={}, levels=levels,
        )  # fmt: skip


def platform(here: Settings, instance: dg.DagsterInstance) -> None:
    """The platform's own run, everything computed."""
    (run,) = run_partitions(build_defs(here), instance, here, [PARTITION], force=True, show=False)
    assert run.success, run


def timed(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="2,500 patients instead of 25,000")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    quiet()
    with postgres_home() as home:
        here = Settings(home=home / "home", config=ROOT / "config")
        export(here)
        warehouse = build_resources(here)["warehouse"]
        tables = generate(GeneratorSpec(scale="small" if chosen.small else "full")).tables
        brands = {
            ("Remibrutinib", "csu"),
            ("Fabhalta", "pnh"),
            ("Fabhalta", "c3g"),
            ("Kisqali", "hr_her2_bc"),
        }
        warehouse.load(Load(tables, "benchmark"), brands)
        from e2i_assets.cli.session import DEPLOY, dagster_instance

        (here.dagster_home / "dagster.yaml").write_text((DEPLOY / "dagster.yaml").read_text())
        with dagster_instance() as instance:
            pairs = []
            for i in range(chosen.rounds + 1):
                with tempfile.TemporaryDirectory() as folder:
                    ours = timed(lambda: platform(here, instance))
                    base = timed(lambda f=folder: plain(here, warehouse, Path(f)))
                print(f"round {i}{' (warm-up)' if i == 0 else ''}: platform {ours:.1f} s, plain {base:.1f} s")
                pairs += [(ours, base)] if i else []
    ours, base = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        f"one partition, platform / plain script (bar 1.15): {ours:.1f} s / {base:.1f} s = {ours / base:.2f}"
    )


if __name__ == "__main__":
    main()
