"""One partition, raw to bundle: through the platform, and as a plain script of the same library calls.

Each round gives each side an installation of its own, a copy of one with the data loaded and the schemas of
Dagster and MLflow made, so that neither finds anything of an earlier round; the sides take turns in going
first. Both start with warm imports, in one process. The script makes the same artifacts and calls the domain,
MLflow and BentoML directly: no Dagster, no gates, no artifact store, no records.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from e2i_assets.build import build_defs, build_resources
from e2i_assets.cli.instance import dagster_instance
from e2i_assets.cli.runner import run_partitions
from e2i_assets.cli.session import quiet
from e2i_assets.cohorts import CohortConfig, CohortConstructor
from e2i_assets.cohorts.flow import flow_picture
from e2i_assets.contracts.tables import TABLES
from e2i_assets.features import build_features
from e2i_assets.ingest import attributes
from e2i_assets.ingest.load import Load
from e2i_assets.ingest.synthetic import GeneratorSpec, generate
from e2i_assets.ingest.synthetic.spec import Scale
from e2i_assets.leakage import audit_leakage
from e2i_assets.leakage.info_sheet import Evidence, largest_shift, leakage_sheet
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.evaluation import evaluate, meets
from e2i_assets.modeling.fitted import refit_check
from e2i_assets.modeling.plots import importance_plot
from e2i_assets.modeling.preprocessing import fit_preprocessor
from e2i_assets.modeling.problem_types import problem_of
from e2i_assets.modeling.scopes import read_scope
from e2i_assets.modeling.selection import select_candidate
from e2i_assets.modeling.splits import divide
from e2i_assets.modeling.training import train_model
from e2i_assets.modeling.tuning import tune
from e2i_assets.modeling.tuning_config import OptunaConfig
from e2i_assets.partitions import cohort_configs
from e2i_assets.quality import QualityConfig, build_qc_report
from e2i_assets.quality.plots import dimension_chart, history_chart
from e2i_assets.quality.splits import grade_splits
from e2i_assets.serving import bento_store, build_bundle
from e2i_assets.settings import Settings, shipped
from e2i_assets.warehouse.postgres import url_for
from e2i_assets_tests.conftest import installation, postgres_home

PARTITION = "remibrutinib_csu"


def plain(here: Settings, warehouse: Any, folder: Path) -> float:
    """The same library calls, one after the other; returns the test AUC."""
    partition = CohortConfig.from_yaml(here.config_dir / "cohorts" / f"{PARTITION}.yaml")
    scope = read_scope(here.config_dir / "scopes" / "conversion.yaml")
    raw = {name: warehouse.extract(name, partition.brand, partition.indication) for name in TABLES}
    raw["patient_journeys"] = attributes.expand(raw["patient_journeys"], partition.attributes)
    for name, frame in raw.items():
        frame.write_parquet(folder / f"{name}.parquet")
    quality = QualityConfig.from_yaml(here.config_dir / "quality.yaml")
    report = build_qc_report(raw, attributes=partition.attributes, raw_versions={}, config=quality)
    (folder / "report").mkdir()
    report.save(folder / "report")
    dimension_chart(report)
    history = [{"run_at": datetime.now(UTC), "overall_score": report.score, "overall_status": report.status}]
    history_chart([history[0] | {f"{n}_score": v for n, v in report.dimensions.items()}], 0.8)
    members, attrition = CohortConstructor(partition).construct_cohort(
        raw["patient_journeys"], raw["treatment_events"]
    )
    flow_picture(attrition)
    members.write_parquet(folder / "members.parquet")
    windows = partition.temporal_requirements
    made = build_features(
        members, raw["treatment_events"], raw["hcp_profiles"], index_date_field=windows.index_date_field,
        lookback_days=windows.lookback_days, attributes=partition.attributes,
    )  # fmt: skip
    made.frame.to_parquet(folder / "features.parquet")
    frames = dict(
        divide(
            made.frame.merge(made.outcomes, on="patient_journey_id"),
            pd.DataFrame(columns=["patient_id", "split"]), targets=[scope.target],
            order=scope.split_order, time_column="index_date", seed=42,
        ).frames
    )  # fmt: skip
    grade_splits(frames, raw, quality, attributes=partition.attributes)
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet")
    names = [feature.name for feature in made.features]
    wanted = ["patient_id", "index_date", *names, scope.target]
    audit = audit_leakage(
        frames["train"][wanted], scope.target, id_column="patient_id", event_times="index_date",
        contract={feature.name: feature for feature in made.features},
        other_splits={n: frames[n][wanted] for n in ("validation", "test", "holdout")},
    )  # fmt: skip
    train, validation, test = (
        LabelledSplit(n, frames[n][names], frames[n][scope.target].astype(int), scope.problem)
        for n in ("train", "validation", "test")
    )
    candidate = select_candidate(scope, train, features=made.features, seed=42)
    preprocessor = fit_preprocessor(train.X, made.features)
    refit_check(preprocessor, train.X, lambda frame: fit_preprocessor(frame, made.features))
    joblib.dump(preprocessor, folder / "preprocessor.joblib")
    config = OptunaConfig.from_yaml(here.config_dir / "optuna_config.yaml")
    tuned = tune(candidate, preprocessor, train, validation, config, study_name="plain")
    model = train_model(candidate, tuned.chosen_params, preprocessor, train, validation, seed=42)
    result = evaluate(model, test, validation, train)
    meets(scope.success_criteria, result)
    shift = largest_shift(frames["train"], frames["test"], names)
    leakage_sheet(Evidence({}, audit, len(test.X), names, names, shift, 0.0))
    plots = {"importance.png": importance_plot(model), **scope.problem.plots(result)}
    track(here, model, result, plots, folder)
    bundle(here, made, frames["train"], model, result)
    return result.primary("test")


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
        mlflow.log_artifact(str(folder / "preprocessor.joblib"))
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
            model.pipeline, made.features, name="plain", version=f"v{time.time_ns()}",
            answer=problem_of(result.problem_type).answer([0, 1], "y", result.threshold), metadata={}, levels=levels, usual={},
        )  # fmt: skip


def platform(here: Settings) -> None:
    """The platform's own run, as `e2i materialize` makes it."""
    with dagster_instance() as instance:
        (run,) = run_partitions(build_defs(here), instance, here, [PARTITION], show=False)
    assert run.success, run
    assert not run.reused, run


