"""What tells the target by itself: one column at a time, judged out of fold.

Each column is cut into levels (`binning`), each level is given the mean outcome of the other folds, and the
result is compared with the outcome (`univariate`): numbers, categories, booleans, missing values and
non-monotone shapes are all seen alike, and an identifier with as many levels as rows says nothing, because no
level comes back.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from e2i_assets.leakage.binning import Coded
from e2i_assets.leakage.findings import Examined, Finding, Note
from e2i_assets.leakage.univariate import AUC_CERTAIN, AUC_LIMIT, MIN_ROWS, Outcome, fit
from e2i_assets.leakage.view import Column, View

CORRELATION_LIMIT = 0.95
"""Guide: "features with > 95 % correlation to target"; also the limit on the out-of-fold correlation."""


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
        if column.strength <= CORRELATION_LIMIT:
            return None
        evidence = "cross-validated correlation of the target with its mean by levels of this column alone"
        return Finding("target", column.name, column.strength, CORRELATION_LIMIT, evidence)
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


def _evidence(coded: Coded, outcome: Outcome) -> str:
    if coded.missing is not None:
        present = (coded.codes != coded.missing).astype(np.int64)
        alone = fit(Coded(present, 2, np.ones(2, dtype=bool), None), outcome).strength
        if alone > AUC_LIMIT:
            return f"whether the value is there tells the target: cross-validated AUC {alone:.3f} from that"
    return "cross-validated AUC of this column alone"
