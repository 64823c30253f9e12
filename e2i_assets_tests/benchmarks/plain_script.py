"""One partition, raw to bundle, as somebody without the platform would script it: the same library calls.

What it leaves out is the platform's own: Dagster, verdicts, the artifact store with its hashes and seals, the
records of runs, gates, studies and stages, the journal of a study, and earlier studies and evaluations to learn from,
of which a new installation has none.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from e2i_assets.assets.bento_bundle import answers, packed_pipeline, probe_rows, usual_values
from e2i_assets.assets.scoped import labelled
from e2i_assets.cohorts import CohortConfig, CohortConstructor, CohortResult
from e2i_assets.cohorts.flow import flow_picture
from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.contracts.variables import Feature
from e2i_assets.features import build_features
from e2i_assets.ingest import attributes
from e2i_assets.json_files import to_json, write_json
from e2i_assets.leakage import LeakageReport, audit_leakage
from e2i_assets.leakage.info_sheet import Evidence, largest_shift, leakage_sheet
from e2i_assets.leakage.view import Plausible
from e2i_assets.modeling.artifacts import Evaluated, Splits
from e2i_assets.modeling.card.page import model_card
from e2i_assets.modeling.card.records import CardRecords
from e2i_assets.modeling.card.tripod import checklist
from e2i_assets.modeling.card.tripod_answers import answers as tripod_answers
from e2i_assets.modeling.card.uplift import UpliftRecords, uplift_card
from e2i_assets.modeling.evaluation.evaluate import evaluate, lift, meets, plausibility
from e2i_assets.modeling.evaluation.plots import evaluation_plots, importance_plot
from e2i_assets.modeling.evaluation.subgroups import groups_of
from e2i_assets.modeling.explanation.example_row import example_frame
from e2i_assets.modeling.explanation.explain import explain_model
from e2i_assets.modeling.explanation.plots import explanation_plots
from e2i_assets.modeling.preprocessing.feature_selection import choose_features
from e2i_assets.modeling.preprocessing.preprocessor import MISSING, fit_preprocessor, preprocessor_summary
from e2i_assets.modeling.preprocessing.refit import refit_check
from e2i_assets.modeling.problems.base import Answer
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.scopes.answerable import assess
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.modeling.scopes.scope import PredictiveScope, Scope
from e2i_assets.modeling.selection.candidate import select_candidate
from e2i_assets.modeling.selection.measuring import measure
from e2i_assets.modeling.splits.alike import row_keys
from e2i_assets.modeling.splits.assignment import divide
from e2i_assets.modeling.training.model import TrainedModel, train_model
from e2i_assets.modeling.tuning.plots import study_plots
from e2i_assets.modeling.tuning.study import OptunaConfig, tune
from e2i_assets.modeling.uplift.evaluation import evaluate_uplift
from e2i_assets.modeling.uplift.model import UpliftModel, train_uplift
from e2i_assets.modeling.uplift.plots import estimate_plots
from e2i_assets.modeling.uplift.plots import evaluation_plots as uplift_plots
from e2i_assets.modeling.uplift.rows import causal_rows
from e2i_assets.quality import QCReport, QualityConfig, build_qc_report
from e2i_assets.quality.plausibility import LifeDates
from e2i_assets.quality.plots import dimension_chart, history_chart
from e2i_assets.quality.splits import grade_splits
from e2i_assets.serving import bento_store, build_bundle
from e2i_assets.settings import Settings

SEED = 42


@dataclass(frozen=True)
class Prepared:
    """What every scope's models are made of."""

    here: Settings
    folder: Path
    partition: CohortConfig
    cells: int
    features: tuple[Feature, ...]
    frames: Mapping[str, pd.DataFrame]
    audits: Mapping[str, LeakageReport]
    quality: QCReport
    attrition: CohortResult


