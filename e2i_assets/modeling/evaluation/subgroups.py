"""How a model does in groups of patients: age, sex, region, insurance. Aggregates only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from e2i_assets.modeling.metrics.figures import Subgroup
from e2i_assets.modeling.metrics.intervals import Z95, Interval, of_difference, of_mean

if TYPE_CHECKING:
    from e2i_assets.modeling.problems.base import Problem

GROUPED_BY: Mapping[str, str] = {
    "age band": "age_at_diagnosis",
    "sex": "gender",
    "region": "geographic_region",
    "insurance": "insurance_type",
}
"""Dimension to the column that it is read from."""
AGE_BANDS = {"under 18": 18, "18 to 39": 40, "40 to 64": 65, "65 and over": np.inf}
"""Name to the age from which the next one begins."""
NOT_KNOWN = "not known"


def groups_of(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """The level of each row in each dimension that the frame has, and why there is none of the others."""
    levels, unavailable = {}, {}
    for dimension, column in GROUPED_BY.items():
        if column not in frame or frame[column].isna().all():
            unavailable[dimension] = f"the splits have no {column}"
        elif dimension == "age band":
            edges = [-np.inf, *AGE_BANDS.values()]
            ages = pd.to_numeric(frame[column], errors="coerce")
            banded = pd.cut(ages, edges, right=False, labels=list(AGE_BANDS)).astype(object)
            levels[dimension] = banded.where(ages.notna(), NOT_KNOWN)
        else:
            levels[dimension] = frame[column].astype(object).where(frame[column].notna(), NOT_KNOWN).map(str)
    return pd.DataFrame(levels, index=frame.index), unavailable


def subgroup_table(
    problem: Problem,
    y: np.ndarray,
    prediction: np.ndarray,
    groups: pd.DataFrame,
    *,
    minimum: int,
    patients: np.ndarray | None = None,
) -> tuple[Subgroup, ...]:
    """Figures of every level of every dimension, in the order of the levels' names.

    Args:
        groups: levels, shape (rows, dimensions).
        minimum: patients, and patients with the rarer outcome, below whom no figure of a group is told.
        patients: of each row, since one may have several; left out, each row is a patient.
    """
    people = np.arange(len(y)) if patients is None else patients
    return tuple(
        subgroup
        for dimension in groups
        for subgroup in _of_dimension(
            str(dimension), problem, y, prediction, groups[dimension], people, minimum
        )
    )


def _of_dimension(
    dimension: str,
    problem: Problem,
    y: np.ndarray,
    prediction: np.ndarray,
    levels: pd.Series,
    patients: np.ndarray,
    minimum: int,
) -> Iterator[Subgroup]:
    of_row = levels.to_numpy()
    for level in sorted(set(of_row), key=_order):
        inside = of_row == level
        if len(np.unique(patients[inside])) < minimum:
            yield Subgroup(dimension, level, None, reason=f"fewer than {minimum} patients")
        elif not _enough(problem, y, patients, inside, minimum):
            yield Subgroup(dimension, level, int(inside.sum()), reason=f"fewer than {minimum} of an outcome")
        else:
            compared = _enough(problem, y, patients, ~inside, minimum)
            yield _figures(dimension, level, problem, y, prediction, inside, compared)


def _enough(problem: Problem, y: np.ndarray, patients: np.ndarray, rows: np.ndarray, minimum: int) -> bool:
    """Whether there are so many patients among the rows, and with each outcome."""
    people = pd.DataFrame({"patient": patients[rows], "y": y[rows]}).drop_duplicates()
    return people["patient"].nunique() >= minimum and problem.fewest(people["y"].to_numpy()) >= minimum


def _order(level: str) -> tuple[int, str]:
    """Age bands by age, others by name, what is not known last."""
    bands = list(AGE_BANDS)
    return (bands.index(level) if level in bands else len(bands) + (level == NOT_KNOWN), level)


def _figures(
    dimension: str,
    level: str,
    problem: Problem,
    y: np.ndarray,
    prediction: np.ndarray,
    inside: np.ndarray,
    compared: bool,
) -> Subgroup:
    """Of one group; `compared` with all other rows where those are of patients enough."""
    value, ends = (
        problem.measure(y[inside], prediction[inside]),
        problem.interval(y[inside], prediction[inside]),
    )
    gap = gap_ends = None
    if compared:
        rest = ~inside
        other, other_ends = (
            problem.measure(y[rest], prediction[rest]),
            problem.interval(y[rest], prediction[rest]),
        )
        gap = value - other
        gap_ends = of_difference(value, ends, other, other_ends) if ends and other_ends else None
    errors = problem.errors(y[inside], prediction[inside])
    return Subgroup(
        dimension=dimension,
        level=level,
        n=int(inside.sum()),
        value=value,
        interval=ends,
        gap=gap,
        gap_interval=gap_ends,
        bias=None if errors is None else float(errors.mean()),
        bias_interval=None if errors is None else of_mean(errors),
    )


def hidden_below(subgroups: Sequence[Subgroup], minimum: int) -> tuple[Subgroup, ...]:
    """The same groups, without the figures of those with fewer rows: the minimum may have risen since."""
    return tuple(
        group
        if group.n is None or group.n >= minimum
        else Subgroup(group.dimension, group.level, None, reason=f"fewer than {minimum} patients")
        for group in subgroups
    )


def worse_groups(subgroups: Sequence[Subgroup], *, greater_is_better: bool) -> list[tuple[Subgroup, str]]:
    """Groups that the model serves worse (`gap`), or whose predictions are off (`bias`), by more than chance.

    As many intervals are looked at as there are groups, so each is widened until all of them together miss
    in one evaluation of twenty (Bonferroni).
    """
    from scipy.stats import norm

    judged = [group for group in subgroups if group.gap is not None or group.bias is not None]
    if not judged:
        return []
    tests = sum((group.gap is not None) + (group.bias is not None) for group in judged)
    wider = float(norm.ppf(1 - 0.025 / tests)) / Z95
    worse = []
    for group in judged:
        if _beyond(group.gap, group.gap_interval, wider, -1 if greater_is_better else 1):
            worse.append((group, "gap"))
        if _beyond(group.bias, group.bias_interval, wider, 1) or _beyond(
            group.bias, group.bias_interval, wider, -1
        ):
            worse.append((group, "bias"))
    return worse


def _beyond(value: float | None, ends: Interval | None, wider: float, side: int) -> bool:
    """Whether the widened interval lies on that side of 0."""
    if value is None or ends is None:
        return False
    if side < 0:
        return value + wider * (ends.high - value) < 0
    return value - wider * (value - ends.low) > 0
