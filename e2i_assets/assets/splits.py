"""Splits: 60/20/15/5 by patient. Train and validation are published, test and holdout go to the vault."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import pandas as pd

from e2i_assets.assets import shown
from e2i_assets.assets.attribute_names import LEAKAGE, MADE_OF, SEALS, UNAUDITED
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.features import FeatureSet
from e2i_assets.gates import splits as rules
from e2i_assets.ingest.raw_table import RawTable
from e2i_assets.json_files import to_json
from e2i_assets.leakage import LeakageReport, Plausible, audit_leakage
from e2i_assets.leakage.univariate import TargetError
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.errors import SplitError
from e2i_assets.modeling.scopes.answerable import target_obstacle
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.modeling.splits.alike import row_keys, tellable
from e2i_assets.modeling.splits.assignment import Divided, compare_assignments, divide
from e2i_assets.modeling.splits.policy import SplitOrder
from e2i_assets.quality.splits import SplitQuality, grade_splits, split_tables
from e2i_assets.resources.store import ArtifactRefused, Published
from e2i_assets.resources.vault import seals_of
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage
from e2i_assets.warehouse.queries.quality import record_split_quality
from e2i_assets.warehouse.queries.splits import assignments, record_assignments

SEED = 42


def _lost(context: StageContext, current: Published) -> str | None:
    missing = context.vault.missing(context.partition, current.attributes.get(SEALS, {}))
    return f"{', '.join(missing)} is gone from the vault" if missing else None


def _config(context: StageContext) -> dict[str, Any]:
    scopes = _scopes(context)
    return {
        "targets": [scope.target for scope in scopes],
        "plausible": [scope.plausible for scope in scopes],
        "stratified_by": _stratified_by(scopes),
        "order": _order(scopes),
        "equal_rows": context.cohort_config.equal_rows,
        "attributes": context.cohort_config.model_dump(mode="json")["attributes"],
        "not_collected": context.not_collected,
        "quality": context.quality.model_dump(mode="json"),
        "small_cells": asdict(context.cells),
    }


def _scopes(context: StageContext) -> list[Scope]:
    """The scopes that serve the partition, in the order of its cohort file."""
    scopes = load_scopes(context.settings.config_dir / "scopes")
    return [scopes[name] for name in context.cohort_config.scopes]


@stage(
    key="splits",
    group="splits",
    description="60/20/15/5 by patient, stratified, in temporal order where a scope asks for it, stable "
    "across refreshes. Test and holdout are sealed.",
    kinds={"python", "parquet"},
    gates=(rules.SPLIT_RATIOS, rules.STABLE_SPLITS, rules.NO_LEAKAGE, rules.SPLIT_QUALITY),
    inputs={"features": "features", "cohort": "cohort"},
    config=_config,
    lost=_lost,
)
def splits(context: StageContext, features: FeatureSet, cohort: Cohort) -> StageResult:
    """Divide the patients, audit for leakage, grade; what passes is assigned for good, and sealed."""
    scopes, cells = _with_outcome(_scopes(context), features.outcomes), context.cells
    _require_scopes(context, scopes)
    faults = _faults(scopes, features.outcomes)
    sound = [scope for scope in scopes if scope.name not in faults]
    varied = [scope for scope in scopes if features.outcomes[scope.target].nunique(dropna=False) > 1]
    targets, order = list(dict.fromkeys(scope.target for scope in scopes)), _order(scopes)
    rows = features.frame.merge(features.outcomes, on="patient_journey_id", validate="one_to_one")
    names = [feature.name for feature in features.features]
    existing = assignments(context.warehouse, context.partition)
    divided = divide(
        rows,
        existing,
        targets=_stratified_by(varied),
        order=order,
        time_column="index_date",
        seed=SEED,
        equal_rows=context.cohort_config.equal_rows,
        keys=[row_keys(rows, [*names, target]) for target in targets],
    )
    frames, valid = dict(divided.frames), divided.validation.is_valid
    # Splits that are refused anyway may be too small to be audited or graded; those gates then judge nothing.
    leakage, unsaid = _audits(context, frames, features, sound) if valid else ({}, {})
    quality = _quality(context, cohort, frames) if valid else ()
    stability = compare_assignments(_published(context, existing), divided.assigned)
    sealed = {name: frames[name] for name in ("test", "holdout")}
    seals = seals_of(sealed)

    def assign_and_seal() -> None:
        _remember(context, existing, divided.assigned)
        context.vault.seal(context.partition, sealed)

    return StageResult(
        Splits(
            train=frames["train"],
            validation=frames["validation"],
            assigned=divided.assigned.assign(alike=tellable(divided.assigned)),
            features=features.features,
            outcomes=tuple(str(column) for column in features.outcomes if column != "patient_journey_id"),
            seals=seals,
            counts={name: len(frame) for name, frame in frames.items()},
        ),
        gate_input=rules.SplitResult(divided.validation, leakage, stability, quality, divided.alike),
        on_publish=assign_and_seal,
        metadata={
            "splits": shown.table(_shares(divided, sound, cells)),
            "patients": cells.figure(len(divided.assigned)),
            "new_patients": cells.figure(stability.new),
            "order": order,
            "equal_rows": divided.alike.text(cells.text),
            "equal_rows_compared": ", ".join([*names, *targets]),
            "quality": shown.table(
                {"split": q.split, "status": q.status, "score": q.score, **q.dimensions} for q in quality
            ),
        },
        attributes={
            LEAKAGE: {target: to_json(report) for target, report in leakage.items()},
            UNAUDITED: {s.target: faults[s.name] for s in scopes if s.name in faults} | unsaid,
            SEALS: seals,
            MADE_OF: {name: published.version for name, published in context.inputs.items()}
            | {f"raw/{table}": version for table, version in cohort.raw_versions.items()},
        },
    )


def _shares(divided: Divided, scopes: list[Scope], cells: Cells) -> Iterator[dict[str, Any]]:
    """How many patients and journeys each split has, and how its outcomes are distributed."""
    for name, frame in divided.frames.items():
        yield {
            "split": name,
            "patients": cells.figure(divided.validation.counts[name]),
            "journeys": cells.figure(len(frame)),
            "share": divided.validation.ratios[name],
        } | {
            figure: value
            for scope in scopes
            for figure, value in scope.problem.shares(scope.target, frame[scope.target], cells).items()
        }


def _quality(
    context: StageContext, cohort: Cohort, frames: dict[str, pd.DataFrame]
) -> tuple[SplitQuality, ...]:
    """Grade the splits on the raw versions that the cohort was drawn from, and keep the grades."""
    raw = {name: context.read_raw(name, cohort.raw_versions, RawTable).frame for name in split_tables()}
    graded = grade_splits(
        frames,
        raw,
        context.quality,
        attributes=context.cohort_config.attributes,
        not_collected=context.config["not_collected"],
    )
    record_split_quality(context.warehouse, context.partition, context.run_id, graded)
    return graded


def _stratified_by(scopes: list[Scope]) -> list[str]:
    """The outcomes that splits are stratified by, each once."""
    return list(dict.fromkeys(scope.target for scope in scopes if scope.problem.stratified))


def _with_outcome(scopes: list[Scope], outcomes: pd.DataFrame) -> list[Scope]:
    """The scopes whose target is an outcome of the cohort, where any is: each other stops only itself.

    Raises:
        SplitError: none is.
    """
    asked = [scope for scope in scopes if scope.target in outcomes]
    if scopes and not asked:
        targets = ", ".join(scope.target for scope in scopes)
        raise SplitError(f"features: columns {targets} are missing", code="missing_column")
    return asked


def _order(scopes: list[Scope]) -> SplitOrder:
    """One scope that asks for temporal order decides: a partition is split once for all of them."""
    return "temporal" if any(scope.split_order == "temporal" for scope in scopes) else "random"


def _require_scopes(context: StageContext, scopes: list[Scope]) -> None:
    if not scopes:
        raise SplitError(
            f"{context.partition} names no scope, so there is no outcome to split by.",
            "Name a scope in the cohort file.",
            code="no_scope",
        )
    if _order(scopes) == "temporal" and context.cohort_config.temporal_requirements is None:
        raise SplitError(
            f"{context.partition} has no index date (temporal_requirements: null) to split by.",
            "Set split_order: random in the scope, or name the index date in the cohort file.",
            code="no_index_date",
        )


def _faults(scopes: Sequence[Scope], outcomes: pd.DataFrame) -> dict[str, str]:
    """The scopes whose outcome is no target of theirs, and why; each stops at its own first gate.

    Raises:
        SplitError: all are, so there is nothing to split for.
    """
    checked = {scope.name: target_obstacle(scope, "the cohort", outcomes[scope.target]) for scope in scopes}
    obstacles = {name: obstacle for name, obstacle in checked.items() if obstacle is not None}
    if scopes and len(obstacles) == len(scopes):
        first = next(iter(obstacles.values()))
        messages = "; ".join(f"scope {name}: {obstacle.message}" for name, obstacle in obstacles.items())
        raise SplitError(messages, first.next_step, code=first.code)
    return {name: obstacle.message for name, obstacle in obstacles.items()}


def event_times(rows: pd.DataFrame) -> str | None:
    """The column of the index dates; None where the partition has none."""
    return "index_date" if rows["index_date"].notna().any() else None


def undated(report: LeakageReport) -> LeakageReport:
    """The report of rows without an index date, which says what that leaves open."""
    limit = "there is no index date, so nothing could be judged of what was known when"
    return replace(report, limits=(*report.limits, limit))


def plausible_of(scope: Scope) -> Plausible:
    """What the audit takes for plausible of the scope's features together."""
    return Plausible(**{scope.plausible.name: scope.plausible.limit})


