"""One column against its profile: each test with the size of the effect that it tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from e2i_assets.cohorts.small_cells import MINIMUM_CELL_COUNT
from e2i_assets.monitoring import statistics
from e2i_assets.monitoring.clusters import Clusters
from e2i_assets.monitoring.columns import DATE, EMPTY, LEVELS, read_column
from e2i_assets.monitoring.profile import (
    GROUPS,
    ColumnProfile,
    in_clusters,
    mean_and_std,
    ordered_known,
    profile_of_values,
)

_FEW_VALUES = 20
_BINS = 10
_EFFECTS_FROM = {"psi": "chi_square", "ks": "ks", "missing": "fisher", "new_level": "new_level"}


@dataclass(frozen=True)
class Effect:
    """One way in which a column may have drifted.

    Attributes:
        name: `psi`, `ks`, `missing` or `new_level`.
        size: as measured; of `missing` the difference of shares, of `new_level` the share of the
            most frequent one.
        beyond_chance: what is left of it without what chance gives at these numbers of rows.
        statistic, p_value: of its test, not corrected.
    """

    name: str
    size: float
    beyond_chance: float
    statistic: float
    p_value: float

    @property
    def test(self) -> str:
        """What tests it."""
        return _EFFECTS_FROM[self.name]


@dataclass(frozen=True)
class Compared:
    """A column and its effects.

    Attributes:
        reference, current: the column on either side.
        effects: that could be tested.
        new_levels: of current, of five rows or more, that the reference does not have.
        bins: that the stability index is taken over, for a person; `was` and `now` are the rows' shares.
    """

    reference: ColumnProfile
    current: ColumnProfile
    effects: tuple[Effect, ...]
    new_levels: tuple[str, ...] = ()
    bins: tuple[str, ...] = ()
    was: tuple[float, ...] = ()
    now: tuple[float, ...] = ()


def compare(
    reference: ColumnProfile, current: ColumnProfile | pd.Series, clusters: Clusters | None = None
) -> Compared | None:
    """Compare a column with its profile; None where the two hold different kinds of values.

    Rows of one cluster count as so many independent ones as they are worth: cells, tests and what chance
    gives are of those.

    Args:
        clusters: of the rows of a current column that is no profile.
    """
    ordered = None
    if isinstance(current, ColumnProfile):
        now = current
    else:
        kind, values = read_column(current, reference.kind)
        if isinstance(values, np.ndarray) and reference.kind == kind != EMPTY:
            now, ordered = _counted(kind, values)
        else:
            now = profile_of_values(kind, values)
        now = in_clusters(now, current, values, clusters)
    known = (one.correlation for one in (reference, now) if one.correlation is not None)
    correlation = next(known, 1.0)
    sides = reference.counted(correlation), now.counted(correlation)
    if EMPTY in (reference.kind, now.kind):
        compared = Compared(*sides, _missing(*sides))
    elif reference.kind != now.kind:
        return None
    elif reference.kind == LEVELS:
        compared = _levels(*sides)
    else:
        compared = _numbers(sides[0], _Cumulated(sides[1], ordered))
    return replace(compared, reference=reference, current=now)


class _Cumulated:
    """The current side of a number, as rows up to an edge."""

    def __init__(self, profile: ColumnProfile, ordered: np.ndarray | None = None) -> None:
        self.profile, self._ordered = profile, ordered

    def up_to(self, edges: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows up to each edge, and whether that is known exactly. Of a profile that has other edges it is
        known only between which two numbers that is; the one nearest to the reference's share is taken, so
        that what cannot be told apart is taken as equal.
        """
        if self._ordered is not None:
            counted = np.searchsorted(self._ordered, edges, "right").astype(float)
            if len(self._ordered):
                counted *= self.profile.known / len(self._ordered)
            return counted, np.ones(len(edges), dtype=bool)
        own, total = np.array(self.profile.edges), float(self.profile.known)
        cumulated = np.concatenate([[0.0], np.cumsum(self.profile.counts[:-1]), [total]])
        place = np.searchsorted(own, edges, "right")
        low = cumulated[place]
        exact = np.isin(edges, own)
        high = np.where(exact, low, cumulated[np.minimum(place + 1, len(cumulated) - 1)])
        return np.clip(shares * total, low, high), low == high


def _counted(kind: str, values: np.ndarray) -> tuple[ColumnProfile, np.ndarray]:
    ordered = ordered_known(values)
    mean, std = mean_and_std(ordered)
    missing = len(values) - len(ordered)
    return ColumnProfile(kind, len(values), missing, mean=mean, std=std), ordered


def _numbers(reference: ColumnProfile, current: _Cumulated) -> Compared:
    n, m = reference.known, current.profile.known
    counts, effects = np.array(reference.counts, dtype=float), list[Effect]()
    cumulated = np.cumsum(counts)
    ends, exact = current.up_to(np.array(reference.edges), cumulated[:-1] / n)
    if m >= MINIMUM_CELL_COUNT:
        distance = float(np.abs(cumulated[:-1] / n - ends / m).max(initial=0.0))
        p_value = statistics.kolmogorov_smirnov(distance, n, m)
        beyond = max(0.0, distance - statistics.distance_by_chance(n, m))
        effects.append(Effect("ks", distance, beyond, distance, p_value))
    bins, new = _bins(reference, current.profile.rows, np.append(exact, True) & np.append(True, exact))
    now = np.diff(np.concatenate([[0.0], ends, [m]]))
    was, now = (np.bincount(bins, side, new + 1) for side in (counts, now))
    names = [_upper_end(reference.kind, end) for end in _ends(bins, new, [*reference.edges, np.inf])]
    stability = _stability(*_numeric_cells(reference, current.profile, was, now))
    either = 2 * min(stability.p_value, statistics.trend(was[:-1], now[:-1]))
    stability = replace(stability, p_value=min(1.0, either))
    return Compared(
        reference,
        current.profile,
        (stability, *effects, *_missing(reference, current.profile)),
        (),
        *_shares(names, *_with_missing(reference, current.profile, was, now)),
    )


