"""How well one coded column tells the outcome, out of fold: AUC for classes, Pearson's r for numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from e2i_assets.contracts.spelling import as_key, as_label
from e2i_assets.leakage import name_rules
from e2i_assets.leakage.binning import Coded, as_numbers
from e2i_assets.leakage.findings import LeakageError


class TargetError(LeakageError):
    """Nothing can be compared with the target. What contract, dates and splits say is true all the same."""


MIN_ROWS = 30
MIN_CLASS = 5
"""Fewer rows, or fewer of a class, and nothing can be said."""
SHRINK = 5.0
"""Prior rows in a level's mean, so that a level of two rows is not believed."""

AUC_LIMIT = 0.95
"""Above this a single column is suspect; it leaks if it also beats all unsuspicious columns together."""
AUC_CERTAIN = 0.99
"""Above this a single column leaks whatever the others say."""

_FOLDS = 5
_MAX_CLASSES = 20
_MAX_NUMBERED = 10  # numbers with at most so many values are classes


@dataclass(frozen=True)
class Outcome:
    """The target, ready for comparison.

    Attributes:
        columns: shape (n, k): 0/1 for the rarer of two classes, or one such column per class, or the
            standardized number of a regression.
        weights: share of each class, shape (k,).
        folds: fold of each row, shape (n,).
        is_event: the values may say whether an event was seen: numbers do, and words such as `dead`.
        left_out: classes of too few rows, or beyond the 20 commonest, with which nothing is compared.
    """

    kind: Literal["binary", "classes", "regression"]
    columns: np.ndarray
    weights: np.ndarray
    folds: np.ndarray
    is_event: bool = True
    left_out: int = 0


@dataclass(frozen=True)
class Fit:
    """A column's prediction of the outcome from the other folds.

    Attributes:
        strength: AUC averaged over classes by their share, or r; 0.5 or 0 says nothing.
        strengths: that of each class against the rest, shape (k,).
        means: predicted outcome of each cell (fold and level), shape (folds * levels, k).
    """

    strength: float
    strengths: np.ndarray
    means: np.ndarray


def as_outcome(target: pd.Series, groups: pd.Series | None, regression: bool | None = None) -> Outcome:
    """The target without nulls as `Outcome`.

    Args:
        regression: whether it is a number that is predicted; when left out, one of more than ten values is.

    Raises:
        TargetError: fewer than 30 rows, one class, fewer than 5 rows outside the largest, infinite values.
    """
    if len(target) < MIN_ROWS:
        raise TargetError(
            "too_few_rows", f"target {target.name}: {len(target)} rows with a value, of {MIN_ROWS} needed"
        )
    target = target if pd.api.types.is_numeric_dtype(target) else as_label(target)
    codes, classes = pd.factorize(target, sort=False)
    if len(classes) < 2:
        raise TargetError(
            "one_class", f"target {target.name}: one class or value only, so nothing can be compared with it"
        )
    numbers = None if regression is False else as_numbers(target)
    if numbers is not None and (regression or (len(classes) > 2 and not _few(np.unique(numbers)))):
        return _regression(target, numbers, groups)
    counts = np.bincount(codes)
    commonest = np.argsort(-counts, kind="stable")[:_MAX_CLASSES]
    if counts[commonest[1]] < MIN_CLASS:
        raise TargetError(
            "too_few_rows", f"target {target.name}: fewer than {MIN_CLASS} rows outside the largest class"
        )
    wanted = commonest[1:2] if len(classes) == 2 else commonest[counts[commonest] >= MIN_CLASS]
    columns = (codes[:, None] == wanted[None, :]).astype(float)
    shares = counts[wanted] / counts[wanted].sum()
    kind: Literal["binary", "classes"] = "binary" if len(classes) == 2 else "classes"
    is_event = name_rules.are_of_an_event(tuple(str(value) for value in classes[:_MAX_CLASSES]))
    left_out = 0 if kind == "binary" else len(classes) - len(wanted)
    return Outcome(kind, columns, shares, _folds(codes, groups), is_event, left_out)


