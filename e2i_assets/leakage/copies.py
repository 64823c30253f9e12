"""Rows of one split that are a row of another: value for value, or rounded, or with values changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from e2i_assets.contracts.spelling import as_key, as_label, as_text
from e2i_assets.leakage.binning import as_numbers
from e2i_assets.leakage.joint import spread
from e2i_assets.leakage.linkage import nearest
from e2i_assets.leakage.pair_test import Excess, excess, needed

_ACCIDENTS = 2
"""Equal rows that are let pass where they come by chance."""
_COMMON = 0.01
"""Share of rows repeated in one split above which equal rows say nothing."""
_MANY = 0.05
"""Share of a split above which the copies needed to be seen are told."""
_SAMPLE, _APART = 20_000, 0.9
_INEXACT = 2.0**53  # several integers are one such number
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: multiplying by it mixes bits


@dataclass(frozen=True)
class Copies:
    """Rows of two splits compared.

    Attributes:
        same: rows of the second that are in the first, value for value; None where equal rows are common.
        near: rows that are nearly one of the other split.
        seen_from: copies with one value changed that it would take to be seen; None when no number up to a
            tenth of a split would be.
        few: that number is small beside the splits.
    """

    a: str
    b: str
    same: int | None
    near: Excess
    seen_from: int | None
    few: bool


def copies(splits: Mapping[str, pd.DataFrame], columns: list[str], *, apart: bool) -> list[Copies]:
    """Compare each two splits.

    Args:
        columns: those that every split has.
        apart: equal rows do not come by chance. Where they do, only more of them than in one split count.
    """
    sizes = [len(frame) for frame in splits.values()]
    values, ordered, hashes = [], [], np.zeros(sum(sizes), dtype=np.uint64)
    for name in columns:
        numbers, has_order, exact = _values([frame[name] for frame in splits.values()])
        values.append(numbers)
        ordered.append(has_order)
        hashes = (hashes ^ exact) * _ODD
        hashes ^= hashes >> np.uint64(29)
    split = np.repeat(np.arange(len(sizes)), sizes)
    near = nearest(values, ordered, hashes)
    usual = 0.0 if apart else _repeated(hashes[split == int(np.argmax(sizes))])
    pairs = list(combinations(range(len(sizes)), 2))
    compared = []
    for a, b in pairs:
        same: int | None = int(np.isin(hashes[split == b], hashes[split == a]).sum())
        by_chance = usual * sizes[b]
        if same and usual > _COMMON:
            same = None
        elif not apart and same <= 2 * by_chance + 3 * np.sqrt(by_chance) + _ACCIDENTS:
            same = 0
        alike = excess(near, split, a, b, len(pairs)) if near else Excess(0, 0.0)
        seen_from = needed(near, split, a, b, len(pairs)) if near else None
        few = seen_from is not None and seen_from <= max(5, _MANY * min(sizes[a], sizes[b]))
        names = list(splits)
        compared.append(Copies(names[a], names[b], same, alike, seen_from, few))
    return compared


def _is_single(numbers: np.ndarray) -> bool:
    """Whether fractions are told apart by single precision as well, in which some may have been written."""
    sample = numbers[spread(len(numbers), _SAMPLE)]
    fractions = bool((sample % 1 != 0).any())
    return fractions and len(np.unique(sample.astype(np.float32))) > _APART * len(np.unique(sample))


def _repeated(hashes: np.ndarray) -> float:
    """Share of rows that are there again."""
    _, counts = np.unique(hashes, return_counts=True)
    return float(counts[counts > 1].sum() / counts.sum())


def _values(parts: list[pd.Series]) -> tuple[np.ndarray, bool, np.ndarray]:
    """One column of all splits as numbers, whether they have an order, and what is equal for equal values.

    The numbers are of single precision, from their median on. Text is told by its level, however it is spelt.
    """
    if len({part.dtype.kind in "biufc" for part in parts}) > 1:  # numbers in one split, text in another
        parts = [as_label(part) for part in parts]
    column = pd.concat(parts, ignore_index=True)
    numbers = as_numbers(column)
    ordered = numbers is not None
    if numbers is None:
        codes, texts = pd.factorize(as_text(column))
        plain, _ = pd.factorize(pd.Series(texts, dtype="string").str.strip().str.lower())
        numbers = np.where(codes < 0, np.nan, np.append(plain, 0)[codes])
    finite = np.isfinite(numbers)
    exact = np.where(finite, numbers, np.nan) + 0.0  # -0.0 is 0.0
    if finite.any() and np.abs(numbers[finite]).max() >= _INEXACT:
        exact = pd.factorize(as_key(column))[0].astype(float)
    elif _is_single(numbers[finite]):
        exact = exact.astype(np.float32).astype(float)
    middle = np.median(numbers[finite]) if finite.any() else 0.0
    near = np.where(finite, numbers - middle, np.nan).astype(np.float32)
    return near, ordered, exact.view(np.uint64)
