"""Rows of one split that are a row of another, or nearly: rounded, retyped, or with a few values changed.

Rows are cut into bands of columns; two rows that fall into the same bins throughout one band are compared in
full (locality-sensitive hashing). They are copies when most columns agree and what agrees is too rare
to agree by chance anywhere between the two splits: a common value says little, a rare one much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd

from e2i_assets.quality.leakage.coding import as_numbers
from e2i_assets.quality.leakage.texts import as_text

TOLERANCES = (1e-4, 0.01, 0.05)
"""Numbers agree when they differ by at most so many standard deviations; the nearer, the rarer by chance."""
AGREEING = 0.8
"""Least share of the columns that agree in a copy, and of the information in its values."""
BY_CHANCE = 1e-4
"""Copies that chance alone may bring between two splits."""
_ACCIDENTS = 2
_SHARE = 0.01
"""Alike rows that are let pass: neighbouring districts, two catches at one pier. Less of a small split."""
_COMMON = 0.01
"""Share of rows repeated in one split above which equal rows say nothing."""
_BINS = 8
_BANDS = 6
_PER_KEY = 20  # rows of one key that are compared; there are more only where nothing is rare
_CHUNK = 100_000
_SAMPLE = 20_000
_UNIQUE = 0.95
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: multiplying by it mixes bits


@dataclass(frozen=True)
class _Rows:
    """All splits' rows, one below the other.

    Attributes:
        values: numbers in standard deviations, other values as codes, NaN for missing; shape (n, columns).
        bins: the same in at most 9 bins or codes.
        sample: rows from which the rarity of a value is estimated, each column sorted.
        spectrum: eigenvalues of the columns' correlation matrix.
        hashes: of the whole row; equal for rows that are the same, shape (n,).
    """

    values: np.ndarray
    bins: np.ndarray
    sample: np.ndarray
    spectrum: np.ndarray
    hashes: np.ndarray

    def rarity(self, rows: np.ndarray, tolerance: float) -> np.ndarray:
        """Bits that agreement with these rows' values is worth: minus the logarithm of the share of all
        values as close; shape (rows, columns)."""
        wanted = self.values[rows]
        bits = np.empty(wanted.shape)
        for i, x in enumerate(wanted.T):
            sorted_ = self.sample[:, i]
            there = int(np.searchsorted(sorted_, np.inf, side="right"))
            close = np.minimum(np.searchsorted(sorted_, x + tolerance, side="right"), there)
            close = close - np.searchsorted(sorted_, x - tolerance, side="left")
            close = np.where(np.isnan(x), len(sorted_) - there, close)
            bits[:, i] = -np.log2(np.maximum(close, 1) / len(sorted_))
        return bits

    def shared(self, tolerance: float) -> float:
        """Bits that the columns share: two rows that agree in one agree the more easily in its correlates.

        The mutual information of a normal distribution, -1/2 log2 det R, of what is wider than the tolerance.
        """
        return float(-np.log2((self.spectrum + tolerance**2) / (1 + tolerance**2)).sum() / 2)


def copies(
    splits: Mapping[str, pd.DataFrame], columns: list[str], *, apart: bool
) -> Iterator[tuple[str, str, int, int]]:
    """For each two splits the rows of the second that are a row of the first: value for value, and nearly.

    Where rows are as alike within one split (members of a household, legislators of a district), likeness is
    the way of the data and no copy. Nothing is said where equal rows are common.

    Args:
        columns: those that every split has.
        apart: equal rows do not come by chance. Where they do, only more of them than in one split count, and
            no likeness does.
    """
    values = np.column_stack([_values([frame[name] for frame in splits.values()]) for name in columns])
    hashes = _hashed(values)
    ends = np.cumsum([len(frame) for frame in splits.values()])
    places = {
        name: np.arange(end - len(frame), end)
        for (name, frame), end in zip(splits.items(), ends, strict=True)
    }
    usual = 0.0 if apart else _repeated(hashes[max(places.values(), key=len)])
    if usual > _COMMON:
        return
    near = _near(values, hashes, places) if apart else dict.fromkeys(combinations(places, 2), 0)
    for a, b in combinations(splits, 2):
        same = int(np.isin(hashes[places[b]], hashes[places[a]]).sum())
        by_chance = usual * len(places[b])
        few = not apart and same <= 2 * by_chance + 3 * np.sqrt(by_chance) + _ACCIDENTS
        yield a, b, 0 if few else same, near[a, b]


def _repeated(hashes: np.ndarray) -> float:
    """Share of rows that are there again."""
    _, counts = np.unique(hashes, return_counts=True)
    return float(counts[counts > 1].sum() / counts.sum())


def _near(
    values: np.ndarray, hashes: np.ndarray, places: Mapping[str, np.ndarray]
) -> dict[tuple[str, str], int]:
    told = [scaled for column in values.T if (scaled := _scaled(column)) is not None]
    if len(told) < 2:
        return dict.fromkeys(combinations(places, 2), 0)
    rng = np.random.default_rng(0)
    stacked = np.column_stack(told)
    sample = stacked[rng.choice(len(stacked), min(len(stacked), _SAMPLE), replace=False)]
    bins = np.column_stack([_bins(column) for column in told])
    rows = _Rows(stacked, bins, np.sort(sample, axis=0), _spectrum(sample), hashes)
    keys = _keys(rows)
    train = max(places.values(), key=len)
    natural = _count(rows, keys, train, train) / len(train)
    near = {}
    for a, b in combinations(places, 2):
        found, usual = _count(rows, keys, places[a], places[b]), natural * len(places[b])
        accidents = min(_ACCIDENTS, _SHARE * len(places[b]))
        near[a, b] = found if found > 2 * usual + 3 * np.sqrt(usual) + accidents else 0
    return near


def _values(parts: list[pd.Series]) -> np.ndarray:
    """One column of all splits as single-precision numbers; text by its level, however it is spelt."""
    column = pd.concat(parts, ignore_index=True)
    numbers = as_numbers(column)
    if numbers is None:
        codes, texts = pd.factorize(as_text(column))
        plain, _ = pd.factorize(pd.Series(texts, dtype="string").str.strip().str.lower())
        numbers = np.where(codes < 0, np.nan, np.append(plain, 0)[codes])
    return np.where(np.isfinite(numbers), numbers, np.nan).astype(np.float32)


def _hashed(values: np.ndarray) -> np.ndarray:
    hashes = np.zeros(len(values), dtype=np.uint64)
    for column in values.T:
        plain = np.where(np.isnan(column), np.float32(np.nan), column + np.float32(0))
        hashes = (hashes ^ plain.view(np.uint32)) * _ODD
        hashes ^= hashes >> np.uint64(29)
    return hashes


def _scaled(column: np.ndarray) -> np.ndarray | None:
    """In standard deviations; None for constants, and for what is there to tell rows apart."""
    there = column[~np.isnan(column)].astype(float)
    if not len(there) or np.ptp(there) == 0:
        return None
    if (there % 1 == 0).all() and len(np.unique(there)) >= _UNIQUE * len(column):
        return None
    return ((column - there.mean()) / there.std()).astype(np.float32)


def _bins(values: np.ndarray) -> np.ndarray:
    known = values[~np.isnan(values)]
    few = np.unique(known[:_SAMPLE])
    edges = np.quantile(known[:_SAMPLE], np.arange(1, _BINS) / _BINS) if len(few) > _BINS else few
    edges = np.unique(edges)
    between = (edges[1:] + edges[:-1]) / 2  # where values are few, or shared by many, edges keep off them
    return np.where(np.isnan(values), 0, 1 + np.searchsorted(between, values)).astype(np.uint8)


def _spectrum(sample: np.ndarray) -> np.ndarray:
    filled = np.where(np.isnan(sample), np.nanmean(sample, axis=0), sample).astype(float)
    correlation = np.corrcoef(filled[:, filled.std(axis=0) > 0], rowvar=False)
    return np.maximum(np.linalg.eigvalsh(np.atleast_2d(correlation)), 0)


def _keys(rows: _Rows) -> list[np.ndarray]:
    """One key per row and band; bands are equally rich in information."""
    n = len(rows.bins)
    bits = np.array([_entropy(rows.bins[:, i]) for i in range(rows.bins.shape[1])])
    needed = np.log2(n) + 2
    columns = np.argsort(-bits, kind="stable")
    bands = int(np.clip(bits.sum() // needed, min(2, len(columns)), _BANDS))
    keys = []
    for band in range(bands):
        key = np.zeros(n, dtype=np.uint64)
        for i in columns[band::bands]:
            key = (key ^ rows.bins[:, i]) * _ODD
            key ^= key >> np.uint64(29)
        keys.append(key)
    return keys


def _entropy(codes: np.ndarray) -> float:
    shares = np.bincount(codes) / len(codes)
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum())


def _count(rows: _Rows, keys: list[np.ndarray], first: np.ndarray, second: np.ndarray) -> int:
    copied = np.zeros(len(second), dtype=bool)
    enough = np.log2(len(first)) + np.log2(len(second)) - np.log2(BY_CHANCE)
    for key in keys:
        for i, j in _candidates(key[first], key[second]):
            copied[j[_is_copy(rows, first[i], second[j], enough)]] = True
    return int(copied.sum())


def _candidates(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places in a and b with equal keys, in chunks."""
    order = np.argsort(a, kind="stable")
    sorted_ = a[order]
    start = np.searchsorted(sorted_, b, side="left")
    counts = np.minimum(np.searchsorted(sorted_, b, side="right") - start, _PER_KEY)
    j = np.repeat(np.arange(len(b)), counts)
    step = np.arange(len(j)) - np.repeat(np.cumsum(counts) - counts, counts)
    i = order[np.repeat(start, counts) + step]
    for at in range(0, len(j), _CHUNK):
        yield i[at : at + _CHUNK], j[at : at + _CHUNK]


