"""Rows of one split that are a row of another: value for value, or rounded, or with values changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from e2i_assets.contracts.spelling import as_text
from e2i_assets.quality.leakage.coding import as_numbers
from e2i_assets.quality.leakage.excess import Excess, excess, needed
from e2i_assets.quality.leakage.linkage import nearest

_ACCIDENTS = 2
"""Equal rows that are let pass where they come by chance."""
_COMMON = 0.01
"""Share of rows repeated in one split above which equal rows say nothing."""
_MANY = 0.05
"""Share of a split above which the copies needed to be seen are told."""
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
    parts = [[frame[name] for frame in splits.values()] for name in columns]
    values, ordered = zip(*(_values(part) for part in parts), strict=True)
    hashes = _hashed(values)
    sizes = [len(frame) for frame in splits.values()]
    split = np.repeat(np.arange(len(sizes)), sizes)
    near = nearest(list(values), list(ordered), hashes)
    usual = 0.0 if apart else _repeated(hashes[split == int(np.argmax(sizes))])
    pairs = list(combinations(range(len(sizes)), 2))
    found = []
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
        found.append(Copies(names[a], names[b], same, alike, seen_from, few))
    return found


def _repeated(hashes: np.ndarray) -> float:
    """Share of rows that are there again."""
    _, counts = np.unique(hashes, return_counts=True)
    return float(counts[counts > 1].sum() / counts.sum())


def _values(parts: list[pd.Series]) -> tuple[np.ndarray, bool]:
    """One column of all splits as single-precision numbers, and whether they have an order.

    Text is told by its level, however it is spelt.
    """
    column = pd.concat(parts, ignore_index=True)
    numbers = as_numbers(column)
    ordered = numbers is not None
    if numbers is None:
        codes, texts = pd.factorize(as_text(column))
        plain, _ = pd.factorize(pd.Series(texts, dtype="string").str.strip().str.lower())
        numbers = np.where(codes < 0, np.nan, np.append(plain, 0)[codes])
    return np.where(np.isfinite(numbers), numbers, np.nan).astype(np.float32), ordered


def _hashed(columns: tuple[np.ndarray, ...]) -> np.ndarray:
    hashes = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        plain = np.where(np.isnan(column), np.float32(np.nan), column + np.float32(0))
        hashes = (hashes ^ plain.view(np.uint32)) * _ODD
        hashes ^= hashes >> np.uint64(29)
    return hashes
