"""What tells the target by itself: one column at a time, judged out of fold.

Each column is cut into levels (`binning`), each level is given the mean outcome of the other folds, and the
result is compared with the outcome (`univariate`): numbers, categories, booleans, missing values and
non-monotone shapes are all seen alike, and an identifier with as many levels as rows says nothing, because no
level comes back. A number that is made of a target which is a number need not tell it back: of the square of
the distance from its middle, either side has as much. It is judged the other way round, by what the target
tells of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from e2i_assets.leakage.binning import Coded
from e2i_assets.leakage.findings import Examined, Finding, Note
from e2i_assets.leakage.univariate import AUC_CERTAIN, AUC_LIMIT, MIN_ROWS, Outcome, correlation, fit
from e2i_assets.leakage.view import Column, View

CORRELATION_LIMIT = 0.95
"""Guide: "features with > 95 % correlation to target"; also the limit on the out-of-fold correlation."""
MADE_LIMIT = 0.98
"""Above this correlation with what the target tells of a column, it is made of the target. Beyond the limit
on what tells the target: ranks of an earlier measurement of a skewed amount correlate better than it does. Of
1,542 pairs of columns of public tables the rules before leave three above it: time under observation and the
year of an event, a number that was given by treatment, and a start that is 0 without a transplant."""
_NEIGHBOURS = 2
"""Rows on either side of a target's value that tell what a column is there."""
_MOST_ROWS = 5000
"""A rule by which a column is made of the target shows in as many rows."""


def tells_alone(view: View) -> Iterator[Note]:
    """Columns that correlate with the target, or predict it, nearly perfectly."""
    for column in view.left:
        if finding := _finding(column, view.outcome):
            yield finding
    yield Examined("target", len(view.features) - len(view.unjudged))


def _finding(column: Column, outcome: Outcome) -> Finding | None:
    linear = _linear(column.numbers, outcome)
    if linear > CORRELATION_LIMIT:
        return Finding(
            "target", column.name, linear, CORRELATION_LIMIT, "absolute correlation with the target"
        )
    if outcome.kind == "regression":
        if column.strength > CORRELATION_LIMIT:
            evidence = "cross-validated correlation of the target with its mean by levels of this column"
            return Finding("target", column.name, column.strength, CORRELATION_LIMIT, evidence)
        made = _made_of(outcome, column.numbers)
        evidence = "cross-validated correlation of this column with its values at targets nearly as large"
        return Finding("target", column.name, made, MADE_LIMIT, evidence) if made > MADE_LIMIT else None
    if column.strength <= AUC_CERTAIN:
        return None
    return Finding("target", column.name, column.strength, AUC_CERTAIN, _evidence(column.coded, outcome))


def _linear(numbers: np.ndarray | None, outcome: Outcome) -> float:
    """Absolute Pearson correlation with the target over the rows that have a value."""
    if numbers is None or outcome.kind == "classes":
        return 0.0
    finite = np.isfinite(numbers)
    x, y = numbers[finite], outcome.columns[finite, 0]
    if len(x) < MIN_ROWS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(abs(np.corrcoef(x / np.abs(x).max(), y)[0, 1]))


def _made_of(outcome: Outcome, numbers: np.ndarray | None) -> float:
    """Correlation of a column's ranks with their mean at the nearest targets of the other folds."""
    from scipy.stats import rankdata

    if numbers is None:
        return 0.0
    # Rows of one target come in any order, so that one number of a row does not tell the next one's.
    finite = np.random.default_rng(0).permutation(np.flatnonzero(np.isfinite(numbers)))
    order = finite[np.argsort(outcome.columns[finite, 0], kind="stable")]
    order = order[:: max(1, len(order) // _MOST_ROWS)]
    if len(order) < MIN_ROWS or np.ptp(numbers[order]) == 0:
        return 0.0
    ranks, folds = rankdata(numbers[order]), outcome.folds[order]
    expected = np.empty(len(order))
    for fold in np.unique(folds):
        others = ranks[folds != fold]
        if len(others) < 2 * _NEIGHBOURS:
            return 0.0
        at = np.cumsum(folds != fold)[folds == fold]
        near = at[:, None] + np.arange(-_NEIGHBOURS, _NEIGHBOURS)
        expected[folds == fold] = others[near.clip(0, len(others) - 1)].mean(axis=1)
    return correlation(expected, ranks)


def _evidence(coded: Coded, outcome: Outcome) -> str:
    if coded.missing is not None:
        present = (coded.codes != coded.missing).astype(np.int64)
        alone = fit(Coded(present, 2, np.ones(2, dtype=bool), None), outcome).strength
        if alone > AUC_LIMIT:
            return f"whether the value is there tells the target: cross-validated AUC {alone:.3f} from that"
    return "cross-validated AUC of this column alone"
