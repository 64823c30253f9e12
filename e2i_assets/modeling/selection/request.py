"""The guide's selection request, from a notebook: which algorithm for a table, and why no other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError, field_validator, model_validator

from e2i_assets.config_files import ConfigModel
from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.errors import ModelingError, TrainingDataError
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.scopes.problem_types import PROBLEMS, problem_of
from e2i_assets.modeling.scopes.scope import FeatureChoice, Selection
from e2i_assets.modeling.selection.candidate import ModelCandidate, select_candidate
from e2i_assets.modeling.selection.catalogue import CATALOGUE

SEED = 42
LIMIT = re.compile(
    r"(?:inference[_ ])?(latency|memory)(?:_ms|_gb)?\s*<=?\s*(\d+(?:\.\d+)?)\s*(ms|gb)", re.IGNORECASE
)
UNITS = {"latency": "ms", "memory": "gb"}
SUITABLE = "Leave the column out of the frame, or turn it into numbers, booleans or a few levels of text."


class SelectionRequestError(ModelingError):
    """A selection request is wrong; the message names the key and the rule."""

    code = "selection_request"
    next_step = "Correct what the message names; `SelectionRequest` says what a request may hold."


class ScopeSpec(ConfigModel):
    """What is asked: the kind of target, its column, and whether a person must be able to read the model.

    `classes` are those of a multi-class target in the order wanted; where left out, the frame's, sorted.
    """

    problem_type: str
    target_outcome: str = Field(min_length=1)
    interpretability_required: bool = False
    classes: tuple[str, ...] = ()

    @field_validator("problem_type")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in PROBLEMS:
            raise ValueError(f"there is no {value}; known are {', '.join(PROBLEMS)}")
        return value

    @model_validator(mode="after")
    def _of_classes(self) -> Self:
        if self.classes and PROBLEMS[self.problem_type].of_numbers:
            raise ValueError(f"classes are for a target of several classes, not for {self.problem_type}")
        return self


class Constraints(ConfigModel):
    """What a model may cost: milliseconds of one row, and GB of the loaded model.

    As numbers under these names, or as texts: `latency < 100ms`, `memory <= 8 GB`.
    """

    max_latency_ms: float = Field(default=100, gt=0, allow_inf_nan=False)
    max_memory_gb: float = Field(default=8, gt=0, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _from_texts(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        limits: dict[str, float] = {}
        for text in value:
            match = LIMIT.fullmatch(text.strip()) if isinstance(text, str) else None
            if match is None or UNITS[match[1].lower()] != match[3].lower():
                raise ValueError(f"{text!r} is no constraint; write 'latency < 100ms' or 'memory < 8GB'")
            name = f"max_{match[1].lower()}_{match[3].lower()}"
            if name in limits:
                raise ValueError(f"{match[1].lower()} is constrained twice")
            limits[name] = float(match[2])
        return limits


class Preferences(ConfigModel):
    """A preferred algorithm gains in the ranking, an excluded one is out."""

    preferred_algorithms: tuple[str, ...] = ()
    excluded_algorithms: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if unknown := [name for name in self.preferred_algorithms if name not in CATALOGUE]:
            raise ValueError(f"there is no {', '.join(unknown)} to prefer; known are {', '.join(CATALOGUE)}")
        if both := sorted({*self.preferred_algorithms} & {*self.excluded_algorithms}):
            raise ValueError(f"{', '.join(both)}: both preferred and excluded")
        return self


class SelectionRequest(ConfigModel):
    """The guide's request."""

    scope_spec: ScopeSpec
    constraints: Constraints = Constraints()
    preferences: Preferences = Preferences()


@dataclass(frozen=True)
class _Asked:
    """A request as selection has it."""

    name: str
    problem: Problem
    selection: Selection
    features: FeatureChoice


