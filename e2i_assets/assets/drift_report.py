"""Drift report: the version that answers, against what came since it was trained. It blocks nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import dagster as dg
import numpy as np
import pandas as pd

from e2i_assets.assets import shown
from e2i_assets.assets.reference_profile import with_clusters
from e2i_assets.assets.scoped import labelled, stage_key
from e2i_assets.assets.version_model import model_of_version
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.features import FeatureSet
from e2i_assets.gates.drift_report import LOOK, LOOK_AT_PERFORMANCE, NO_DRIFT
from e2i_assets.html_pages import template_hash
from e2i_assets.json_files import read_json, write_json
from e2i_assets.modeling.scopes.scope import PredictiveScope, Scope
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.monitoring.alerts.alert import Alert
from e2i_assets.monitoring.clusters import one_of_each
from e2i_assets.monitoring.drift import MINIMUM_ROWS
from e2i_assets.monitoring.model_profile import ModelProfile
from e2i_assets.monitoring.page import TEMPLATE, drift_page
from e2i_assets.monitoring.rows import drift_rows, performance_rows
from e2i_assets.monitoring.severity import WEIGHTS
from e2i_assets.monitoring.watching import CLUSTER, Seen, Watched, watch
from e2i_assets.registry.errors import RegistryError
from e2i_assets.registry.ledger import Version
from e2i_assets.resources.artifacts import A
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage
from e2i_assets.warehouse.queries.alerts import raise_alert
from e2i_assets.warehouse.queries.monitoring import (
    answers_counted,
    answers_of,
    monitoring_history,
    patients_seen,
    profile_of,
    record_monitoring,
)
from e2i_assets.warehouse.queries.registry import model_of

PAGE = "drift_report.html"
ALERTED = ("medium", "high", "critical")


@dataclass(frozen=True)
class DriftPage:
    """The report as it is kept.

    Attributes:
        page: HTML.
        record: what was found, as plain JSON types; aggregates only.
    """

    page: str
    record: Mapping[str, Any]

    def save(self, folder: Path) -> None:
        """drift_report.html and record.json"""
        (folder / PAGE).write_text(self.page)
        write_json(folder, "record.json", dict(self.record))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read both."""
        return cls((folder / PAGE).read_text(), read_json(folder, "record.json"))


@dataclass(frozen=True)
class Since:
    """What there is of a version since it was made.

    Attributes:
        new: features of patients who had no split then, of one journey of each, with their `CLUSTER`.
        answers: what it answered, the newest last; the same.
    """

    version: Version
    profile: ModelProfile
    new: pd.DataFrame
    answers: pd.DataFrame


def build_drift_report(scope: PredictiveScope) -> dg.AssetsDefinition:
    """The asset `<scope>/drift_report` of a prediction."""

    def drift_report(
        context: StageContext, features: FeatureSet, newest: ModelProfile, cohort: Cohort
    ) -> StageResult:
        since = what_came(context, features, newest, cohort)
        model = model_in_use(context, since, TrainedModel)
        looked_at = seen(scope, since.profile, features, since.new, since.answers, model)
        return reported(context, scope, since, watch(since.profile, looked_at, scope.problem))

    return watching_stage(scope)(drift_report)


def watching_stage(scope: Scope) -> Callable[[Callable[..., StageResult]], dg.AssetsDefinition]:
    """What makes the asset `<scope>/drift_report` of a function of features, newest profile and cohort."""
    return stage(
        key=stage_key(scope, "drift_report"),
        group=scope.name,
        scope=scope.name,
        description="What came since the answering version was trained, against what it was trained on: its "
        "data, its predictions, and how they come true. Warns, and blocks nothing.",
        kinds={"html", "postgres"},
        warnings=(NO_DRIFT,),
        inputs={
            "features": "features",
            "newest": stage_key(scope, "reference_profile"),
            "cohort": "cohort",
        },
        config=lambda context: _watched_now(context, scope),
    )


def what_came(context: StageContext, features: FeatureSet, newest: ModelProfile, cohort: Cohort) -> Since:
    """What there is since the answering version was made.

    Raises:
        RegistryError: none answers, or it was registered before there were profiles.
    """
    version, profile = answering(context, newest.model_name)
    seen_before = patients_seen(context.warehouse, context.partition, version.created_at)
    answers = answers_of(context.warehouse, version.model_name, version.version)
    new = new_patients(features, seen_before)
    return Since(version, profile, with_clusters(new, cohort), with_clusters(answers, cohort))


