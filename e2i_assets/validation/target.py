"""The patients that a version is validated on, and who is left out before anything is looked at.

They are drawn from one snapshot of a warehouse, by the target's own cohort file: its criteria, index date and
outcomes. Features are counted as those of the model were. Nobody whom a sealed split has is among them: where
the target's patients have splits, only those of its train and validation are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import polars as pl

from e2i_assets.cohorts import CohortConstructor
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.contracts.variables import Feature
from e2i_assets.features import FeatureSet, build_features
from e2i_assets.ingest import attributes
from e2i_assets.validation.errors import NotValidated
from e2i_assets.warehouse.queries.splits import assignments

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse

OPEN = ("train", "validation")
"""Splits whose patients may be looked at."""


@dataclass(frozen=True)
class Target:
    """Patients of another partition or database.

    Attributes:
        members: of the cohort, without those who are left out.
        features: theirs, with their outcomes.
        loads: numbers of the loads that the snapshot holds.
        journeys, eligible: patients of all journeys, and of the cohort.
        left_out: reason to patients of the cohort who are not looked at.
    """

    members: pl.DataFrame
    features: FeatureSet
    loads: tuple[int, ...]
    eligible: int
    left_out: Mapping[str, int]


def target_of(
    warehouse: Warehouse,
    partition: str,
    cohort: CohortConfig,
    made_with: CohortConfig,
    features: Sequence[Feature],
    known: Mapping[str, Collection[str]],
) -> Target:
    """Draw the patients and make the features of a model.

    Args:
        warehouse: that has them; nothing is written to it.
        partition, cohort: the target.
        made_with: the cohort file that the model's features were made with.
        features: of the model.
        known: reason to the patients whom the model or its sealed splits know, who are left out.

    Raises:
        NotValidated: nobody is left, or the target does not have the features, with what each lacks.
        FeatureError: the target's tables cannot be made features of.
    """
    with warehouse.snapshot(*cohort.partition_key) as snapshot:
        loads = tuple(snapshot.loads)
        raw = {
            name: snapshot.extract(name).frame
            for name in ("patient_journeys", "treatment_events", "hcp_profiles")
        }
    if not loads:
        raise NotValidated(
            f"the database has no rows of {'/'.join(cohort.partition_key)}", "Load them: `e2i data import`."
        )
    journeys = attributes.expand(raw["patient_journeys"], cohort.attributes)
    members, _ = CohortConstructor(cohort).construct_cohort(journeys, raw["treatment_events"])
    chosen, left_out = _looked_at(members, assignments(warehouse, partition), known)
    if chosen.is_empty():
        reasons = ", ".join(f"{reason}: {count}" for reason, count in left_out.items() if count)
        raise NotValidated(
            f"no patient of {partition} is left to validate on ({reasons or 'the cohort is empty'})",
            "Name a partition or a database with other patients.",
            code="nobody_left",
        )
    made = _features(chosen, raw, cohort, made_with, features)
    _require(partition, made, features)
    return Target(chosen, made, loads, members["patient_id"].n_unique(), left_out)


def _looked_at(
    members: pl.DataFrame, assigned: pd.DataFrame, known: Mapping[str, Collection[str]]
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Members that may be scored, and patients that may not by reason, each counted once."""
    left_out, chosen = dict[str, int](), members
    unseen = set(assigned.loc[assigned["split"].isin(OPEN), "patient_id"])
    rules = {reason: pl.col("patient_id").is_in(list(patients)) for reason, patients in known.items()}
    if len(assigned):
        rules["sealed, or not yet in a split, there"] = ~pl.col("patient_id").is_in(list(unseen))
    for reason, rule in rules.items():
        left_out[reason] = chosen.filter(rule)["patient_id"].n_unique()
        chosen = chosen.filter(~rule)
    return chosen, left_out


def _features(
    members: pl.DataFrame,
    raw: Mapping[str, pl.DataFrame],
    cohort: CohortConfig,
    made_with: CohortConfig,
    features: Sequence[Feature],
) -> FeatureSet:
    windows, model_windows = cohort.temporal_requirements, made_with.temporal_requirements
    included = [name for name in made_with.features.include if name in members.columns]
    return build_features(
        members,
        raw["treatment_events"],
        raw["hcp_profiles"],
        index_date_field=windows.index_date_field if windows else None,
        lookback_days=model_windows.lookback_days if model_windows else 0,
        attributes=cohort.attributes,
        include=included,
        event_subtypes=made_with.features.event_subtypes,
        event_windows=made_with.features.event_windows,
        minimum_cell_count=1,  # what is counted is decided by the model, not by how many there are here
        required=[feature.name for feature in features],
    )


def _require(partition: str, made: FeatureSet, features: Sequence[Feature]) -> None:
    """Check that every feature is there, of the same kind and unit."""
    there = {feature.name: feature for feature in made.features}
    lacking = [
        f"{feature.name} ({made.dropped.get(feature.name, 'no such column')})"
        for feature in features
        if feature.name not in there
    ]
    if lacking:
        raise NotValidated(
            f"{partition} lacks {len(lacking)} of the {len(features)} features of the model: "
            f"{', '.join(lacking)}",
            "A model answers for patients of whom all of its features are collected. Load the columns, or "
            "declare them in the target's cohort file.",
            code="features_missing",
        )
    others = [
        f"{f.name} ({f.kind} in {f.unit or 'no unit'}, there {other.kind} in {other.unit or 'no unit'})"
        for f in features
        if ((other := there[f.name]).kind, other.unit) != (f.kind, f.unit)
    ]
    if others:
        raise NotValidated(
            f"features of {partition} are no longer what the model learnt: {', '.join(others)}",
            "Give them kind and unit of training again, in the target's cohort file or mapping.",
            code="features_differ",
        )