def plain(here: Settings, warehouse: Any, folder: Path, key: str) -> None:
    """The library calls of every stage, one after the other."""
    partition = CohortConfig.from_yaml(here.config_dir / "cohorts" / f"{key}.yaml")
    scopes = load_scopes(here.config_dir / "scopes")
    prepared = prepare(here, warehouse, folder, partition, [scopes[name] for name in partition.scopes])
    for name in partition.scopes:
        (folder / name).mkdir()
        match scopes[name]:
            case CausalScope() as scope:
                effect_of(prepared, scope, folder / name)
            case PredictiveScope() as scope:
                model_of(prepared, scope, folder / name)


def prepare(
    here: Settings, warehouse: Any, folder: Path, partition: CohortConfig, scopes: list[Scope]
) -> Prepared:
    """Raw tables, quality report, cohort, features and audited splits."""
    raw = {name: warehouse.extract(name, partition.brand, partition.indication) for name in RAW_TABLES}
    raw["patient_journeys"] = attributes.expand(raw["patient_journeys"], partition.attributes)
    for name, frame in raw.items():
        frame.write_parquet(folder / f"{name}.parquet")
    quality = QualityConfig.from_yaml(here.config_dir / "quality.yaml")
    report = build_qc_report(
        raw, attributes=partition.attributes, raw_versions={}, config=quality,
        required=partition.required_tables, dates=LifeDates.of(partition),
    )  # fmt: skip
    (folder / "report").mkdir()
    report.save(folder / "report")
    dimension_chart(report)
    history = [{"run_at": datetime.now(UTC), "overall_score": report.score, "overall_status": report.status}]
    history_chart([history[0] | {f"{n}_score": v for n, v in report.dimensions.items()}], 0.8)
    members, attrition = CohortConstructor(partition).construct_cohort(
        raw["patient_journeys"], raw["treatment_events"]
    )
    cells = quality.minimum_cell_count
    flow_picture(attrition, Cells(cells))
    members.write_parquet(folder / "members.parquet")
    windows = partition.temporal_requirements
    made = build_features(
        members, raw["treatment_events"], raw["hcp_profiles"], index_date_field=windows.index_date_field,
        lookback_days=windows.lookback_days, attributes=partition.attributes,
        include=partition.features.include, exclude=partition.features.exclude,
        event_subtypes=partition.features.event_subtypes, event_windows=partition.features.event_windows,
        minimum_cell_count=cells,
    )  # fmt: skip
    made.frame.to_parquet(folder / "features.parquet")
    rows, names = made.frame.merge(made.outcomes, on="patient_journey_id"), [f.name for f in made.features]
    temporal = any(scope.split_order == "temporal" for scope in scopes)
    frames = dict(
        divide(
            rows, pd.DataFrame(columns=["patient_id", "split"]),
            targets=list(dict.fromkeys(scope.target for scope in scopes if scope.problem.stratified)),
            order="temporal" if temporal else "random", time_column="index_date", seed=SEED,
            equal_rows=partition.equal_rows,
            keys=[row_keys(rows, [*names, target]) for target in dict.fromkeys(s.target for s in scopes)],
        ).frames
    )  # fmt: skip
    grade_splits(frames, raw, quality, attributes=partition.attributes)
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet")
    asked = {scope.target: scope for scope in scopes}.values()
    audits = {scope.target: audited(scope, frames, made.features, partition) for scope in asked}
    return Prepared(here, folder, partition, cells, tuple(made.features), frames, audits, report, attrition)


def audited(scope: Scope, frames: Mapping[str, pd.DataFrame], features: Any, partition: Any) -> LeakageReport:
    """The audit of the splits for one outcome."""
    columns = ["patient_id", "index_date", *[feature.name for feature in features], scope.target]
    known = {name: frame.loc[frame[scope.target].notna(), columns] for name, frame in frames.items()}
    return audit_leakage(
        known.pop("train"), scope.target, id_column="patient_id", event_times="index_date",
        contract={feature.name: feature for feature in features}, other_splits=known,
        plausible=Plausible(**{scope.plausible.name: scope.plausible.limit}),
        equal_rows=partition.equal_rows == "allow", regression=not scope.problem.of_classes,
    )  # fmt: skip