def reported(context: StageContext, scope: Scope, since: Since, watched: Watched) -> StageResult:
    """The report of what was found, with its page, its rows and its alerts."""
    run = run_record(context, scope, watched, since)
    past = monitoring_history(context.warehouse, partition=context.partition, scope=scope.name)[::-1]
    page = drift_page(
        watched,
        [*past, run],
        patients=context.cells.text(len(since.new)),
        predictions=context.cells.text(len(since.answers)),
    )
    return StageResult(
        DriftPage(page, {name: run[name] for name in ("severity", "drift_score", "judged", "summary")}),
        metadata={
            "model_name": since.version.model_name,
            "model_version": since.version.version,
            "severity": watched.severity,
            "drift_score": watched.score,
            **{f"{kind}_drift": WEIGHTS[severity] for kind, severity in watched.severities.items()},
            **{f"{one.source}_{one.metric}": one.value for one in watched.figures},
            "new_patients": context.cells.figure(len(since.new)),
            "predictions": context.cells.figure(len(since.answers)),
            "columns": shown.table(_told(watched)),
            "not_to_be_said": shown.table({"what": k, "why": v} for k, v in watched.unavailable.items()),
        },
        warning_input=watched,
        pages={"drift_report": PAGE},
        on_publish=lambda: _publish(context, scope, watched, run),
    )


def active(context: StageContext, model_name: str) -> Version | None:
    """The version that answers, or would; None where there is none."""
    served = model_of(context.warehouse, model_name).served()
    return next((version for version, role in served if role == "active"), None)


def answering(context: StageContext, model_name: str) -> tuple[Version, ModelProfile]:
    """The version that answers, or would, and its profile.

    Raises:
        RegistryError: there is none, or it was registered before there were profiles.
    """
    served = active(context, model_name)
    if served is None:
        raise RegistryError(
            f"no version of {model_name} answers",
            f"`e2i models list` shows the stages of {model_name}.",
            code="nothing_served",
        )
    document = profile_of(context.warehouse, model_name, served.version)
    if document is None:
        raise RegistryError(
            f"{served.title} was registered without a profile of what it was trained on",
            "Promote a version that has one: each that is registered from now on has.",
            code="no_profile",
        )
    return served, ModelProfile.from_document(document)


def _watched_now(context: StageContext, scope: Scope) -> dict[str, Any]:
    """What the report depends on beside its inputs: the version that answers, and what it has answered."""
    newest = context.open(context.inputs["newest"], ModelProfile)
    served = active(context, newest.model_name)
    return {
        "scope": scope.model_dump(mode="json"),
        "version": served.version if served else None,
        "answers": answers_counted(context.warehouse, served.model_name, served.version) if served else 0,
        "template": template_hash(TEMPLATE),
    }


def new_patients(features: FeatureSet, known: set[str]) -> pd.DataFrame:
    """A row of each patient who had no split when the version was made."""
    return one_of_each(features.frame[~features.frame["patient_id"].astype(str).isin(known)], "patient_id")


def model_in_use(context: StageContext, since: Since, kind: type[A]) -> A | None:
    """The version's model; None where how it was made is not on record."""
    return model_of_version(context.warehouse, context.store, since.version, kind)


