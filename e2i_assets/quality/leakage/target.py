"""Target leakage: a feature that says what the outcome is. One column at a time, judged out of fold.

Each column is cut into levels (`coding`), each level is given the mean outcome of the other folds, and the
result is compared with the outcome (`strength`): numbers, categories, booleans, missing values and
non-monotone shapes are all seen alike, and an identifier with as many levels as rows says nothing, because no
level comes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from e2i_assets.quality.leakage.coding import Coded, as_numbers, code
from e2i_assets.quality.leakage.findings import Finding
from e2i_assets.quality.leakage.strength import MIN_ROWS, Outcome, as_outcome, auc, fit

CORRELATION_LIMIT = 0.95
"""Guide: "features with > 95 % correlation to target"; also the limit on the out-of-fold correlation."""
AUC_LIMIT = 0.95
"""Above this a single column is suspect; it leaks if it also beats all unsuspicious columns together."""
AUC_CERTAIN = 0.99
"""Above this a single column leaks whatever the others say."""
LEAD = 0.02
"""How far a suspect must be ahead of the others together: a disease that every measurement shows (tumour
size, area, perimeter) has single columns above 0.95 that are no leaks."""
EXPECTED_EXCEPTIONS = 30
"""A level decides the outcome when it has none of this many exceptions that the base rate would bring."""
EXPECTED_EXCEPTIONS_COMMON = 100
"""The same for a value that decides for the commoner outcome: groups of very low risk are natural."""


@dataclass(frozen=True)
class _Judged:
    column: str
    strength: float
    finding: Finding | None


def target_findings(
    train: pd.DataFrame, target: str, features: Sequence[str], groups: pd.Series | None
) -> list[Finding]:
    """Findings of kind `target`, at most one per feature; rows without a target are left out.

    Args:
        groups: rows of one group (a patient) stay in one fold, so that a patient's constants cannot be
            learned by heart.

    Raises:
        LeakageError: the target cannot be compared with anything (see `as_outcome`).
    """
    known = train[target].notna().to_numpy()
    frame = train.loc[known]
    outcome = as_outcome(frame[target], groups.loc[known] if groups is not None else None)
    joint = np.zeros(len(frame))  # naive Bayes of the unsuspicious columns, out of fold like each of them
    judged = []
    for name in features:
        coded = code(frame[name])
        fitted = fit(coded, outcome)
        found = _finding(name, frame[name], coded, fitted.strength, outcome)
        judged.append(_Judged(name, fitted.strength, found))
        if outcome.kind == "binary" and not found and fitted.strength <= AUC_LIMIT:
            joint += _log_odds(fitted.means[:, 0])[fitted.cells]
    if outcome.kind == "binary":
        others = auc(joint, outcome.columns[:, 0], np.ones(len(frame)))
        judged = [v if v.finding else _stands_out(v, others) for v in judged]
    return [v.finding for v in judged if v.finding]


def _finding(name: str, column: pd.Series, coded: Coded, strength: float, outcome: Outcome) -> Finding | None:
    linear = _linear(column, outcome)
    if linear > CORRELATION_LIMIT:
        return Finding("target", name, linear, CORRELATION_LIMIT, "absolute correlation with the target")
    if outcome.kind == "regression":
        evidence = "cross-validated correlation of the target with its mean by levels of this column alone"
        limit = CORRELATION_LIMIT
        return Finding("target", name, strength, limit, evidence) if strength > limit else None
    if strength > AUC_CERTAIN:
        return Finding("target", name, strength, AUC_CERTAIN, _evidence(coded, outcome))
    return _deciding_level(name, coded, outcome)


def _stands_out(verdict: _Judged, others: float) -> _Judged:
    """A suspect between the two limits leaks when it is ahead of all unsuspicious columns together."""
    if verdict.strength <= max(AUC_LIMIT, others + LEAD):
        return verdict
    evidence = f"cross-validated AUC of this column alone; all unsuspicious columns together: {others:.3f}"
    found = Finding("target", verdict.column, verdict.strength, AUC_LIMIT, evidence)
    return _Judged(verdict.column, verdict.strength, found)


def _linear(column: pd.Series, outcome: Outcome) -> float:
    """Absolute Pearson correlation with the target over the rows that have a value."""
    numbers = as_numbers(column)
    if numbers is None or outcome.kind == "classes":
        return 0.0
    there = np.isfinite(numbers)
    x, y = numbers[there], outcome.columns[there, 0]
    if len(x) < MIN_ROWS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(abs(np.corrcoef(x, y)[0, 1]))


def _log_odds(probability: np.ndarray) -> np.ndarray:
    return np.log(probability / (1 - probability))


def _evidence(coded: Coded, outcome: Outcome) -> str:
    if coded.missing is not None:
        present = (coded.codes != coded.missing).astype(np.int64)
        alone = fit(Coded(present, 2, np.ones(2, dtype=bool), None), outcome).strength
        if alone > AUC_LIMIT:
            return f"whether the value is there tells the target: cross-validated AUC {alone:.3f} from that"
    return "cross-validated AUC of this column alone"


def _deciding_level(name: str, coded: Coded, outcome: Outcome) -> Finding | None:
    """A value, or presence or absence as such, with real support and not one exception."""
    counts = np.bincount(coded.codes, minlength=coded.levels)
    classes = outcome.columns
    for indicator in np.column_stack([classes, 1 - classes]).T if outcome.kind == "binary" else classes.T:
        hits = np.bincount(coded.codes, weights=indicator, minlength=coded.levels)
        for what, support in _pure(coded, counts, hits, float(indicator.mean())):
            evidence = f"{what} comes with one outcome only, in all of {support} rows"
            return Finding("target", name, 1.0, 1.0, evidence)
    return None


def _pure(coded: Coded, counts: np.ndarray, hits: np.ndarray, base: float) -> Iterator[tuple[str, int]]:
    """What comes with this outcome only, by how many rows; `base` is the outcome's share of all rows."""
    rows, enough = counts.sum(), EXPECTED_EXCEPTIONS / (1 - base)
    values = coded.real.copy()
    if coded.missing is not None:
        values[coded.missing] = False
        empty, hit = int(counts[coded.missing]), hits[coded.missing]
        if empty == hit and empty >= enough:
            yield "a missing value", empty
        if rows - empty == hits.sum() - hit and rows - empty >= enough:
            yield "any value at all", int(rows - empty)
    if base > 0.5:
        enough = EXPECTED_EXCEPTIONS_COMMON / (1 - base)
    pure = counts[values & (counts == hits) & (counts >= enough)]
    if len(pure):
        yield "one of its values", int(pure.max())