def _is_copy(rows: _Rows, i: np.ndarray, j: np.ndarray, enough: float) -> np.ndarray:
    x, y = rows.values[i], rows.values[j]
    absent = np.isnan(x) & np.isnan(y)
    quite = rows.hashes[i] == rows.hashes[j]
    copy = np.zeros(len(i), dtype=bool)
    for tolerance in TOLERANCES:
        agree = (np.abs(x - y) <= tolerance) | absent
        likely = np.flatnonzero((agree.mean(axis=1) >= AGREEING) & ~quite & ~copy)
        bits = rows.rarity(j[likely], tolerance)
        told = (bits * agree[likely]).sum(axis=1)
        # Patients of one HCP agree in a dozen columns of that HCP, and in little that is their own.
        most = told >= AGREEING * bits.sum(axis=1)
        rare = told - rows.shared(tolerance) >= enough + _choices(agree[likely])
        copy[likely] = most & rare
    return copy


def _choices(agree: np.ndarray) -> np.ndarray:
    """Bits lost because any columns may be the ones that agree, and at any tolerance."""
    columns, agreeing = agree.shape[1], agree.sum(axis=1)
    ways = np.array([comb(columns, k) for k in range(columns + 1)], dtype=float)
    return np.log2(ways[agreeing]) + np.log2(len(TOLERANCES))
