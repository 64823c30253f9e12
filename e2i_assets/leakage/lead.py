"""Columns that are suspect by themselves, and ahead of all unsuspicious columns together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from e2i_assets.leakage import name_rules
from e2i_assets.leakage.findings import Finding
from e2i_assets.leakage.univariate import AUC_CERTAIN, AUC_LIMIT, Outcome, auc, cells_of, log_odds
from e2i_assets.leakage.view import Column, View

LEAD = 0.05
"""How far a suspect must be ahead of the others together: a disease that every measurement shows (tumour
size, area, perimeter) has single columns above 0.95 that are no leaks."""
STRONG = 0.75
"""AUC from which on a name that may mean anything is suspect."""
GAIN = 0.03
"""How far such a name must be ahead of the others together."""


def stands_out(view: View) -> Iterator[Finding]:
    """What is suspect and ahead of all unsuspicious columns together."""
    if view.outcome.kind == "classes":
        yield from _for_a_class(view.left, view.outcome)
    if view.outcome.kind != "binary":
        return
    others, _ = view.others
    for column in view.left:
        if column.strength > max(AUC_LIMIT, others + LEAD) and not name_rules.is_history(column.name):
            evidence = (
                f"cross-validated AUC of this column alone; all unsuspicious columns together: {others:.3f}"
            )
            yield Finding("target", column.name, column.strength, AUC_LIMIT, evidence)


def weakly_named(view: View) -> Iterator[Finding]:
    """A bare duration, or a change between years, that tells far more than all else together.

    Such a name may as well be that of something planned or past; only its lead makes it suspect.
    """
    if view.outcome.kind != "binary":
        return
    _, others = view.others
    for column in view.left:
        if column.name in view.early or not name_rules.is_weak(column.name):
            continue
        if column.strength >= max(STRONG, others + GAIN):
            evidence = (
                f"cross-validated AUC of this column alone; it is named as a "
                f"{name_rules.meaning_of(column.name)} and tells more than all unsuspicious columns together "
                f"({others:.3f})"
            )
            yield Finding("target", column.name, column.strength, STRONG, evidence)


def _for_a_class(columns: Sequence[Column], outcome: Outcome) -> Iterator[Finding]:
    """What tells one class from the rest, and is ahead of all other columns together in that.

    A species that differs from the others by its petals does so in length and in width.
    """
    suspects = [c for c in columns if c.strongest > AUC_CERTAIN and not name_rules.is_history(c.name)]
    if not suspects:
        return
    odds, ones = sum(_odds(c, outcome) for c in columns), np.ones(len(outcome.folds))
    for column in suspects:
        rest, own = odds - _odds(column, outcome), column.fitted
        others = np.array([auc(x, y, ones) for x, y in zip(rest.T, outcome.columns.T, strict=True)])
        best = int(np.argmax(own.strengths - others))
        if own.strengths[best] > max(AUC_CERTAIN, others[best] + LEAD):
            evidence = (
                "cross-validated AUC of this column alone for one class against the rest; all other columns "
                f"together: {others[best]:.3f}"
            )
            yield Finding("target", column.name, float(own.strengths[best]), AUC_CERTAIN, evidence)


def _odds(column: Column, outcome: Outcome) -> np.ndarray:
    """Out-of-fold log-odds of each row for each class, shape (n, k)."""
    return log_odds(column.fitted.means)[cells_of(column.coded, outcome)]
