"""Pairs of rows that are each other's nearest: which rows look like one row written twice.

Two rows are compared as records are linked (Fellegi and Sunter 1969): each column adds the logarithm of how
much likelier its two values are in a copy than in two rows at random. A common value says little, a rare one
much, a different one speaks against it. Rows are compared when they fall into the same bins throughout one of
several bands of columns (locality-sensitive hashing). Nothing here knows of splits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

EQUAL, CLOSE, OTHER = 0.5, 0.4, 0.1
"""What becomes of a value in a copy: kept, moved a little (rounded, noise), or replaced by any other."""
_FULL = 65_535
_SAMPLE = 20_000
_BINS = 8
_FEW = 32  # values of a column that have a bin each
_BANDS = 12
_WIDEST = 0.8  # share of the columns in one band, so that a copy with a few changes is whole in some
_PER_KEY = 20  # neighbours with one key that a row is compared with
_PAIRS = 1_000_000  # of one band
_CHUNK = 20_000
_UNIQUE = 0.95
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: multiplying by it mixes bits


@dataclass(frozen=True)
class Nearest:
    """Pairs of rows that are each other's nearest, and likelier a copy than chance.

    Attributes:
        first, second: places of the two rows; no row is in two pairs.
        lead: bits by which they are more alike than either is with any other row, in descending order.
        copy_lead: of each row, the lead that a copy of it with one value changed would have.
    """

    first: np.ndarray
    second: np.ndarray
    lead: np.ndarray
    copy_lead: np.ndarray


def nearest(columns: list[np.ndarray], ordered: list[bool], hashes: np.ndarray) -> Nearest | None:
    """Pair up rows; None when fewer than two columns tell rows apart.

    Args:
        columns: numbers or codes, NaN for missing.
        ordered: whether a column's values may be close, or only equal.
        hashes: equal for rows that are the same, which are no pair.
    """
    telling = [(c, o) for c, o in zip(columns, ordered, strict=True) if _tells(c)]
    if len(telling) < 2:
        return None
    rows = _ranked([c for c, _ in telling], np.array([o for _, o in telling]))
    n = len(hashes)
    best, second, partner = np.zeros(n), np.zeros(n), np.full(n, -1)
    for key in _keys(rows.bins):
        for i, j in _candidates(key):
            apart = hashes[i] != hashes[j]
            _keep_best(best, second, partner, i[apart], j[apart], rows.bits(i[apart], j[apart]))
    i = np.flatnonzero(partner >= 0)
    i = i[(partner[partner[i]] == i) & (i < partner[i])]
    lead = best[i] - np.maximum(second[i], second[partner[i]])
    order = np.argsort(-lead, kind="stable")
    own, width = rows.own_bits(), len(telling)
    changed = own * (1 - 1 / width) + np.log2(OTHER)
    return Nearest(i[order], partner[i][order], lead[order], changed - best)


@dataclass(frozen=True)
class _Ranked:
    """Rows as ranks.

    Attributes:
        low, high: shares of all rows below a value, and up to it, in 65,535ths, shape (n, columns).
        missing: the share below missing values, which come last.
        bins: values in at most 32 bins.
        grain: the least share that can be told.
    """

    low: np.ndarray
    high: np.ndarray
    missing: np.ndarray
    ordered: np.ndarray
    bins: np.ndarray
    grain: np.float32

    def bits(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Logarithm (base 2) of how much likelier pairs of rows are if one is a copy of the other."""
        bits = np.empty(len(i))
        for at in range(0, len(i), _CHUNK):
            a, b = i[at : at + _CHUNK], j[at : at + _CHUNK]
            low, high = self.low[a], self.high[a]
            other_low, other_high = self.low[b], self.high[b]
            same = (low == other_low) & (high == other_high)
            close = self.ordered & ((low == self.missing) == (other_low == self.missing))
            between = np.maximum(high, other_high).astype(np.float32) - np.minimum(low, other_low)
            share = np.maximum(between, self.grain) / np.float32(_FULL)
            bits[at : at + _CHUNK] = self._bits(share, same, close).sum(axis=1)
        return bits

    def own_bits(self) -> np.ndarray:
        """What a row compared with itself would have."""
        bits = np.empty(len(self.low))
        for at in range(0, len(bits), _CHUNK):
            width = self.high[at : at + _CHUNK].astype(np.float32) - self.low[at : at + _CHUNK]
            share = np.maximum(width, self.grain) / np.float32(_FULL)
            bits[at : at + _CHUNK] = self._bits(share, np.ones_like(share, dtype=bool), self.ordered).sum(
                axis=1
            )
        return bits

    def _bits(self, share: np.ndarray, same: np.ndarray, close: np.ndarray) -> np.ndarray:
        """`share` of all values lie between the two; where a value can only be equal, it has the chance of
        being close as well."""
        spread = np.float32(np.log(len(self.low)))  # a moved value is as likely at any scale down to 1/n
        equal = np.where(self.ordered, np.float32(EQUAL), np.float32(EQUAL + CLOSE)) / share
        moved = np.where(close, np.float32(CLOSE) / (share * spread), np.float32(0))
        return np.log2(np.where(same, equal, moved) + np.float32(OTHER))


