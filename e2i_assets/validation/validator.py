"""Validates registered versions elsewhere: reads what a version was made of, draws the target, judges.

No sealed split is opened: not the model's own, and none of the target's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from e2i_assets.assets.version_model import model_of_version
from e2i_assets.cohorts.cohort import clusters_of
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.contracts.base import key_of
from e2i_assets.contracts.patients import HcpProfiles
from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.data import LabelledSplit, require_features
from e2i_assets.modeling.evaluation.holdout import Measured
from e2i_assets.modeling.scopes.problem_types import PROBLEMS
from e2i_assets.modeling.splits.alike import row_keys
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.monitoring.clusters import one_of_each
from e2i_assets.monitoring.model_profile import ModelProfile
from e2i_assets.monitoring.watching import CLUSTER, Seen, Watched, watch
from e2i_assets.partitions import cohort_config
from e2i_assets.registry.ledger import Version
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.settings import Settings
from e2i_assets.stages.context import quality_of
from e2i_assets.validation.errors import NotValidated
from e2i_assets.validation.external import ExternalValidation, drift_document, judge, unseen_levels
from e2i_assets.validation.population import compare_populations
from e2i_assets.validation.target import OPEN, Target, target_of
from e2i_assets.warehouse.queries.models import training_of
from e2i_assets.warehouse.queries.monitoring import profile_of
from e2i_assets.warehouse.queries.publications import Publication, publication_of
from e2i_assets.warehouse.queries.splits import assignments

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse

TRAINED_ON, SEALED_HERE = (
    "the model was trained or tuned on them",
    "in a sealed split of the model's partition",
)


@dataclass(frozen=True)
class Elsewhere:
    """Where the target's patients are.

    Attributes:
        partition: its key.
        warehouse: that has them; the installation's own, or another that is only read.
        database: how that one is called; empty for the own.
        same_people: whether an equal `patient_id` is the same patient as here.
    """

    partition: str
    warehouse: Warehouse
    database: str = ""
    same_people: bool = True


@dataclass(frozen=True)
class Origin:
    """What a version was made of."""

    model: TrainedModel
    profile: ModelProfile
    splits: Splits
    made_with: CohortConfig

    @property
    def features(self) -> list[Feature]:
        """Of the model."""
        return [feature for feature in self.splits.features if feature.name in self.model.features]

    @property
    def trained_on(self) -> pd.DataFrame:
        """Rows of train and validation."""
        return pd.concat([self.splits.train, self.splits.validation], ignore_index=True)


class Validator:
    """Validates versions of one installation."""

    def __init__(self, here: Settings, warehouse: Warehouse, store: ArtifactStore) -> None:
        self._here, self._warehouse, self._store = here, warehouse, store

    def validate(
        self, version: Version, elsewhere: Elsewhere, *, on_step: Callable[[str], None] = lambda _: None
    ) -> tuple[ExternalValidation, Watched]:
        """Score a version elsewhere, and compare the patients.

        Raises:
            NotValidated: it can say nothing of these patients, or what it was made of is not on record.
            ArtifactRefused: what it was made of is damaged, or cannot be unsealed.
            TrainingDataError: the target's outcomes are none of the model's kind.
        """
        if version.problem_type not in PROBLEMS:
            raise NotValidated(
                f"{version.title} tells effects, which nobody observes in a patient: they would have to be "
                "estimated there first",
                f"Add the scope {version.scope} to the cohort file of {elsewhere.partition}, and compare its "
                "model with this one: `e2i models show`.",
                code="no_external_validation",
            )
        if not elsewhere.database and elsewhere.partition == version.partition:
            raise NotValidated(
                f"{version.title} was made of {elsewhere.partition}: that is no external validation",
                "Its evaluation tells how it does there. Name another partition, or --database.",
                code="own_partition",
            )
        on_step("reading what the version was made of")
        origin = self._origin(version)
        cohort = cohort_config(self._here.config_dir, elsewhere.partition)
        minimum = quality_of(self._here, elsewhere.partition).minimum_cell_count
        on_step(f"drawing the patients of {elsewhere.partition}")
        target = target_of(
            elsewhere.warehouse, elsewhere.partition, cohort, origin.made_with, origin.features,
            self._known(version, origin) if elsewhere.same_people else {},
        )  # fmt: skip
        on_step("scoring")
        return _validated(version, elsewhere, origin, target, cohort, minimum)

    def _origin(self, version: Version) -> Origin:
        model = model_of_version(self._warehouse, self._store, version, TrainedModel)
        profile = profile_of(self._warehouse, version.model_name, version.version)
        training = training_of(self._warehouse, version.partition, version.scope, version.model_fingerprint)
        made = features = None
        if training is not None:
            made = self._publication("splits", version, str(training.data_versions["splits"]))
        if made is not None:
            features = self._publication("features", version, made.inputs["features"].version)
        if model is None or profile is None or made is None or features is None:
            raise NotValidated(
                f"how {version.title} was made is not on record",
                "An earlier release registered it without one: train the model again, and register that.",
            )
        return Origin(
            model,
            ModelProfile.from_document(profile),
            self._store.read("splits", version.partition, made.version, Splits),
            CohortConfig.model_validate(features.config["cohort_config"]),
        )

    def _publication(self, asset: str, version: Version, stored: str) -> Publication | None:
        return publication_of(self._warehouse, asset, version.partition, stored)

    def _known(self, version: Version, origin: Origin) -> dict[str, Collection[str]]:
        """Patients who are known to the model, or must not be: reason to them."""
        assigned = assignments(self._warehouse, version.partition)
        return {
            TRAINED_ON: set(origin.trained_on["patient_id"]),
            SEALED_HERE: set(assigned.loc[~assigned["split"].isin(OPEN), "patient_id"]),
        }


def _validated(
    version: Version, elsewhere: Elsewhere, origin: Origin, target: Target, cohort: CohortConfig, minimum: int
) -> tuple[ExternalValidation, Watched]:
    model, profile, features = origin.model, origin.profile, origin.features
    rows = _scored(elsewhere.partition, profile.target, target)
    require_features(elsewhere.partition, rows, features)
    names = [feature.name for feature in features]
    split = LabelledSplit(elsewhere.partition, rows, rows[profile.target], model.problem, rows["patient_id"])
    prediction = model.predict(rows)
    keys = row_keys(pd.concat([origin.trained_on[names], rows[names]], ignore_index=True), names)
    learnt = len(origin.trained_on)
    watched = watch(profile, _seen(profile, target, names, model), model.problem)
    metric = profile.figures[profile.metric]
    unknown = target.features.frame["patient_id"].nunique() - rows["patient_id"].nunique()
    return (
        ExternalValidation(
            version.model_name, version.version, version.model_fingerprint, version.problem_type,
            profile.target, elsewhere.partition, elsewhere.database, target.loads, profile.metric,
            Measured(metric.value, metric.low, metric.high), target.eligible, rows["patient_id"].nunique(),
            len(rows), {**target.left_out, "the outcome is not known": unknown},
            int(np.isin(keys[learnt:], keys[:learnt]).sum()),
            unseen_levels(origin.splits.train, rows, features),
            judge(model.problem, split.y, prediction, profile.threshold, rows, minimum=minimum),
            compare_populations(origin.splits.train, rows, features, minimum=minimum),
            drift_document(watched),
            tuple(_limits(elsewhere, origin.made_with, cohort)),
        ),
        watched,
    )  # fmt: skip


def _scored(partition: str, outcome: str, target: Target) -> pd.DataFrame:
    """Rows whose outcome is known, with it."""
    outcomes = target.features.outcomes
    if outcome not in outcomes:
        raise NotValidated(
            f"{partition} has no column {outcome}, which the model predicts",
            "Declare and load it: the cohort file of the target says which outcomes there are.",
            code="outcome_missing",
        )
    rows = target.features.frame.merge(
        outcomes[["patient_journey_id", outcome]], on="patient_journey_id", validate="1:1"
    )
    return rows[rows[outcome].notna()].reset_index(drop=True)


def _seen(profile: ModelProfile, target: Target, names: list[str], model: TrainedModel) -> Seen:
    """A row of each patient, whether or not the outcome is known, with what the model says."""
    frame = one_of_each(target.features.frame, "patient_id")
    hcps = clusters_of(frame["patient_journey_id"], target.members, key_of(HcpProfiles))
    predicted = model.predict(frame[names])
    there = frame.assign(**{CLUSTER: hcps})
    watched = [name for name in profile.features.columns if name in there]
    return Seen(there[[*watched, CLUSTER]], predicted=predicted, predicted_clusters=hcps.to_numpy())


def _limits(elsewhere: Elsewhere, made_with: CohortConfig, cohort: CohortConfig) -> Iterator[str]:
    yield (
        "Intervals of recalibrated figures hold for this recalibration; how it would differ among other "
        "patients is told by the intervals of intercept and slope."
    )
    yield "Whether the target's data are sound is for its own quality control to say."
    if elsewhere.same_people:
        yield "One patient under two different patient_id is taken for two."
    else:
        yield (
            "The other database numbers its patients by itself: whether some of them are among those that "
            "the model learnt from cannot be told by their patient_id."
        )
    windows = made_with.temporal_requirements, cohort.temporal_requirements
    for name in ("index_date_field", "followup_days", "lookback_days"):
        there, then = (getattr(one, name, None) for one in (windows[1], windows[0]))
        if there != then:
            yield (
                f"{name} is {there} in the target's cohort file and was {then} at training"
                + (": features are counted as at training." if name == "lookback_days" else ".")
            )