def select_model(request: Mapping[str, Any], frame: pd.DataFrame) -> dict[str, Any]:
    """Choose an algorithm for a table.

    Args:
        request: the guide's dict of `scope_spec`, `constraints` and `preferences`; see `SelectionRequest`.
        frame: a row for each patient, with the target and nothing but features beside it; rows whose target
            is missing are left out.

    Returns:
        Plain JSON types. `model_candidate`: algorithm_name, _family and _class, default_hyperparameters,
        hyperparameter_search_space, estimated_inference_latency_ms and memory_requirement_gb (both measured
        here, on a model of these rows), interpretability_score, scalability_score, selection_score, and
        the cross-validated score. `alternatives`: of each other algorithm the reason why not, those that were
        compared first. `selection_rationale`: why, in words.

    Raises:
        SelectionRequestError: the request is wrong.
        TrainingDataError: the frame cannot be modelled.
        NoCandidateError: nothing is left; the message says which filter removed what.
    """
    try:
        asked = SelectionRequest.model_validate(request)
    except ValidationError as error:
        mistakes = (f"{'.'.join(map(str, e['loc'])) or 'request'}: {_rule(e)}" for e in error.errors())
        raise SelectionRequestError("; ".join(mistakes)) from error
    spec = asked.scope_spec
    if not isinstance(frame, pd.DataFrame):
        raise TrainingDataError(
            f"a {type(frame).__name__} is no table", "Give a pandas DataFrame: `.to_pandas()` of most others."
        )
    frame = _named(frame)
    if spec.target_outcome not in frame:
        raise TrainingDataError(
            f"the frame has no column {spec.target_outcome}", "Name a column under scope_spec.target_outcome."
        )
    known = frame[frame[spec.target_outcome].notna()]
    features = features_of(known.drop(columns=spec.target_outcome))
    problem = problem_of(spec.problem_type, _classes(spec, known[spec.target_outcome]))
    selection = Selection(
        interpretability_required=spec.interpretability_required,
        **asked.constraints.model_dump(),
        **asked.preferences.model_dump(),
    )
    X = _as_modelled(known, features)
    if copies := _copies(X, known[spec.target_outcome], of_classes=problem.of_classes):
        raise TrainingDataError(
            f"{', '.join(copies)}: tells {spec.target_outcome} in every row, as a copy of it does", SUITABLE
        )
    train = LabelledSplit("frame", X, known[spec.target_outcome], problem)
    question = _Asked(spec.target_outcome, problem, selection, FeatureChoice())
    return _answer(select_candidate(question, train, features=features, seed=SEED), problem)


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame, dense, with columns whose names are text and each there once.

    Raises:
        TrainingDataError: names of several levels, or one that several columns have.
    """
    if frame.columns.nlevels > 1:
        raise TrainingDataError(
            "the frame's columns have names of several levels", "Give each column one name."
        )
    names = [str(name) for name in frame.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TrainingDataError(
            f"several columns of the frame are named {', '.join(twice)}",
            "Give each column a name of its own.",
        )
    named = frame.set_axis(names, axis="columns")
    sparse = [name for name, kind in named.dtypes.items() if isinstance(kind, pd.SparseDtype)]
    return named.assign(**{str(name): np.asarray(named[name]) for name in sparse})


def _rule(error: Any) -> str:
    return str(error["msg"]).removeprefix("Value error, ")


def _classes(spec: ScopeSpec, target: pd.Series) -> tuple[str, ...]:
    if PROBLEMS[spec.problem_type].of_numbers:
        return ()
    classes = spec.classes or tuple(sorted(map(str, target.unique())))
    if len(set(classes)) < max(3, len(classes)):
        raise TrainingDataError(
            f"{len(classes)} classes, {len(set(classes))} of them different, where three or more are wanted",
            "Name each class once; of two, ask for binary_classification and a target of 0 and 1.",
        )
    return classes


def features_of(frame: pd.DataFrame) -> tuple[Feature, ...]:
    """A feature for each column, of the kind that its values are.

    Raises:
        TrainingDataError: there is none, a name is given twice, or a column is of another kind: dates, text
            that is different in every row, infinite numbers.
    """
    names = [str(name) for name in frame.columns]
    if not names or len(set(names)) != len(names):
        raise TrainingDataError(
            f"the frame has {len(names)} columns beside the target, {len(set(names))} different names",
            "Give it features, each under a name of its own.",
        )
    kinds = {name: _kind(frame.iloc[:, place]) for place, name in enumerate(names)}
    if other := [f"{name} {wrong}" for name, (_, wrong) in kinds.items() if wrong]:
        raise TrainingDataError(f"no features: {'; '.join(other)}", SUITABLE)
    return tuple(
        Feature(name=name, kind=kind, unit=None, description="", source="frame")  # type: ignore[arg-type]
        for name, (kind, _) in kinds.items()
    )


def _copies(X: pd.DataFrame, target: pd.Series, *, of_classes: bool) -> list[str]:
    """Features with another value for each of the target's; of a number, in its order or the reverse."""
    codes, values = pd.factorize(target, sort=not of_classes)
    in_order = np.argsort(codes, kind="stable")
    copies = []
    for name in X:
        own = pd.factorize(X[name], use_na_sentinel=False)[0]
        pairs = len(pd.DataFrame({"target": codes, "own": own}).drop_duplicates())
        if not pairs == len(values) == own.max() + 1:
            continue
        if not of_classes and pd.api.types.is_numeric_dtype(X[name]):
            steps = np.diff(X[name].to_numpy()[in_order])
            if not ((steps >= 0).all() or (steps <= 0).all()):
                continue
        copies.append(str(name))
    return copies


