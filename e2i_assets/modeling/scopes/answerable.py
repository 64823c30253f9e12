"""Whether a scope can be answered on the data that are there, before anything is trained.

Only train and validation are looked at: test and holdout stay sealed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd

from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.errors import ModelingError, TrainingDataError
from e2i_assets.modeling.magnitudes import MEND_NUMBERS, TOO_LARGE, too_large
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.modeling.selection.comparison import FOLDS

FEW_EVENTS_PER_FEATURE = 10
"""Below so many of the rarer outcome for each feature models are unstable (Peduzzi 1996)."""


@dataclass(frozen=True)
class Obstacle:
    """Why a scope cannot be answered: a short constant, a sentence, and what to do."""

    code: str
    message: str
    next_step: str


@dataclass(frozen=True)
class Answerability:
    """What there is to answer a scope with. Aggregates of train only.

    Attributes:
        patients, known: rows of train, and those whose outcome is known.
        events: rows of the rarest class; of a number, the known rows, which all say something.
        rate: share of the outcome where it is a yes or no, else the mean; None where nothing is known.
        features: that the scope's models may see.
        obstacles: each one alone stands against an answer.
        remarks: what to know of an answer that can be given.
    """

    scope: str
    patients: int
    known: int
    events: int
    rate: float | None
    features: int
    obstacles: tuple[Obstacle, ...]
    remarks: tuple[str, ...]

    @property
    def per_feature(self) -> float | None:
        """Events for each feature; None without features."""
        return self.events / self.features if self.features else None

    def but_for(self, obstacles: Iterable[Obstacle]) -> Self:
        """The same with further obstacles."""
        return replace(self, obstacles=(*self.obstacles, *obstacles))


class Unanswerable(ModelingError):
    """A scope that the data of a partition cannot answer; `code` is that of the first obstacle."""

    def __init__(self, scope: str, obstacles: Sequence[Obstacle]) -> None:
        """Tell all obstacles, and the next step of each."""
        steps = " ".join(dict.fromkeys(obstacle.next_step for obstacle in obstacles))
        reasons = "; ".join(obstacle.message for obstacle in obstacles)
        super().__init__(f"scope {scope} cannot be answered: {reasons}", steps, code=obstacles[0].code)


def assess(
    scope: Scope,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    features: Sequence[Feature],
    *,
    followup_days: int | None,
    outcomes: Mapping[str, str],
    audited: Collection[str],
    unaudited: Mapping[str, str] | None = None,
) -> Answerability:
    """What there is to answer a scope with, and what stands against it.

    Args:
        train, validation: one row per journey, with features and outcomes.
        features: those of the partition; the scope's exclusions are taken off here.
        followup_days: the cohort's window; None where it asks for none.
        outcomes: every column that is an outcome of a scope of the partition, to the scope's name.
        audited: targets of which the splits' leakage audit could say something.
        unaudited: of others, why it could not.
    """
    seen = [feature.name for feature in features if feature.name not in scope.features.exclude]
    values = train[scope.target].dropna() if scope.target in train else pd.Series(dtype=float)
    counts = values.value_counts()
    events = len(values) if not scope.problem.of_classes else int(counts.min()) if len(counts) > 1 else 0
    obstacles = (
        *_of_time(scope, followup_days),
        *_of_features(scope, seen, outcomes),
        *(list(_of_outcome(scope, train, validation, seen)) or _of_audit(scope, audited, unaudited or {})),
        *_of_values(train, validation, seen),
    )
    mean = float(values.mean()) if len(values) and pd.api.types.is_numeric_dtype(values) else None
    rate = mean if mean is not None and np.isfinite(mean) else None
    evidence = Answerability(scope.name, len(train), len(values), events, rate, len(seen), obstacles, ())
    return replace(evidence, remarks=tuple(_remarks(evidence)))


def require_answerable(evidence: Answerability) -> None:
    """Check that nothing stands against an answer.

    Raises:
        Unanswerable: something does.
    """
    if evidence.obstacles:
        raise Unanswerable(evidence.scope, evidence.obstacles)


def _of_time(scope: Scope, followup_days: int | None) -> Iterator[Obstacle]:
    if scope.horizon_days is not None and scope.horizon_days > (followup_days or 0):
        followed = f"followed for {followup_days}" if followup_days else "not followed for any window"
        yield Obstacle(
            "horizon_beyond_followup",
            f"it looks {scope.horizon_days} days ahead, and the cohort is {followed}",
            "Shorten horizon_days in the scope, or lengthen followup_days in the cohort file.",
        )


def _of_features(scope: Scope, seen: Sequence[str], outcomes: Mapping[str, str]) -> Iterator[Obstacle]:
    if absent := [name for name in scope.features.required if name not in seen]:
        yield Obstacle(
            "required_features_missing",
            f"required features {', '.join(absent)} are not among those of the partition",
            "Load them, or take them out of features.required; `dropped` of the asset features says why a "
            "column is none.",
        )
    if later := [name for name in seen if name in outcomes]:
        of = ", ".join(f"{name} (of {outcomes[name]})" for name in later)
        yield Obstacle(
            "outcome_as_feature",
            f"outcomes are among the features: {of}",
            "Take them out of features.include of the cohort file, or name them in features.exclude.",
        )


def _of_values(train: pd.DataFrame, validation: pd.DataFrame, seen: Sequence[str]) -> Iterator[Obstacle]:
    """Features that tell nothing, or hold numbers that nothing can be computed with."""
    if len(train) and not any(train[name].nunique(dropna=False) > 1 for name in seen if name in train):
        yield Obstacle(
            "no_features",
            f"none of {len(seen)} features differs between patients of train",
            "Take some out of features.exclude, or declare more in the cohort file.",
        )
    for name, frame in (("train", train), ("validation", validation)):
        if large := too_large(frame, [column for column in seen if column in frame]):
            yield Obstacle("unusable_features", f"{name}: {large} hold {TOO_LARGE}", MEND_NUMBERS)


def _of_audit(scope: Scope, audited: Collection[str], unaudited: Mapping[str, str]) -> list[Obstacle]:
    if scope.target in audited:
        return []
    message = f"the leakage audit of the splits could say nothing of {scope.target}"
    if why := unaudited.get(scope.target):
        step = f"Look at what fills {scope.target} in the mapping, load it again and materialize the splits."
        return [Obstacle("not_audited", f"{message}: {why}", step)]
    return [
        Obstacle("not_audited", message, "Materialize the splits again; their log says what the audit lacks.")
    ]


def target_obstacle(scope: Scope, name: str, values: pd.Series) -> Obstacle | None:
    """What is wrong with an outcome as the target of a scope; None where it is one.

    Args:
        name: what the rows are, for the message.
        values: the outcome of each row; null where it is not known.
    """
    known = values.dropna()
    if known.empty:
        return Obstacle(
            "outcome_unknown",
            f"{scope.target} is known of none of {len(values)} rows of {name}",
            "Load a source that has it, or take the scope off the cohort file.",
        )
    # Text can be computed with by mistake: joined where numbers are added.
    if scope.problem.of_numbers and (values.dtype == object or pd.api.types.is_string_dtype(values)):
        return Obstacle(
            "target_type",
            f"{scope.target} is text, and the target of a {scope.problem_type} must be a number",
            f"Write `dtype: number` (or integer, boolean) for {scope.target} under `attributes` in the "
            "cohort file and load it again, or ask for multiclass_classification in the scope.",
        )
    try:
        scope.problem.target(name, known)
    except TrainingDataError as error:
        return _unusable(scope, error)
    return None


def _unusable(scope: Scope, error: TrainingDataError) -> Obstacle:
    step = error.next_step or f"Look at what fills {scope.target} in the mapping."
    return Obstacle("unusable_outcome", f"{scope.target}: {error}", step)


def _of_outcome(
    scope: Scope, train: pd.DataFrame, validation: pd.DataFrame, seen: Sequence[str]
) -> Iterator[Obstacle]:
    """Stops at the first split whose outcome is none: what follows would say the same in other words."""
    problem, wanted = scope.problem, {scope.target, *seen}
    for name, frame in (("train", train), ("validation", validation)):
        if missing := sorted(wanted - set(frame.columns)):
            yield Obstacle(
                "missing_column",
                f"{name} has no column {', '.join(missing)}",
                "Name an outcome of the cohort as target, and build the features again.",
            )
            return
        if (obstacle := target_obstacle(scope, name, frame[scope.target])) is not None:
            yield obstacle
            return
    try:
        known = train[scope.target].dropna()
        problem.require_folds("train", problem.target("train", known), FOLDS)
    except TrainingDataError as error:
        yield _unusable(scope, error)
        return
    samples = int(train[scope.target].notna().sum())
    more = "Load more patients, or widen the cohort by its criteria"
    if samples < scope.minimum_samples:
        yield Obstacle(
            "too_few_samples",
            f"{scope.target} is known of {samples} patients of train, {scope.minimum_samples} are asked for",
            f"{more}; or lower minimum_samples in the scope.",
        )
    if len(seen) > samples:
        yield Obstacle(
            "more_features_than_patients",
            f"{len(seen)} features for {samples} patients of train",
            f"{more}; or name fewer features (features.exclude).",
        )


def _remarks(evidence: Answerability) -> Iterator[str]:
    if unknown := evidence.patients - evidence.known:
        rows = evidence.patients
        yield f"the outcome of {unknown} of {rows} patients of train is unknown; they are left out"
    if evidence.per_feature is not None and evidence.per_feature < FEW_EVENTS_PER_FEATURE:
        yield (
            f"{evidence.per_feature:.1f} events for each feature; from "
            f"{FEW_EVENTS_PER_FEATURE} on models are stable"
        )