def seen(
    scope: PredictiveScope,
    profile: ModelProfile,
    features: FeatureSet,
    new: pd.DataFrame,
    answers: pd.DataFrame,
    model: TrainedModel | None,
) -> Seen:
    """What came since, with predictions: those that were answered; where there are few, the model's."""
    names = list(profile.features.columns)
    of_requests = logged(profile, answers)
    rows = new.merge(features.outcomes, on="patient_journey_id", how="left", validate="1:1")
    predicted = of_requests if of_requests is not None and len(of_requests) >= MINIMUM_ROWS else None
    scored = model.predict(new[names]) if model is not None and len(new) else None
    if predicted is None:
        predicted = scored
    if scored is not None:
        to_judge, of_them = rows, scored
    else:
        last = answers[answers["patient_journey_id"].isin(rows["patient_journey_id"])]
        last = last.drop_duplicates("patient_journey_id", keep="last")
        answered = logged(profile, last)
        to_judge = rows.set_index("patient_journey_id").loc[last["patient_journey_id"]].reset_index()
        of_them = answered if answered is not None else np.empty(0)
    known = to_judge[scope.target].notna().to_numpy() if len(of_them) else np.zeros(0, dtype=bool)
    outcomes = predicted_of_known = None
    if known.sum():
        outcomes = labelled("new patients", to_judge[known], names, scope).y
        predicted_of_known = of_them[known]
    clusters = clusters_predicted(predicted, of_requests, answers, new)
    return Seen(new[[*names, CLUSTER]], asked_of(answers), predicted, clusters, outcomes, predicted_of_known)


def asked_of(answers: pd.DataFrame) -> pd.DataFrame | None:
    """Features that requests came with, those that are kept; None where none are."""
    asked = answers[answers["features"].notna()]
    if asked.empty:
        return None
    return pd.DataFrame(asked["features"].tolist()).assign(**{CLUSTER: asked[CLUSTER].to_numpy()})


def clusters_predicted(
    predicted: np.ndarray | None, of_requests: np.ndarray | None, answers: pd.DataFrame, new: pd.DataFrame
) -> np.ndarray | None:
    """`CLUSTER` of each prediction: those of requests, or of new patients."""
    if predicted is None:
        return None
    return (answers if predicted is of_requests else new)[CLUSTER].to_numpy()


def logged(profile: ModelProfile, answers: pd.DataFrame) -> np.ndarray | None:
    """What was answered, in the shape of a prediction; None where nothing was."""
    if answers.empty:
        return None
    if not profile.labels:
        values = answers["prediction"].to_numpy(dtype=float)
        return None if np.isnan(values).all() else values
    rows = [
        [row[label] for label in profile.labels] if isinstance(row, Mapping) else row
        for row in answers["probabilities"]
    ]
    return np.array(rows, dtype=float)


def run_record(context: StageContext, scope: Scope, watched: Watched, since: Since) -> dict[str, Any]:
    """The row of this comparison."""
    version = since.version
    return {
        "partition": context.partition, "scope": scope.name, "model_name": version.model_name,
        "model_version": version.version, "run_id": context.run_id,
        "data_version": context.inputs["features"].version, "new_patients": len(since.new),
        "predictions": len(since.answers),
        "judged": watched.judged, "total_checks": watched.checks,
        "drift_detected_count": len(watched.drifted), "severity": watched.severity,
        "drift_score": watched.score,
        "summary": {"verdict": watched.summary, **watched.severities,
                    "unavailable": dict(watched.unavailable), "assumption": watched.assumption},
    }  # fmt: skip


def _publish(context: StageContext, scope: Scope, watched: Watched, run: Mapping[str, Any]) -> None:
    record_monitoring(context.warehouse, run, list(drift_rows(watched)), list(performance_rows(watched)))
    for kind, severities in (("drift", ("data", "prediction")), ("performance", ("concept",))):
        drifted = {
            name: watched.severities[name] for name in severities if watched.severities[name] in ALERTED
        }
        if not drifted:
            continue
        severity = max(drifted.values(), key=ALERTED.index)
        profile = watched.profile
        raise_alert(
            context.warehouse,
            Alert(
                kind=kind,  # type: ignore[arg-type]
                severity=severity,  # type: ignore[arg-type]
                subject=f"{profile.model_name} version {profile.version}",
                message=watched.summary,
                next_step=LOOK if kind == "drift" else LOOK_AT_PERFORMANCE,
                partition=context.partition,
                scope=scope.name,
                model_name=profile.model_name,
                model_version=profile.version,
                details={**watched.severities, "drift_score": watched.score},
            ),
        )


def _told(watched: Watched) -> Iterator[dict[str, Any]]:
    order = list(WEIGHTS)
    for kind, column in sorted(watched.drifts(), key=lambda one: -order.index(one[1].severity)):
        stability = column.finding("psi")
        yield {
            "column": column.name,
            "of": kind,
            "severity": column.severity,
            "why": column.why,
            "psi": stability.effect.size if stability else None,
        }