def _tells(column: np.ndarray) -> bool:
    """Not for constants, nor for what is there to tell rows apart."""
    values = column[~np.isnan(column)]
    if not len(values) or (np.ptp(values) == 0 and len(values) == len(column)):
        return False
    return not ((values % 1 == 0).all() and len(np.unique(values)) >= _UNIQUE * len(column))


def _ranked(columns: list[np.ndarray], ordered: np.ndarray) -> _Ranked:
    n, width = len(columns[0]), len(columns)
    rng = np.random.default_rng(0)
    sample = rng.choice(n, _SAMPLE, replace=False) if n > _SAMPLE else np.arange(n)
    low, high = np.empty((n, width), np.uint16), np.empty((n, width), np.uint16)
    bins, missing = np.empty((n, width), np.uint8), np.empty(width, np.uint16)
    for c, column in enumerate(columns):
        sorted_ = np.sort(column[sample])  # NaN last, and equal to itself when searched
        scale = _FULL / len(sorted_)
        below = np.searchsorted(sorted_, column, side="left")
        ends = np.append(np.searchsorted(sorted_, sorted_, side="right"), len(sorted_))
        tied = np.append(sorted_, np.float32(np.inf))[below] == column  # one search for both ends
        low[:, c] = below * scale
        high[:, c] = np.where(tied | np.isnan(column), ends[below], below) * scale
        missing[c] = np.searchsorted(sorted_, np.nan, side="left") * scale
        if not np.isnan(column).any():
            missing[c] = _FULL
        bins[:, c] = _bins(low[:, c])
    return _Ranked(low, high, missing, ordered, bins, np.float32(_FULL / len(sample)))


def _bins(low: np.ndarray) -> np.ndarray:
    """A bin for each of few values, else ranges of equal counts that never part equal values."""
    filled = np.bincount(low, minlength=_FULL + 1) > 0
    if filled.sum() <= _FEW:
        return (np.cumsum(filled) - 1)[low].astype(np.uint8)
    return (low.astype(np.uint32) * _BINS // (_FULL + 1)).astype(np.uint8)


def _keys(bins: np.ndarray) -> Iterator[np.ndarray]:
    """One key per row and band. A band has columns enough to tell most rows apart, and never nearly all."""
    n, width = bins.shape
    bits = np.array([_entropy(bins[:, c]) for c in range(width)])
    needed, most = np.log2(n) + 2, max(1, int(_WIDEST * width))
    rng, pool = np.random.default_rng(0), np.empty(0, dtype=np.int64)
    for _ in range(_BANDS):
        key, reached, used = np.zeros(n, dtype=np.uint64), 0.0, 0
        while reached < needed and used < most:
            if not len(pool):
                pool = rng.permutation(width)
            key = (key ^ bins[:, pool[0]]) * _ODD
            key ^= key >> np.uint64(29)
            reached, used, pool = reached + bits[pool[0]], used + 1, pool[1:]
        yield key


def _entropy(codes: np.ndarray) -> float:
    shares = np.bincount(codes) / len(codes)
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum())


def _candidates(key: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows with equal keys: each with the next ones of its key."""
    order = np.argsort(key, kind="stable")
    key, left = key[order], _PAIRS
    for step in range(1, min(_PER_KEY, len(key) - 1) + 1):
        at = np.flatnonzero(key[:-step] == key[step:])[:left]
        left -= len(at)
        if not len(at):
            return
        yield order[at], order[at + step]


def _keep_best(
    best: np.ndarray, second: np.ndarray, partner: np.ndarray, i: np.ndarray, j: np.ndarray, bits: np.ndarray
) -> None:
    """Update each row's best partner and second-best bits, in place; in one call no row has two partners."""
    for a, b in ((i, j), (j, i)):
        known = partner[a] == b
        better = ~known & (bits > best[a])
        second[a[better]] = best[a[better]]
        partner[a[better]], best[a[better]] = b[better], bits[better]
        close = ~known & ~better & (bits > second[a])
        second[a[close]] = bits[close]
