"""Splits: 60/20/15/5 by patient. Train and validation are published, test and holdout go to the vault."""

from __future__ import annotations

import pandas as pd
import sqlalchemy as sa

from e2i_assets.assets import shown
from e2i_assets.assets.artifacts import Cohort, RawTable, Splits
from e2i_assets.features import FeatureSet
from e2i_assets.gates import rules
from e2i_assets.gates.context import StageContext
from e2i_assets.gates.stage import Made, stage
from e2i_assets.modeling import SplitEnforcer
from e2i_assets.modeling.errors import SplitError
from e2i_assets.modeling.splits import assign_splits
from e2i_assets.quality.leakage import LeakageError, LeakageReport, audit_leakage
from e2i_assets.quality.splits import SplitQuality, UngradedSplit, grade_splits, split_tables
from e2i_assets.resources.records import data_quality_reports, split_assignments
from e2i_assets.resources.sealing import VaultError

SEED = 42
NAMES = ("train", "validation", "test", "holdout")


@stage(
    key="splits",
    group="splits",
    description="60/20/15/5 by patient, stratified, stable across refreshes. Test and holdout are sealed.",
    kinds={"python", "parquet"},
    code=(
        "assets/splits.py",
        "gates/rules.py",
        "gates/context.py",
        "modeling/splits.py",
        "quality",
        "resources/sealing.py",
        "resources/vault.py",
    ),
    gates=(rules.SPLIT_RATIOS, rules.STABLE_SPLITS, rules.NO_LEAKAGE, rules.SPLIT_QUALITY),
    inputs={"features": "features", "cohort": "cohort"},
    config=lambda context: {
        "targets": context.targets,
        "attributes": context.programme.to_dict()["attributes"],
        "not_collected": list(context.programme.not_collected),
        "quality": context.quality.model_dump(mode="json"),
    },
    refusals=(LeakageError, SplitError, VaultError, UngradedSplit),
)
def splits(context: StageContext, features: FeatureSet, cohort: Cohort) -> Made:
    """Assign patients, audit for leakage, seal."""
    rows = features.frame.merge(features.outcomes, on="patient_journey_id", validate="one_to_one")
    existing = _existing(context)
    patients = _patients(rows, context.targets[0])
    assigned = assign_splits(patients, existing, seed=SEED)
    rows = rows.merge(assigned, on="patient_id", validate="many_to_one")
    frames = {
        name: rows[rows["split"] == name].drop(columns="split").reset_index(drop=True) for name in NAMES
    }
    validation = SplitEnforcer().validate_splits(
        train_df=frames["train"],
        val_df=frames["validation"],
        test_df=frames["test"],
        holdout_df=frames["holdout"],
    )
    # Splits that are refused anyway may be too small to be audited or graded; those gates then judge nothing.
    audited = context.targets if validation.is_valid else []
    leakage = {target: _audit(frames, features, target, context) for target in audited}
    quality = _quality(context, cohort, frames) if validation.is_valid else ()
    subject = rules.SplitsMade(validation, leakage, _moved(context, frames), quality)
    if rules.NO_LEAKAGE.verdict(subject).passed:
        _remember(context, existing, assigned)
    made = Splits(
        train=frames["train"],
        validation=frames["validation"],
        features=features.features,
        outcomes=tuple(str(column) for column in features.outcomes if column != "patient_journey_id"),
        seals=context.vault.seal(context.partition, {name: frames[name] for name in ("test", "holdout")}),
        counts={name: len(frame) for name, frame in frames.items()},
    )
    shares = [
        {"split": name, "patients": len(frame), "share": len(frame) / len(rows)}
        | {f"{target} rate": float(frame[target].mean()) for target in context.targets}
        for name, frame in frames.items()
    ]
    grades = [{"split": q.split, "status": q.status, "score": q.score, **q.dimensions} for q in quality]
    return Made(
        made,
        subject=subject,
        metadata={"splits": shown.table(shares), "patients": len(rows), "quality": shown.table(grades)},
    )


def _quality(
    context: StageContext, cohort: Cohort, frames: dict[str, pd.DataFrame]
) -> tuple[SplitQuality, ...]:
    """Grade the splits on the raw versions that the cohort was drawn from, and keep the grades."""
    raw = {name: context.read_raw(name, cohort.raw_versions, RawTable).frame for name in split_tables()}
    graded = grade_splits(
        frames,
        raw,
        context.quality,
        attributes=context.programme.attributes,
        not_collected=context.programme.not_collected,
    )
    context.warehouse.record(
        data_quality_reports,
        [
            {
                "partition": context.partition,
                "split": q.split,
                "overall_status": q.status,
                "overall_score": q.score,
                **{f"{dimension}_score": grade for dimension, grade in q.dimensions.items()},
                "expectations_evaluated": 0,
                "expectations_failed": 0,
                "report": q.to_dict(),
                "run_id": context.run_id,
            }
            for q in graded
        ],
    )
    return graded


def _patients(rows: pd.DataFrame, target: str) -> pd.DataFrame:
    """One row per patient with the stratum; a patient of several journeys counts by the first."""
    first = rows.drop_duplicates("patient_id")
    return pd.DataFrame(
        {"patient_id": first["patient_id"], "stratum": first[target].astype("string").fillna("none")}
    )


def _audit(
    frames: dict[str, pd.DataFrame], features: FeatureSet, target: str, context: StageContext
) -> LeakageReport:
    wanted = ["patient_id", "index_date", *[feature.name for feature in features.features], target]
    known = {name: frame.loc[frame[target].notna(), wanted] for name, frame in frames.items()}
    return audit_leakage(
        known["train"],
        target,
        id_column="patient_id",
        contract=context.availability(features.features),
        event_times="index_date",
        other_splits={name: frame for name, frame in known.items() if name != "train"},
    )


def _existing(context: StageContext) -> pd.DataFrame:
    stored = split_assignments.c
    with context.warehouse.engine.connect() as connection:
        rows = connection.execute(
            sa.select(stored.patient_id, stored.split).where(stored.partition == context.partition)
        ).all()
    return pd.DataFrame([tuple(row) for row in rows], columns=["patient_id", "split"])


def _moved(context: StageContext, frames: dict[str, pd.DataFrame]) -> int:
    """Patients whom an earlier model trained on or was tuned on, and who are now in another split."""
    current = context.store.current("splits", context.partition)
    if current is None:
        return 0
    earlier = context.open(current, Splits)
    return sum(
        int(before["patient_id"].isin(frames[other]["patient_id"]).sum())
        for name, before in (("train", earlier.train), ("validation", earlier.validation))
        for other in NAMES
        if other != name
    )


def _remember(context: StageContext, existing: pd.DataFrame, assigned: pd.DataFrame) -> None:
    new = assigned[~assigned["patient_id"].isin(existing["patient_id"])]
    context.warehouse.record(
        split_assignments,
        [
            {"partition": context.partition, "patient_id": patient, "split": split}
            for patient, split in zip(new["patient_id"], new["split"], strict=True)
        ],
    )