def _ends(bins: np.ndarray, new: int, ends: list[float]) -> Iterator[float]:
    """The upper end of each bin; nan of the last one, of values that the reference does not have."""
    for number in range(new):
        yield ends[int(np.nonzero(bins == number)[0][-1])]
    yield float("nan")


def _upper_end(kind: str, end: float) -> str:
    if not np.isfinite(end):
        return "new" if np.isnan(end) else "above"
    return str(np.datetime64(int(end), "s").astype("datetime64[D]")) if kind == DATE else f"{end:.4g}"


def _shares(
    names: list[str], was: np.ndarray, now: np.ndarray
) -> tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]]:
    """Bins with their shares on both sides, without those that are empty on both; the last is `missing`."""
    filled = was + now > 0
    sides = [tuple((side / side.sum())[filled].tolist()) for side in (was, now)]
    return tuple(np.array([*names, "missing"], dtype=object)[filled].tolist()), sides[0], sides[1]


def _bins(reference: ColumnProfile, rows: float, exact: np.ndarray) -> tuple[np.ndarray, int]:
    """The bin of each cell, and the number of the last bin: about ten of as many rows; where there are few
    values, each its own if it can be.

    The last bin is of cells without a row of the reference. The reference alone decides, and by the number of
    its rows alone: bins that were chosen by what is in them now would look as if they had grown.

    Args:
        rows: of the current side; of each bin it is expected to have five at least.
        exact: cells of which it is known how many rows of the current side are in them.
    """
    least = statistics.EXPECTED * reference.rows / min(reference.rows, rows)
    full = least if reference.distinct <= _FEW_VALUES else max(least, reference.known / _BINS)
    bins, number, size = list[int](), 0, 0.0
    for count, known in zip(reference.counts, exact, strict=True):
        if count and size >= least and (size >= full or count >= full):
            number, size = number + 1, 0.0
        bins.append(number if count or not known else -1)
        size += count
    places = np.array(bins)
    if size < least and number:
        places[places == number] = number = number - 1
    places[places < 0] = number + 1
    return places, number + 1


def _numeric_cells(
    reference: ColumnProfile, current: ColumnProfile, was: np.ndarray, now: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cells to be compared: the bins, new values where there are enough of them, and the missing ones."""
    n, m = reference.rows, current.rows
    expected = min(n, m) / (n + m)
    if now[-1] * expected < statistics.EXPECTED and len(now) > 1:
        now = np.append(now[:-2], now[-2:].sum())
        was = was[:-1]
    if (reference.missing + current.missing) * expected < statistics.EXPECTED:
        return was, now
    return _with_missing(reference, current, was, now)


def _levels(reference: ColumnProfile, current: ColumnProfile) -> Compared:
    grouped = reference.grouped or current.grouped
    one, other = _counts(reference, grouped), _counts(current, grouped)
    together = pd.concat([one, other], axis=1, keys=["reference", "current"]).fillna(0.0)
    was, now = together["reference"].to_numpy(), together["current"].to_numpy()
    cells = statistics.comparable_cells(*_with_missing(reference, current, was, now))
    effects = [_stability(*cells), *_missing(reference, current)]
    new = together.index[(was == 0) & (now > 0)]
    if not grouped and len(new):
        effects.append(_new_level(now[was == 0].max(), len(together), reference, current))
    names = sorted(current.names[number] for number in new if number in current.names) if not grouped else []
    shown = {**reference.names, **current.names} if not grouped else {}
    bins = np.array([number in shown for number in together.index], dtype=bool)
    labels = [shown[number] for number in together.index[bins]]
    named = [np.append(side[bins], side[~bins].sum()) for side in (was, now)]
    shares = _shares([*labels, "other"], *_with_missing(reference, current, *named))
    return Compared(reference, current, tuple(effects), tuple(names), *shares)


def _counts(profile: ColumnProfile, grouped: bool) -> pd.Series:
    counts = pd.Series(profile.counts, index=pd.Index(profile.hashes, dtype="int64"), dtype=float)
    return counts.groupby(counts.index % GROUPS).sum() if grouped else counts


def _with_missing(
    reference: ColumnProfile, current: ColumnProfile, was: np.ndarray, now: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    return np.append(was, reference.missing), np.append(now, current.missing)


def _stability(was: np.ndarray, now: np.ndarray) -> Effect:
    size = statistics.psi(was, now)
    by_chance = statistics.psi_by_chance(len(was), was.sum(), now.sum())
    return Effect("psi", size, max(0.0, size - by_chance), *statistics.homogeneity(was, now))


def _missing(reference: ColumnProfile, current: ColumnProfile) -> tuple[Effect, ...]:
    k, n, j, m = reference.missing, reference.rows, current.missing, current.rows
    if k + j in (0, n + m):
        return ()
    change, share = abs(j / m - k / n), (k + j) / (n + m)
    by_chance = float(np.sqrt(2 / np.pi * share * (1 - share) * (1 / n + 1 / m)))
    p_value = statistics.same_share(k, n, j, m)
    return (Effect("missing", change, max(0.0, change - by_chance), change, p_value),)


def _new_level(largest: float, levels: int, reference: ColumnProfile, current: ColumnProfile) -> Effect:
    """That all rows of a level are current ones by chance, for the largest such level among all levels."""
    n, m = reference.known, current.known
    p_value = float(min(1.0, levels * (m / (n + m)) ** largest))
    share = float(largest / current.rows)
    return Effect("new_level", share, share, float(largest), p_value)
