"""How a model does in groups of patients: age, sex, region, insurance. Aggregates only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
WITHHELD = "withheld, so that a small group cannot be worked out from the total"
"""The reason of a group that is not small itself."""


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
) -> list[Subgroup]:
    of_row = levels.to_numpy()
    groups, people = [], []
    for level in sorted(set(of_row), key=_order):
        inside = of_row == level
        people.append(len(np.unique(patients[inside])))
        fewest = _fewest(problem, y, patients, inside)
        if people[-1] < minimum:
            group = Subgroup(dimension, level, None, reason=f"fewer than {minimum} patients")
        elif fewest < minimum:
            few = f"fewer than {minimum} of an outcome"
            group = Subgroup(dimension, level, int(inside.sum()), reason=few, patients=people[-1])
        else:
            compared = _fewest(problem, y, patients, ~inside) >= minimum
            figures = _figures(dimension, level, problem, y, prediction, inside, compared)
            group = replace(figures, patients=fewest)
        groups.append(group)
    return _not_reckoned(groups, people, minimum)


def _fewest(problem: Problem, y: np.ndarray, patients: np.ndarray, rows: np.ndarray) -> int:
    """Patients among the rows, or with the rarer outcome where that is fewer."""
    people = pd.DataFrame({"patient": patients[rows], "y": y[rows]}).drop_duplicates()
    return min(people["patient"].nunique(), problem.fewest(people["y"].to_numpy()))


def _not_reckoned(groups: Sequence[Subgroup], people: Sequence[int], minimum: int) -> list[Subgroup]:
    """Groups of one dimension; where small ones were all less the others, the smallest of those join them.

    Two at least are then not told of, of patients enough together (complementary suppression).
    """
    table = list(groups)
    larger = iter(sorted((i for i, g in enumerate(table) if g.n is not None), key=lambda i: people[i]))
    hidden = [i for i, group in enumerate(table) if group.n is None]
    while hidden and (len(hidden) < 2 or sum(people[i] for i in hidden) < minimum):
        if (joined := next(larger, None)) is None:
            break
        table[joined] = Subgroup(table[joined].dimension, table[joined].level, None, reason=WITHHELD)
        hidden.append(joined)
    return table


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
    """The same groups, without the figures of those of fewer patients: the minimum may have risen since."""
    shown: list[Subgroup] = []
    for dimension in dict.fromkeys(group.dimension for group in subgroups):
        own = [group for group in subgroups if group.dimension == dimension]
        # Of a group that is hidden already it is not known how many they are; one at least.
        people = [1 if group.n is None else group.patients or group.n for group in own]
        if all(group.n is None or count >= minimum for group, count in zip(own, people, strict=True)):
            shown += own  # judged at this minimum when they were made
            continue
        few = f"fewer than {minimum} patients, or of an outcome"
        now = [
            group
            if group.n is None or count >= minimum
            else Subgroup(dimension, group.level, None, reason=few)
            for group, count in zip(own, people, strict=True)
        ]
        shown += _not_reckoned(now, people, minimum)
    return tuple(shown)


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