def script(here: Settings) -> None:
    """The plain script on the same warehouse."""
    with tempfile.TemporaryDirectory() as folder:
        plain(here, build_resources(here)["warehouse"], Path(folder))


def fill(here: Settings, scale: Scale) -> None:
    """Load the data, and let Dagster and MLflow make their schemas."""
    shutil.copyfile(shipped("deploy") / "dagster.yaml", here.dagster_home / "dagster.yaml")
    known = {(p.brand, p.indication) for p in cohort_configs(here.config_dir).values()}
    tables = generate(GeneratorSpec(scale=scale)).tables
    build_resources(here)["warehouse"].load(Load(tables, "benchmark"), known)
    script(here)
    with dagster_instance():
        pass


def seconds(side: Callable[[Settings], None], server: str, template: Settings) -> tuple[float, float]:
    """Wall and CPU time of one side in a fresh copy of the template; the server's CPU is not in the second."""
    with (
        tempfile.TemporaryDirectory() as folder,
        installation(server, Path(folder), template=template) as here,
    ):
        assert build_resources(here)["warehouse"].engine is not None
        # Neither side pays for the collection of what the other, or the making of the data, left behind.
        gc.collect()
        gc.freeze()
        started, cpu = time.perf_counter(), time.process_time()
        side(here)
        return time.perf_counter() - started, time.process_time() - cpu


def main() -> None:
    """Measure, and print the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="2,500 patients instead of 25,000")
    parser.add_argument("--rounds", type=int, default=4)
    chosen = parser.parse_args()
    quiet()
    ours: list[tuple[float, float]] = []
    base: list[tuple[float, float]] = []
    with postgres_home() as home:
        server = url_for(Settings(home=home), "public", "")
        with installation(server, home) as template:
            fill(template, "small" if chosen.small else "full")
            for i in range(chosen.rounds + 1):
                order = (platform, script) if i % 2 else (script, platform)
                took = {side: seconds(side, server, template) for side in order}
                note = "" if i else " (warm-up)"
                said = (
                    f"{s.__name__} {took[s][0]:.1f} s (CPU {took[s][1]:.2f} s)" for s in (platform, script)
                )
                print(f"round {i}{note}: {', '.join(said)}")
                ours += [took[platform]] if i else []
                base += [took[script]] if i else []
    bar = 1.25 if chosen.small else 1.15
    for what, a, b in zip(("wall", "CPU"), medians(ours), medians(base), strict=True):
        print(
            f"one partition, platform / plain script, {what} (bar {bar}): {a:.2f} s / {b:.2f} s = {a / b:.2f}"
        )


def medians(took: list[tuple[float, float]]) -> list[float]:
    """Of wall and of CPU times."""
    return [statistics.median(times) for times in zip(*took, strict=True)]


if __name__ == "__main__":
    main()