def model_of(prepared: Prepared, scope: PredictiveScope, folder: Path) -> None:
    """From the candidate to the bundle and the card."""
    frames, cells = prepared.frames, prepared.cells
    features = [f for f in prepared.features if f.name not in scope.features.exclude]
    split = {n: labelled(n, frames[n], [f.name for f in features], scope) for n in ("train", "validation")}
    train = split["train"]
    windows = prepared.partition.temporal_requirements
    assess(
        scope, frames["train"], frames["validation"], prepared.features,
        followup_days=windows.followup_days, outcomes={scope.target: scope.name}, audited=list(prepared.audits),
    )  # fmt: skip
    candidate = select_candidate(scope, train, features=features, seed=SEED)
    choose = partial(
        choose_features, y=train.y, features=features, selection=scope.features.selection,
        problem=scope.problem, seed=SEED, patients=train.patients, minimum_cell_count=cells,
        required=scope.features.required,
    )  # fmt: skip
    counted: dict[str, Any] = {"y": train.y, "classes": scope.problem.stratified, "patients": train.patients}
    chosen = choose(train.X)
    preprocessor = fit_preprocessor(train.X, chosen.kept, minimum_cell_count=cells, **counted)
    refit_check(
        preprocessor, train.X,
        lambda frame: fit_preprocessor(frame, choose(frame).kept, minimum_cell_count=cells, **counted),
    )  # fmt: skip
    joblib.dump(preprocessor, folder / "preprocessor.joblib")
    names = list(chosen.names)
    train, validation, test = (labelled(n, frames[n], names, scope) for n in ("train", "validation", "test"))
    config = OptunaConfig.from_yaml(prepared.here.config_dir / "optuna_config.yaml")
    tuned = tune(candidate, preprocessor, train, validation, config, study_name="plain")
    model = train_model(candidate, tuned.chosen_params, preprocessor, train, validation, seed=SEED)
    explanation = explain_model(model, train, validation, seed=SEED, minimum_cell_count=cells)
    pictures = {"importance.png": importance_plot(model), **study_plots(tuned)}
    groups, _ = groups_of(frames["test"][frames["test"][scope.target].notna()])
    result = evaluate(model, test, validation, train, groups=groups, minimum=cells)
    meets(scope.success_criteria, result)
    lift(scope, result)
    plausibility(scope, result, [])
    shift = largest_shift(frames["train"], frames["test"], names)
    sheet = leakage_sheet(Evidence({}, prepared.audits[scope.target], len(test.X), names, names, shift, 0.0))
    evaluated = Evaluated(result, model.fingerprint, tuple(sheet))
    records = CardRecords(
        scope=scope, cohort=prepared.partition, attrition=prepared.attrition, quality=prepared.quality,
        splits=splits_of(prepared, scope), candidate=candidate, tuned=tuned, model=model, evaluated=evaluated,
        explanation=explanation, versions={}, gates={}, cells=Cells(cells),
    )  # fmt: skip
    (folder / "card.html").write_text(model_card(records).page)
    checklist(tripod_answers(records))
    example = example_frame(model.pipeline[0], frames["train"], features_of(prepared, model), cells)
    track(prepared.here, model, result, pictures | evaluation_plots(result), explanation, example, folder)
    classes = getattr(model.pipeline, "classes_", ())
    bundle(prepared, model, model.problem.answer(classes, scope.target, result.threshold))


