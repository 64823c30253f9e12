"""Columns that determine the target together although none does alone: sums, differences, comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from e2i_assets.leakage import name_rules
from e2i_assets.leakage.findings import Finding
from e2i_assets.leakage.univariate import AUC_LIMIT, MIN_CLASS, Outcome, auc
from e2i_assets.leakage.view import View

EXACT = 0.9999
"""Explained share of the target's variance from which on a sum of columns is the target itself."""
SEPARATES = 0.9995
"""AUC from which on the difference of two columns is the target itself."""
_ROWS, _PAIR_ROWS = 20_000, 4_000
_MOST = 60  # numeric columns; beyond them pairs are too many
_FEW = 4  # values of a number that is a code rather than a quantity
_NEGLIGIBLE = 1e-3  # weight, in standard deviations
_ROWS_PER_COLUMN = 10


def determines(view: View) -> list[Finding]:
    """Columns that hold the target's arithmetic, which all columns as separate evidence do not show."""
    outcome = view.outcome
    if outcome.kind == "classes" or (outcome.kind == "binary" and view.others[0] > AUC_LIMIT):
        return []
    numeric = {c.name: c.numbers for c in view.left if c.numbers is not None and _varies(c.numbers)}
    if len(numeric) < 2:
        return []
    if outcome.kind == "regression":
        return _sums(numeric, outcome.columns[:, 0])
    return _pairs(numeric, outcome) if len(numeric) <= _MOST else []


def _varies(numbers: np.ndarray) -> bool:
    finite = np.isfinite(numbers)
    return bool(finite.mean() > 0.5 and len(np.unique(numbers[finite][:_PAIR_ROWS])) > _FEW)


def _sums(columns: Mapping[str, np.ndarray], target: np.ndarray) -> list[Finding]:
    values = np.column_stack(list(columns.values()))
    rows = _spread(np.isfinite(values).all(axis=1), _ROWS)
    if len(rows) < _ROWS_PER_COLUMN * len(columns):
        return []
    x, y = values[rows], target[rows]
    x = (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    y = y - y.mean()
    weights, *_ = np.linalg.lstsq(x, y, rcond=None)
    explained = 1 - float(((y - x @ weights) ** 2).sum() / (y**2).sum())
    if explained < EXACT:
        return []
    parts = [name for name, w in zip(columns, weights, strict=True) if abs(w) > _NEGLIGIBLE]
    evidence = f"explained share of the target: it is a sum or difference of {', '.join(parts)}"
    return [Finding("target", name, explained, EXACT, evidence) for name in _latest(parts)]


def _latest(parts: Sequence[str]) -> list[str]:
    """Of measurements of one quantity in several years only the last: the first was there before."""
    last = [p for p in parts if not any(name_rules.same_quantity_later(p, other) for other in parts)]
    return last or list(parts)


def _pairs(columns: Mapping[str, np.ndarray], outcome: Outcome) -> list[Finding]:
    rows = _spread(np.ones(len(outcome.folds), dtype=bool), _PAIR_ROWS)
    y, ones = outcome.columns[rows, 0], np.ones(len(rows))
    findings: dict[str, Finding] = {}
    for (a, x), (b, z) in combinations(((name, numbers[rows]) for name, numbers in columns.items()), 2):
        both = np.isfinite(x) & np.isfinite(z)
        hits = y[both].sum()
        if both.mean() < 0.9 or min(hits, both.sum() - hits) < MIN_CLASS:
            continue
        score = auc((x - z)[both], y[both], ones[both])
        if max(score, 1 - score) >= SEPARATES:
            evidence = f"AUC of the difference of {a} and {b}, neither of which tells it alone"
            for name in _not_first({a: x, b: z}):
                findings.setdefault(name, Finding("target", name, max(score, 1 - score), SEPARATES, evidence))
    return list(findings.values())


def _not_first(pair: Mapping[str, np.ndarray]) -> list[str]:
    """Of two numbers of which one is never before the other, as order and delivery, only the later one."""
    (a, x), (b, z) = pair.items()
    both = np.isfinite(x) & np.isfinite(z)
    if (x[both] <= z[both]).all():
        return [b]
    return [a] if (x[both] >= z[both]).all() else [a, b]


def _spread(usable: np.ndarray, most: int) -> np.ndarray:
    """At most so many usable rows, evenly taken."""
    rows = np.flatnonzero(usable)
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(int)]