def _audits(
    context: StageContext, frames: dict[str, pd.DataFrame], features: FeatureSet, scopes: list[Scope]
) -> tuple[dict[str, LeakageReport], dict[str, str]]:
    """The audit of each target, and why there is none of others; of two scopes of one target the audit that
    finds something stands.

    A target of which nothing can be said (too few rows of a class) stops no other scope: its own first gate
    refuses what has no audit.

    Raises:
        TargetError: nothing can be said of any.
    """
    reports: dict[str, LeakageReport] = {}
    unsaid: dict[str, TargetError] = {}
    for scope in {(scope.target, scope.plausible): scope for scope in scopes}.values():
        if scope.target in reports and not reports[scope.target].ok:
            continue
        try:
            reports[scope.target] = _audit(frames, features, scope, context.cohort_config)
        except TargetError as error:
            unsaid[scope.target] = error
    if unsaid and not reports:
        raise next(iter(unsaid.values()))
    return reports, {target: error.summary for target, error in unsaid.items()}


def _audit(
    frames: dict[str, pd.DataFrame], features: FeatureSet, scope: Scope, cohort_config: CohortConfig
) -> LeakageReport:
    target, time = scope.target, event_times(features.frame)
    wanted = ["patient_id", *filter(None, [time]), *[f.name for f in features.features], target]
    known = {name: frame.loc[frame[target].notna(), wanted] for name, frame in frames.items()}
    report = audit_leakage(
        known["train"],
        target,
        id_column="patient_id",
        contract={feature.name: feature for feature in features.features},
        event_times=time,
        equal_rows=cohort_config.equal_rows == "allow",
        other_splits={name: frame for name, frame in known.items() if name != "train"},
        plausible=plausible_of(scope),
        regression=not scope.problem.of_classes,
    )
    return report if time else undated(report)


def _published(context: StageContext, existing: pd.DataFrame) -> pd.DataFrame:
    """The split of each patient in the version that is in force; nobody's when there is none.

    Where its files are damaged, the database's record of who was assigned is what is left to compare with.
    """
    try:
        current = context.store.current("splits", context.partition)
        return existing.head(0) if current is None else context.open(current, Splits).assigned
    except ArtifactRefused as error:
        context.log.warning(f"compared with ml_split_assignments instead: {error.summary}")
        return existing


def _remember(context: StageContext, existing: pd.DataFrame, assigned: pd.DataFrame) -> None:
    """Write down the new patients' splits; they hold from here on, whatever becomes of this run."""
    new = assigned[~assigned["patient_id"].isin(existing["patient_id"])]
    record_assignments(context.warehouse, context.partition, new)