def effect_of(prepared: Prepared, scope: CausalScope, folder: Path) -> None:
    """From the average effect to the bundle and the card."""
    frames, cells = prepared.frames, prepared.cells
    rows = causal_rows([frames["train"], frames["validation"]], prepared.features, scope)
    report = rows.effect(seed=SEED)
    refutation, plots = rows.refuted(report), estimate_plots(report, Cells(cells))
    validation = rows.cross_validated(seed=SEED)
    model = train_uplift(
        rows, report, n_train=len(frames["train"]), seed=SEED, minimum_cell_count=cells,
        accept=lambda choice: choice.beats_constant,
    )  # fmt: skip
    test = causal_rows([frames["test"]], prepared.features, scope)
    result = evaluate_uplift(model, test, rows, seed=SEED, minimum=cells)
    records = UpliftRecords(
        scope=scope, cohort=prepared.partition, attrition=prepared.attrition,
        splits=splits_of(prepared, scope), report=report, refutation=refutation,
        validation=validation, model=model, evaluation=result, versions={}, gates={}, cells=Cells(cells),
    )  # fmt: skip
    (folder / "card.html").write_text(uplift_card(records).page)
    for name, png in (plots | uplift_plots(result, Cells(cells))).items():
        (folder / name).write_bytes(png)
    model.save(folder / "model")
    bundle(prepared, model, model.answer())


def splits_of(prepared: Prepared, scope: Scope) -> Splits:
    """The splits as the card names them."""
    frames = prepared.frames
    assigned = pd.concat([frame[["patient_id"]].assign(split=name) for name, frame in frames.items()])
    counts = {name: len(frame) for name, frame in frames.items()}
    return Splits(
        frames["train"], frames["validation"], assigned, prepared.features, (scope.target,), {}, counts
    )


def features_of(prepared: Prepared, model: TrainedModel) -> list[Feature]:
    """The features that a model asks for."""
    return [feature for feature in prepared.features if feature.name in model.features]


def track(
    here: Settings, model: TrainedModel, result: Any, plots: dict[str, bytes], explanation: Any,
    example: pd.DataFrame, folder: Path,
) -> None:  # fmt: skip
    """What the platform logs to MLflow, in one run, and registers there."""
    from importlib.metadata import version

    import dagster_mlflow  # noqa: F401 -- the platform logs through it, so its import counts on both sides
    import mlflow
    from mlflow.models import infer_signature

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
        (pictures := folder / "plots").mkdir()
        for name, png in (plots | explanation_plots(explanation)).items():
            (pictures / name).write_bytes(png)
        write_json(pictures, "explanation.json", to_json(explanation))
        mlflow.log_artifacts(str(pictures), "plots")
        mlflow.log_artifact(str(folder / "card.html"), "model_card")
        model.save(folder / "model")
        mlflow.log_artifact(str(folder / "preprocessor.joblib"))
        needed = [f"{package}=={version(package)}" for package in ("scikit-learn", "pandas", "numpy")]
        method = "predict_proba" if model.problem.of_classes else "predict"
        mlflow.sklearn.log_model(
            model.pipeline, name="model", pip_requirements=needed, serialization_format="cloudpickle",
            signature=infer_signature(example, getattr(model.pipeline, method)(example)),
            input_example=example, pyfunc_predict_fn=method, registered_model_name=f"plain-{folder.name}",
        )  # fmt: skip


def bundle(prepared: Prepared, model: TrainedModel | UpliftModel, answer: Answer) -> None:
    """The same Bento, asked the same rows."""
    features = features_of(prepared, model)
    seen = preprocessor_summary(model.pipeline[0]).get("categorical", {})
    levels = {name: [level for level in seen[name]["levels"] if level != MISSING] for name in seen}
    numeric = [f.name for f in features if f.kind == "numeric"]
    with bento_store(prepared.here.bento_home):
        made = build_bundle(
            model.pipeline, features, name="plain", version=f"v{time.time_ns()}",
            answer=answer,
            metadata={}, levels=levels,
            usual=usual_values(prepared.frames["train"], numeric, prepared.cells),
        )  # fmt: skip
    probes = probe_rows(prepared.frames["validation"], features)
    measure(packed_pipeline(made), answer.method, probes)
    answers(model.pipeline, made, answer.method, probes)
