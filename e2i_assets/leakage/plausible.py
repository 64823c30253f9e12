"""Is it plausible how well the features tell the outcome: one alone, two together, all together?

Features may tell together what none tells alone, and what is almost the outcome is no single leak. So their
figures are a question to whoever knows when each became known. What a contract declares as known on the index
date answers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from e2i_assets.leakage.binning import Coded
from e2i_assets.leakage.findings import Finding
from e2i_assets.leakage.joint import ROWS, Joint, spread
from e2i_assets.leakage.post_outcome import Column, correlation
from e2i_assets.leakage.univariate import MIN_CLASS, Outcome, fit, separation

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


@dataclass(frozen=True)
class Plausible:
    """The highest AUC (of several classes one against the rest) and R² that features together may have."""

    max_auc: float = 0.95
    max_r2: float = 0.90

    def limit(self, outcome: Outcome) -> float:
        """That of this kind of target."""
        return _either(outcome, self.max_auc, self.max_r2)


PLAUSIBLE = Plausible()


@dataclass(frozen=True)
class Asked:
    """What was found implausible, and what nobody can answer."""

    findings: list[Finding]
    limits: tuple[str, ...]


def plausibility(
    columns: Sequence[Column], outcome: Outcome, undeclared: frozenset[str] | None, plausible: Plausible
) -> Asked:
    """Questions to a contract; the columns are those that are no leak by themselves.

    Args:
        undeclared: features of which the contract does not say that they are known on the index date; None
            where there is no contract, so that nobody can be asked.
    """
    if undeclared is None:
        least = _either(outcome, DETERMINED_AUC, DETERMINED_R2)
    else:
        least = min(plausible.limit(outcome), _either(outcome, ALONE_AUC, ALONE_R2))
    found: dict[str, Finding] = {}
    for column in columns:
        if undeclared is not None and column.name in undeclared and (told := _told(outcome, column)) > least:
            evidence = f"{_figure(outcome)} of this column alone{_ANSWER}"
            found[column.name] = Finding("plausibility", column.name, told, least, evidence)
    limits = []
    left = [c for c in columns if c.name not in found]
    if len(left) > _MOST:
        limits.append(f"{len(left)} features are too many to be looked at in pairs")
    else:
        for pair in _pairs(left, outcome, undeclared, least):
            found.setdefault(pair.column, pair)
    if undeclared is not None:
        found |= _threes([c for c in left if c.name not in found], outcome, undeclared, least)
    left = [c for c in left if c.name not in found]
    joint, said = _together(left, outcome, undeclared, plausible.limit(outcome))
    return Asked([*found.values(), *joint], (*limits, *said))


_ANSWER = ", of which nobody has said when it is known: say so in the contract (available_at)"


def _figure(outcome: Outcome) -> str:
    return "cross-validated R²" if outcome.kind == "regression" else "cross-validated AUC"


def _either(outcome: Outcome, auc: float, r2: float) -> float:
    return r2 if outcome.kind == "regression" else auc


def _told(outcome: Outcome, column: Column) -> float:
    """What a column tells by its levels, or by its order, which few rows are enough for."""
    rows = spread(len(outcome.folds), ROWS)
    numbers = np.full(len(rows), np.nan) if column.numbers is None else column.numbers[rows]
    there = np.isfinite(numbers)
    x, wanted = numbers[there], outcome.columns[rows][there]
    if outcome.kind == "regression":
        return max(column.strongest**2, correlation(x, wanted[:, 0]) ** 2)
    enough = [y for y in wanted.T if MIN_CLASS <= y.sum() <= len(y) - MIN_CLASS]
    ranked = [separation(x, y, outcome.kind) for y in enough]
    return max([column.strongest, *ranked, *(1 - auc for auc in ranked)])


def _pairs(
    columns: Sequence[Column], outcome: Outcome, undeclared: frozenset[str] | None, least: float
) -> list[Finding]:
    """Two columns that tell together what they do not tell apart, as `a != b` does."""
    rows = spread(len(outcome.folds), _PAIR_ROWS)
    sample = replace(outcome, columns=outcome.columns[rows], folds=outcome.folds[rows])
    coarse = {c.name: _coarse(c, rows) for c in columns}
    alone = {name: _scores(coded, sample) for name, coded in coarse.items() if coded.levels > 1}
    found = []
    for a, b in combinations(alone, 2):
        if undeclared is not None and not {a, b} & undeclared:
            continue
        one, other = coarse[a], coarse[b]
        both = Coded(one.codes * other.levels + other.codes, one.levels * other.levels, np.empty(0), None)
        told = _strongest(_scores(both, sample), sample)
        if told <= least or told <= (apart := _strongest(alone[a] + alone[b], sample)) + TOGETHER:
            continue
        for name, partner in ((a, b), (b, a)):
            if undeclared is None or name in undeclared:
                said = f"{_figure(outcome)} with {partner}, where both apart have {apart:.3f}"
                kind = "target" if undeclared is None else "plausibility"
                found.append(
                    Finding(kind, name, told, least, said + ("" if undeclared is None else _ANSWER))  # type: ignore[arg-type]
                )
    return sorted(found, key=lambda f: -f.statistic)


def _threes(
    columns: Sequence[Column], outcome: Outcome, undeclared: frozenset[str], least: float
) -> dict[str, Finding]:
    """Three columns of few levels that tell together what they do not tell apart, nor any two of them.

    All features together show it as well where there are enough rows to learn it from.
    """
    rows = spread(len(outcome.folds), _PAIR_ROWS)
    sample = replace(outcome, columns=outcome.columns[rows], folds=outcome.folds[rows])
    coarse = {c.name: coded for c in columns if 1 < (coded := _coarse(c, rows)).levels <= _FEW_LEVELS}
    if len(coarse) > _MOST_IN_THREES:
        return {}
    found: dict[str, Finding] = {}
    for names in combinations(coarse, 3):
        if not undeclared.intersection(names):
            continue
        a, b, c = (coarse[name] for name in names)
        codes = (a.codes * b.levels + b.codes) * c.levels + c.codes
        told = _strongest(
            _scores(Coded(codes, a.levels * b.levels * c.levels, np.empty(0), None), sample), sample
        )
        apart = np.sum([_scores(coarse[name], sample) for name in names], axis=0)
        if told <= least or told <= _strongest(apart, sample) + TOGETHER:
            continue
        for name in undeclared.intersection(names):
            others = " and ".join(n for n in names if n != name)
            said = f"{_figure(outcome)} with {others}, neither of which tells it apart{_ANSWER}"
            found.setdefault(name, Finding("plausibility", name, told, least, said))
    return found


def _coarse(column: Column, rows: np.ndarray) -> Coded:
    """At most eight levels: ranges of equal counts, or the commonest values and the rest; missing beside."""
    levels = 2 * int(np.clip(np.sqrt(len(rows) / 30) / 2, 1, _LEVELS / 2))
    if column.numbers is None:
        codes = column.coded.codes[rows]
        place = np.argsort(np.argsort(-np.bincount(codes, minlength=column.coded.levels), kind="stable"))
        return _coded(np.minimum(place[codes], levels))
    numbers = column.numbers[rows]
    there = np.isfinite(numbers)
    values = np.unique(numbers[there])
    if len(values) > levels:
        values = np.unique(np.quantile(numbers[there], np.linspace(0, 1, levels + 1)[1:-1]))
    return _coded(np.where(there, np.searchsorted(values, numbers), len(values) + 1))


def _coded(codes: np.ndarray) -> Coded:
    _, codes = np.unique(codes, return_inverse=True)
    levels = int(codes.max()) + 1
    return Coded(codes, levels, np.ones(levels, dtype=bool), None)


def _scores(coded: Coded, outcome: Outcome) -> np.ndarray:
    """Out-of-fold evidence of each row for each class or for the number, shape (n, k): such may be added."""
    fitted = fit(coded, outcome)
    means = fitted.means if outcome.kind == "regression" else np.log(fitted.means / (1 - fitted.means))
    return means[fitted.cells]


def _strongest(scores: np.ndarray, outcome: Outcome) -> float:
    if outcome.kind == "regression":  # a sum of two that say the same is twice as large, and no worse
        return correlation(scores[:, 0], outcome.columns[:, 0]) ** 2
    return max(separation(s, y, outcome.kind) for s, y in zip(scores.T, outcome.columns.T, strict=True))


def _together(
    columns: Sequence[Column], outcome: Outcome, undeclared: frozenset[str] | None, limit: float
) -> tuple[list[Finding], list[str]]:
    """The features that carry a joint figure above the limit, as far as nobody has declared them."""
    joint = Joint.of(columns, outcome)
    if joint is None:
        return [], []
    names = [c.name for c in columns]
    reached = score = joint.score(names)
    carriers: list[str] = []
    for _ in range(_ROUNDS):
        there = [n for n in names if n not in carriers]
        asked = [n for n in there if undeclared is None or n in undeclared]
        if not asked or not score > limit:
            break
        losses = joint.losses(there, asked)
        top = max(losses.values())
        if top < MATERIAL:  # many hold the same, or the declared ones tell it
            without = joint.score([n for n in there if n not in asked])
            carriers += asked if without <= limit else []
            break
        carriers += [n for n, loss in losses.items() if loss >= top * PARTNER]
        score = joint.score([n for n in names if n not in carriers])
    if not carriers:
        return [], []
    figure = f"{_figure(outcome)} of all features together"
    if undeclared is None:
        listed = ", ".join(carriers[:_LISTED]) + (", …" if len(carriers) > _LISTED else "")
        return [], [
            f"{figure} is {reached:.3f}, more than the {limit:g} that is plausible, carried by {listed}: "
            "only a contract can say whether they are known on the index date"
        ]
    evidence = f"{figure}, which this column carries ({', '.join(carriers[:_LISTED])}){_ANSWER}"
    return [Finding("plausibility", name, reached, limit, evidence) for name in carriers], []
