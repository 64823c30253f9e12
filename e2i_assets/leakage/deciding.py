"""A value that decides the outcome: all of its rows, and they are many, have one outcome."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from e2i_assets.leakage.binning import Coded
from e2i_assets.leakage.findings import Finding
from e2i_assets.leakage.univariate import AUC_CERTAIN, SHRINK, Outcome
from e2i_assets.leakage.view import Column, View

EXPECTED_EXCEPTIONS = 30
"""A level decides the outcome when it has none of this many exceptions that the base rate would bring."""
EXPECTED_EXCEPTIONS_COMMON = 100
"""The same for a value that decides for the commoner outcome: groups of very low risk are natural."""
_NEXT = 50  # rows on each side that are a value's neighbours
_AMOUNTS = 4  # levels from which on a number is an amount and no code
_TRIED = 20  # values of one column, the most frequent first


def decides(view: View) -> Iterator[Finding]:
    """Columns with a value, or presence or absence as such, with real support and not one exception."""
    if view.outcome.kind == "regression":
        return
    for column in view.left:
        if finding := _deciding_level(column, view.outcome):
            yield finding


def _deciding_level(column: Column, outcome: Outcome) -> Finding | None:
    coded, classes = column.coded, outcome.columns
    if outcome.kind == "classes" and (same := _same_as_classes(coded, classes)):
        auc, support, of = same
        side = "one class" if of == 1 else f"{of} classes"
        evidence = f"AUC of one of its values, in {support} rows, for {side} against the rest"
        return Finding("target", column.name, auc, AUC_CERTAIN, evidence)
    counts = np.bincount(coded.codes, minlength=coded.levels)
    for indicator in np.column_stack([classes, 1 - classes]).T if outcome.kind == "binary" else classes.T:
        hits = np.bincount(coded.codes, weights=indicator, minlength=coded.levels)
        pure = _pure_presence(coded, counts, hits, float(indicator.mean()))
        pure = chain(pure, _pure_rest(column, counts, hits, float(indicator.mean())))
        if outcome.kind == "binary":
            pure = chain(pure, _pure_values(column, counts, hits, indicator))
        for what, support in pure:
            evidence = f"{what} comes with one outcome only, in all of {support} rows"
            return Finding("target", column.name, 1.0, 1.0, evidence)
    return None


def _same_as_classes(coded: Coded, classes: np.ndarray) -> tuple[float, int, int] | None:
    """AUC, rows and number of classes of a value that nearly all of these have, and nearly none of the rest.

    That some of a class alone has a trait is natural: an island's only species.
    """
    sizes = classes.sum(axis=0)
    having = np.array([np.bincount(coded.codes, weights=c, minlength=coded.levels) for c in classes.T])
    inside = having > sizes[:, None] / 2
    rows = inside.T @ sizes
    counts, hits = np.bincount(coded.codes, minlength=coded.levels), (having * inside).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        separation = (hits / rows + 1 - (counts - hits) / (len(classes) - rows)) / 2
    enough = counts * (1 - rows / len(classes)) >= EXPECTED_EXCEPTIONS
    same = np.where(coded.real & enough, np.nan_to_num(separation), 0)
    best = int(np.argmax(same))
    return (
        (float(same[best]), int(counts[best]), int(inside[:, best].sum()))
        if same[best] >= AUC_CERTAIN
        else None
    )


def _pure_presence(
    coded: Coded, counts: np.ndarray, hits: np.ndarray, base: float
) -> Iterator[tuple[str, int]]:
    """Whether missing, or there, comes with this outcome only; `base` is the outcome's share of all rows."""
    if coded.missing is None:
        return
    rows, enough = counts.sum(), EXPECTED_EXCEPTIONS / (1 - base)
    empty, hit = int(counts[coded.missing]), hits[coded.missing]
    if empty == hit and empty >= enough:
        yield "a missing value", empty
    if rows - empty == hits.sum() - hit and rows - empty >= enough:
        yield "any value at all", int(rows - empty)


def _pure_rest(
    column: Column, counts: np.ndarray, hits: np.ndarray, base: float
) -> Iterator[tuple[str, int]]:
    """Whether any amount comes with this outcome only, where most have none: fees, refunds, recoveries."""
    coded, numbers = column.coded, column.numbers
    if numbers is None or coded.levels < _AMOUNTS or np.nanmin(numbers) != 0:
        return
    none = coded.codes[np.nanargmin(numbers)]
    others = np.ones(coded.levels, dtype=bool)
    others[[none] if coded.missing is None else [none, coded.missing]] = False
    rows = int(counts[others].sum())
    if coded.real[none] and rows == hits[others].sum() and rows * (1 - base) >= _limit(base):
        yield "any amount above nothing", rows


def _pure_values(
    column: Column, counts: np.ndarray, hits: np.ndarray, indicator: np.ndarray
) -> Iterator[tuple[str, int]]:
    """Values that come with this outcome only, and unlike the next values of a number.

    At the end of a scale every case of a graded disease may be one: there the neighbours are nearly so, too.
    """
    coded, base = column.coded, float(indicator.mean())
    limit = _limit(base)
    pure = coded.real & (counts == hits) & (counts * (1 - base) >= limit)
    if coded.missing is not None:
        pure[coded.missing] = False
    for level in sorted(np.flatnonzero(pure).tolist(), key=lambda one: -counts[one])[:_TRIED]:
        if counts[level] * (1 - _near(column, level, indicator, base)) >= limit:
            yield "one of its values", int(counts[level])


def _limit(base: float) -> int:
    return EXPECTED_EXCEPTIONS if base <= 0.5 else EXPECTED_EXCEPTIONS_COMMON


def _near(column: Column, level: int, indicator: np.ndarray, base: float) -> float:
    """The outcome's share next to a value: the greater of the two sides, and of all rows."""
    numbers, here = column.numbers, column.coded.codes == level
    if numbers is None:
        return base
    value, sides = numbers[here][0], [base]
    for side in (numbers < value, numbers > value):
        rows = np.flatnonzero(side)
        nearest = rows[np.argsort(np.abs(numbers[rows] - value), kind="stable")[:_NEXT]]
        sides.append((indicator[nearest].sum() + SHRINK * base) / (len(nearest) + SHRINK))
    return max(sides)
