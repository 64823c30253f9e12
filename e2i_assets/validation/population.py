"""Who the patients of two populations are: the first table of every validation. Aggregates only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from e2i_assets.contracts.variables import Feature

MISSING, POOLED = "not known", "others"


@dataclass(frozen=True)
class Described:
    """A number's mean and standard deviation, or a level's share; None where it is of too few to be told."""

    value: float | None
    spread: float | None = None


@dataclass(frozen=True)
class Characteristic:
    """A feature, or a level of one, in both populations.

    Attributes:
        level: empty of a number.
        difference: standardised, of the second less the first: of means over the pooled standard deviation,
            of shares the same (Austin 2009); None where one of them is not told or nothing varies.
    """

    feature: str
    level: str
    trained_on: Described
    target: Described
    difference: float | None


def compare_populations(
    trained_on: pd.DataFrame, target: pd.DataFrame, features: Sequence[Feature], *, minimum: int
) -> tuple[Characteristic, ...]:
    """Every feature in both.

    Args:
        minimum: rows below which a share is not told; levels of fewer are told together.
    """
    return tuple(
        one
        for feature in features
        for one in _of_feature(feature, trained_on[feature.name], target[feature.name], minimum)
    )


def _of_feature(
    feature: Feature, first: pd.Series, second: pd.Series, minimum: int
) -> Iterator[Characteristic]:
    if feature.kind == "numeric":
        one, other = (_of_numbers(values, minimum) for values in (first, second))
        yield Characteristic(feature.name, "", one, other, _of_means(one, other))
    here, there = (_levels(feature, values).value_counts() for values in (first, second))
    levels = _pooled(here, there, minimum)
    if set(levels) == {POOLED}:  # of a share of everybody nothing is learnt
        yield Characteristic(feature.name, "", Described(None), Described(None), None)
        return
    for level, (one_count, other_count) in levels.items():
        one, other = _share(one_count, len(first), minimum), _share(other_count, len(second), minimum)
        yield Characteristic(feature.name, level, one, other, _of_shares(one, other))


def _levels(feature: Feature, values: pd.Series) -> pd.Series:
    """The level of each row; of a number only that it is not known."""
    if feature.kind == "numeric":
        return values[values.isna()].astype(object).fillna(MISSING)
    if feature.kind == "boolean":
        values = values.map({1.0: "yes", 0.0: "no"})
    return values.astype(object).where(values.notna(), MISSING).map(str)


def _of_numbers(values: pd.Series, minimum: int) -> Described:
    known = values.dropna()
    return Described(float(known.mean()), float(known.std())) if len(known) >= minimum else Described(None)


def _pooled(first: pd.Series, second: pd.Series, minimum: int) -> dict[str, tuple[int, int]]:
    """Rows of each level on either side; levels of few together, with the next ones until they are enough."""
    levels = {
        str(level): (int(first.get(level, 0)), int(second.get(level, 0)))
        for level in sorted({*first.index, *second.index})
    }
    order = sorted(levels, key=lambda level: min(levels[level]))
    small = [level for level in order if any(0 < count < minimum for count in levels[level])]
    if not small or len(levels) == 1:
        return levels
    rest = [level for level in order if level not in small]
    pool = list(small)
    while rest and any(0 < sum(levels[name][side] for name in pool) < minimum for side in (0, 1)):
        pool.append(rest.pop(0))
    told = {level: levels[level] for level in levels if level not in pool}
    return told | {POOLED: (sum(levels[n][0] for n in pool), sum(levels[n][1] for n in pool))}


def _share(count: int, rows: int, minimum: int) -> Described:
    few = 0 < count < minimum or 0 < rows - count < minimum
    return Described(None if few or not rows else count / rows)


def _of_means(one: Described, other: Described) -> float | None:
    if one.value is None or other.value is None or one.spread is None or other.spread is None:
        return None
    spread = math.sqrt((one.spread**2 + other.spread**2) / 2)
    return (other.value - one.value) / spread if spread > 0 else None


def _of_shares(one: Described, other: Described) -> float | None:
    if one.value is None or other.value is None:
        return None
    spread = math.sqrt((one.value * (1 - one.value) + other.value * (1 - other.value)) / 2)
    return (other.value - one.value) / spread if spread > 0 else None
