"""Is it plausible how well the features tell the outcome: one alone, two together, all together?

Features may tell together what none tells alone, and what is almost the outcome is no single leak. So their
figures are a question to whoever knows when each became known. What a contract declares as known on the index
date answers it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from e2i_assets.leakage.binning import Coded
from e2i_assets.leakage.findings import Finding, Limit, Note
from e2i_assets.leakage.joint import ROWS, Joint, spread
from e2i_assets.leakage.univariate import (
    MIN_CLASS,
    Outcome,
    cells_of,
    correlation,
    fit,
    log_odds,
    separation,
)
from e2i_assets.leakage.view import Column, View

ALONE_AUC, ALONE_R2 = 0.80, 0.64
"""Above these one undeclared feature, or two that only tell together, are a question. Whole models of
clinical outcomes rarely exceed an AUC of 0.80 ("excellent discrimination", Hosmer and Lemeshow 2000)."""
DETERMINED_AUC, DETERMINED_R2 = 0.95, 0.95
"""Above these two that only tell together are a leak where no contract can answer."""
TOGETHER = 0.10
"""How much more two features tell than both do as separate evidence, to be said to tell it together."""
MATERIAL = 0.002
"""Least loss by shuffling a feature for it to carry anything of the joint figure."""
PARTNER = 0.25
"""Share of the greatest loss from which on a feature carries the figure, too, as the other of a pair does."""
_MOST = 150  # columns; beyond them pairs are too many
_PAIR_ROWS = 5_000
_MOST_IN_THREES, _FEW_LEVELS = 20, 3  # columns, beyond which threes are too many; levels of each
_LEVELS = 8
_ROUNDS = 15
_LISTED = 5


def tells_much_alone(view: View) -> Iterator[Finding]:
    """Undeclared columns that tell much of the target."""
    if view.asked is None:
        return
    limit = _limit(view)
    for column in view.unsuspected:
        if column.name in view.asked and (figure := _alone(view.outcome, column)) > limit:
            evidence = f"{_figure(view.outcome)} of this column alone{_ANSWER}"
            yield Finding("plausibility", column.name, figure, limit, evidence)


def _limit(view: View) -> float:
    """Above it a figure is a question, or where no contract can answer it a leak."""
    if view.asked is None:
        return _either(view.outcome, DETERMINED_AUC, DETERMINED_R2)
    return min(view.plausible.limit(view.outcome), _either(view.outcome, ALONE_AUC, ALONE_R2))


_ANSWER = ", of which nobody has said when it is known: say so in the contract (available_at)"


def _figure(outcome: Outcome) -> str:
    return "cross-validated R²" if outcome.kind == "regression" else "cross-validated AUC"


def _either(outcome: Outcome, auc: float, r2: float) -> float:
    return r2 if outcome.kind == "regression" else auc


def _alone(outcome: Outcome, column: Column) -> float:
    """What a column tells by its levels, or by its order, which few rows are enough for."""
    rows = spread(len(outcome.folds), ROWS)
    numbers = np.full(len(rows), np.nan) if column.numbers is None else column.numbers[rows]
    finite = np.isfinite(numbers)
    x, wanted = numbers[finite], outcome.columns[rows][finite]
    if outcome.kind == "regression":
        return max(column.strongest**2, correlation(x, wanted[:, 0]) ** 2)
    enough = [y for y in wanted.T if MIN_CLASS <= y.sum() <= len(y) - MIN_CLASS]
    ranked = [separation(x, y, outcome.kind) for y in enough]
    return max([column.strongest, *ranked, *(1 - auc for auc in ranked)])


def tells_in_twos(view: View) -> Sequence[Note]:
    """Two columns that tell together what they do not tell apart, as `a != b` does."""
    columns = view.unsuspected
    if len(columns) > _MOST:
        return [Limit(f"{len(columns)} features are too many to be looked at in pairs")]
    asked, limit, (rows, sample) = view.asked, _limit(view), _sample(view.outcome)
    coarse = {c.name: _coarse(c, rows) for c in columns}
    alone = {name: _scores(coded, sample) for name, coded in coarse.items() if coded.levels > 1}
    findings: list[Finding] = []
    for a, b in combinations(alone, 2):
        if asked is not None and not {a, b} & asked:
            continue
        one, other = coarse[a], coarse[b]
        both = Coded(one.codes * other.levels + other.codes, one.levels * other.levels, np.empty(0), None)
        figure = _strongest(_scores(both, sample), sample)
        if figure <= limit or figure <= (apart := _strongest(alone[a] + alone[b], sample)) + TOGETHER:
            continue
        for name, partner in ((a, b), (b, a)):
            evidence = f"{_figure(sample)} with {partner}, where both apart have {apart:.3f}"
            if asked is None:
                findings.append(Finding("target", name, figure, limit, evidence))
            elif name in asked:
                findings.append(Finding("plausibility", name, figure, limit, evidence + _ANSWER))
    return sorted(findings, key=lambda f: -f.statistic)


def _sample(outcome: Outcome) -> tuple[np.ndarray, Outcome]:
    """The rows that combinations are looked at in, and their outcome."""
    rows = spread(len(outcome.folds), _PAIR_ROWS)
    return rows, replace(outcome, columns=outcome.columns[rows], folds=outcome.folds[rows])


def tells_in_threes(view: View) -> Iterator[Finding]:
    """Three columns of few levels that tell together what they do not tell apart, nor any two of them.

    All features together show it as well where there are enough rows to learn it from.
    """
    if view.asked is None:
        return
    limit, (rows, sample) = _limit(view), _sample(view.outcome)
    coarse = {
        c.name: coded for c in view.unsuspected if 1 < (coded := _coarse(c, rows)).levels <= _FEW_LEVELS
    }
    if len(coarse) > _MOST_IN_THREES:
        return
    for names in combinations(coarse, 3):
        if not view.asked.intersection(names):
            continue
        a, b, c = (coarse[name] for name in names)
        codes = (a.codes * b.levels + b.codes) * c.levels + c.codes
        all_three = Coded(codes, a.levels * b.levels * c.levels, np.empty(0), None)
        figure = _strongest(_scores(all_three, sample), sample)
        apart = np.sum([_scores(coarse[name], sample) for name in names], axis=0)
        if figure <= limit or figure <= _strongest(apart, sample) + TOGETHER:
            continue
        for name in view.asked.intersection(names):
            others = " and ".join(n for n in names if n != name)
            evidence = f"{_figure(sample)} with {others}, neither of which tells it apart{_ANSWER}"
            yield Finding("plausibility", name, figure, limit, evidence)


def _coarse(column: Column, rows: np.ndarray) -> Coded:
    """At most eight levels: ranges of equal counts, or the commonest values and the rest; missing beside."""
    levels = 2 * int(np.clip(np.sqrt(len(rows) / 30) / 2, 1, _LEVELS / 2))
    if column.numbers is None:
        codes = column.coded.codes[rows]
        place = np.argsort(np.argsort(-np.bincount(codes, minlength=column.coded.levels), kind="stable"))
        return _coded(np.minimum(place[codes], levels))
    numbers = column.numbers[rows]
    finite = np.isfinite(numbers)
    values = np.unique(numbers[finite])
    if len(values) > levels:
        values = np.unique(np.quantile(numbers[finite], np.linspace(0, 1, levels + 1)[1:-1]))
    return _coded(np.where(finite, np.searchsorted(values, numbers), len(values) + 1))


def _coded(codes: np.ndarray) -> Coded:
    _, codes = np.unique(codes, return_inverse=True)
    levels = int(codes.max()) + 1
    return Coded(codes, levels, np.ones(levels, dtype=bool), None)


def _scores(coded: Coded, outcome: Outcome) -> np.ndarray:
    """Out-of-fold evidence of each row for each class or for the number, shape (n, k): such may be added."""
    means = fit(coded, outcome).means
    return (means if outcome.kind == "regression" else log_odds(means))[cells_of(coded, outcome)]


def _strongest(scores: np.ndarray, outcome: Outcome) -> float:
    if outcome.kind == "regression":  # a sum of two that say the same is twice as large, and no worse
        return correlation(scores[:, 0], outcome.columns[:, 0]) ** 2
    return max(separation(s, y, outcome.kind) for s, y in zip(scores.T, outcome.columns.T, strict=True))


def tells_together(view: View) -> Iterator[Note]:
    """The features that carry a joint figure above the limit, as far as nobody has declared them."""
    columns, asked, limit = view.unsuspected, view.asked, view.plausible.limit(view.outcome)
    joint = Joint.of(columns, view.outcome)
    if joint is None:
        return
    names = [c.name for c in columns]
    reached = joint.score(names)
    carriers = _carriers(joint, names, asked, reached, limit)
    figure = f"{_figure(view.outcome)} of all features together"
    listed = ", ".join(carriers[:_LISTED])
    if asked is not None:
        evidence = f"{figure}, which this column carries ({listed}){_ANSWER}"
        yield from (Finding("plausibility", name, reached, limit, evidence) for name in carriers)
    elif carriers:
        more = ", …" if len(carriers) > _LISTED else ""
        yield Limit(
            f"{figure} is {reached:.3f}, more than the {limit:g} that is plausible, carried by "
            f"{listed}{more}: only a contract can say whether they are known on the index date"
        )


def _carriers(
    joint: Joint, names: list[str], asked: frozenset[str] | None, score: float, limit: float
) -> list[str]:
    """Features that may be asked for and carry a score above the limit: without them it is not."""
    carriers: list[str] = []
    for _ in range(_ROUNDS):
        remaining = [n for n in names if n not in carriers]
        open_ = [n for n in remaining if asked is None or n in asked]
        if not open_ or not score > limit:
            break
        losses = joint.losses(remaining, open_)
        top = max(losses.values())
        if top < MATERIAL:  # many hold the same, or the declared ones tell it
            without = joint.score([n for n in remaining if n not in open_])
            carriers += open_ if without <= limit else []
            break
        carriers += [n for n, loss in losses.items() if loss >= top * PARTNER]
        score = joint.score([n for n in names if n not in carriers])
    return carriers