def cells_of(coded: Coded, outcome: Outcome) -> np.ndarray:
    """The cell of each row, its fold and level as one number, shape (n,)."""
    return outcome.folds * coded.levels + coded.codes


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Of probabilities between 0 and 1, both excluded."""
    return np.log(probability / (1 - probability))


def fit(coded: Coded, outcome: Outcome) -> Fit:
    """Predict each row by its level's mean outcome in the other folds, an unseen level by the base rate."""
    cells = cells_of(coded, outcome)
    shape = (_FOLDS, coded.levels)
    counts = np.bincount(cells, minlength=_FOLDS * coded.levels).reshape(shape)
    seen = counts.sum(axis=0) - counts
    means, strengths = [], []
    for column in outcome.columns.T:
        sums = np.bincount(cells, weights=column, minlength=counts.size).reshape(shape)
        mean = ((sums.sum(axis=0) - sums + SHRINK * column.mean()) / (seen + SHRINK)).reshape(-1)
        compare = _correlation_of_cells if outcome.kind == "regression" else auc
        strengths.append(compare(mean, sums.reshape(-1), counts.reshape(-1)))
        means.append(mean)
    each = np.array(strengths)
    return Fit(float(each @ outcome.weights), each, np.column_stack(means))


def separation(scores: np.ndarray, outcome: np.ndarray, kind: str) -> float:
    """How well scores tell one outcome: AUC for 0/1 (0.5 where one of them only is there), R² for numbers."""
    if kind == "regression":
        spread = float(((outcome - outcome.mean()) ** 2).sum())
        return 1 - float(((outcome - scores) ** 2).sum()) / spread if spread > 0 else 0.0
    if outcome.min() == outcome.max():
        return 0.5
    return auc(scores, outcome, np.ones(len(scores)))


def correlation(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """Pearson's r over the rows that have both; 0 for fewer than 30 or a constant."""
    if a is None or b is None:
        return 0.0
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 30 or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return 0.0
    return float(np.corrcoef(a[both], b[both])[0, 1])


def auc(scores: np.ndarray, hits: np.ndarray, counts: np.ndarray) -> float:
    """Area under the ROC curve of scores that `counts` rows share, `hits` of them positive.

    Ties count half (Mann-Whitney).
    """
    _, place = np.unique(scores, return_inverse=True)
    hit = np.bincount(place, weights=hits)
    miss = np.bincount(place, weights=counts) - hit
    below = np.cumsum(miss) - miss
    return float((hit * (below + miss / 2)).sum() / (hit.sum() * miss.sum()))


def _correlation_of_cells(means: np.ndarray, sums: np.ndarray, counts: np.ndarray) -> float:
    """Pearson's r of predictions with a standardized outcome, from the sums of each cell."""
    rows = counts.sum()
    centred = means - (counts * means).sum() / rows
    spread = np.sqrt((counts * centred**2).sum() / rows)
    return float((centred * sums).sum() / rows / spread) if spread > 0 else 0.0


def _regression(target: pd.Series, numbers: np.ndarray, groups: pd.Series | None) -> Outcome:
    if not np.isfinite(numbers).all():
        raise TargetError("missing_value", f"target {target.name}: infinite values")
    standard = (numbers - numbers.mean()) / numbers.std()
    folds = _folds(np.zeros(len(target), dtype=np.int64), groups)
    return Outcome("regression", standard[:, None], np.ones(1), folds)


def _few(numbers: np.ndarray) -> bool:
    """Whether numbers are but names of classes: a few, as 0, 0.5 and 1 for no, partial and full response."""
    return len(numbers) <= _MAX_NUMBERED and bool(np.isfinite(numbers).all())


def _folds(strata: np.ndarray, groups: pd.Series | None) -> np.ndarray:
    """Strata spread evenly, or whole groups where there are any. The same rows always get the same folds."""
    rng = np.random.default_rng(0)
    if groups is None:
        shuffled = rng.permutation(len(strata))
        order = shuffled[np.argsort(strata[shuffled], kind="stable")]
        folds = np.empty(len(strata), dtype=np.int64)
        folds[order] = np.arange(len(strata)) % _FOLDS
        return folds
    codes, values = pd.factorize(as_key(groups), sort=True)
    return (rng.permutation(len(values)) % _FOLDS)[codes]