def _kind(values: pd.Series) -> tuple[str, str]:
    """The kind of a feature, and what is wrong with it."""
    known = values.dropna()
    if known.empty:
        return "", "has no value"
    if pd.api.types.is_bool_dtype(values) or (
        len(known) and known.map(lambda value: isinstance(value, bool)).all()
    ):
        return "boolean", ""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_complex_dtype(values):
        infinite = int(np.isinf(known.to_numpy(dtype=float)).sum())
        return "numeric", f"holds {infinite} infinite values" if infinite else ""
    if not known.map(lambda value: isinstance(value, str)).all():
        return "", f"holds {values.dtype} that are neither numbers, booleans nor text"
    if len(known) > 1 and known.nunique() == len(known):
        return "", "has another text in every row"
    return "categorical", ""


def _as_modelled(frame: pd.DataFrame, features: Sequence[Feature]) -> pd.DataFrame:
    """The features as the feature set has them: float64, and text as objects with None."""
    return pd.DataFrame(
        {
            f.name: np.array([None if pd.isna(value) else value for value in frame[f.name]], dtype=object)
            if f.kind == "categorical"
            else frame[f.name].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
            for f in features
        },
        index=frame.index,
    )


def _answer(candidate: ModelCandidate, problem: Problem) -> dict[str, Any]:
    profile, cost = CATALOGUE[candidate.algorithm], candidate.measured[candidate.algorithm]
    compared = {f.algorithm: f for f in candidate.finalists}
    return {
        "model_candidate": {
            "algorithm_name": candidate.algorithm,
            "algorithm_family": candidate.family,
            "algorithm_class": problem.algorithm(candidate.algorithm).library_class,
            "default_hyperparameters": dict(candidate.defaults),
            "hyperparameter_search_space": {n: dict(s) for n, s in candidate.search_space.items()},
            "estimated_inference_latency_ms": cost.latency_ms,
            "memory_requirement_gb": cost.memory_gb,
            "interpretability_score": profile.interpretability,
            "interpretability_reason": profile.because,
            "scalability_score": profile.scalability,
            "selection_score": candidate.selection_score,
            candidate.metric: candidate.finalist.score_mean,
        },
        "alternatives": [
            {
                "algorithm_name": name,
                "selection_score": compared[name].selection_score if name in compared else None,
                candidate.metric: compared[name].score_mean if name in compared else None,
                "reason_not_selected": reason,
            }
            for name, reason in candidate.alternatives.items()
        ],
        "selection_rationale": candidate.rationale,
    }
