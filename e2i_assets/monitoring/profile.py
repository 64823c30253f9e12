"""What a table was like, in figures that name nobody: each cell that is kept holds five rows or more.

A number is kept as its distribution function at up to a thousand stored edges, a category as counts of its
levels, those of fewer than five rows under a hash instead of their name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import polars as pl

from e2i_assets.cohorts.small_cells import MINIMUM_CELL_COUNT
from e2i_assets.monitoring.clusters import Clusters
from e2i_assets.monitoring.columns import EMPTY, LEVELS, Levels, Values, read_column
from e2i_assets.monitoring.document import Document
from e2i_assets.monitoring.errors import DriftError

QUANTILES = 1000
MOST_LEVELS = 1000
"""Levels that are counted one by one; of a column with more of them, groups of levels are."""
GROUPS = 256
"""Groups, by their hashes, that the levels of such a column are counted in."""
LARGEST = float(np.finfo(float).max)
_BITS = 24


@dataclass(frozen=True)
class ColumnProfile:
    """One column.

    Attributes:
        kind: `number`, `date` (in seconds since 1970), `levels`, or `empty`, where nothing was known.
        rows, missing: all rows, and those without a value.
        edges: of numbers, ascending; a cell ends with its edge, and the outer ones are open.
        counts: rows of the cells, one more than edges; of levels, rows of each of `hashes`.
        distinct: different values.
        mean, std: of numbers, where finite.
        hashes: of levels, or numbers of groups where `grouped`.
        names: of levels with five rows or more, by hash.
        grouped: whether the levels were too many to be counted one by one.
        cluster_rows: rows of the cluster of a row, on average; 1 where each stands for itself.
        correlation: of the column within clusters; None where nothing tells it.
    """

    kind: str
    rows: int | float
    missing: int | float
    edges: tuple[float, ...] = ()
    counts: tuple[int | float, ...] = ()
    distinct: int = 0
    mean: float | None = None
    std: float | None = None
    hashes: tuple[int, ...] = ()
    names: Mapping[int, str] = ()  # type: ignore[assignment]
    grouped: bool = False
    cluster_rows: float = 1.0
    correlation: float | None = None

    @property
    def known(self) -> int | float:
        """Rows with a value."""
        return self.rows - self.missing

    def counted(self, correlation: float) -> ColumnProfile:
        """As so many independent rows as its rows are worth (design effect: Kish 1965).

        Args:
            correlation: within clusters.
        """
        if self.cluster_rows == 1.0 or not correlation:
            return self
        worth = 1 / (1 + correlation * (self.cluster_rows - 1))
        counts = tuple(count * worth for count in self.counts)
        return replace(self, rows=self.rows * worth, missing=self.missing * worth, counts=counts)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", dict(self.names))


@dataclass(frozen=True)
class ReferenceProfile(Document):
    """A table's columns as they were, to be compared with later ones; it holds no row and no small cell.

    Attributes:
        rows: how many there were.
        columns: by name.
    """

    called: ClassVar[str] = "reference profile"
    rows: int
    columns: Mapping[str, ColumnProfile]

    @classmethod
    def of(
        cls, frame: pd.DataFrame, columns: Iterable[str] | None = None, *, clusters: str | None = None
    ) -> ReferenceProfile:
        """The profile of a frame, or of some of its columns.

        Args:
            clusters: column whose value those rows share that are not independent, such as the patients of a
                physician: how alike they are is kept of each column, and they count as so many fewer. It is
                not profiled itself unless it is among `columns`.

        Raises:
            DriftError: no frame, a column that is there twice or not at all, or no rows.
        """
        require_frame(frame)
        of = None if clusters is None else Clusters(frame, clusters)
        names = [name for name in frame.columns if name != clusters] if columns is None else list(columns)
        absent = sorted(str(name) for name in names if name not in frame.columns)
        if absent:
            raise DriftError("unknown_column", f"the frame has no column {', '.join(absent)}")
        if not len(frame):
            raise DriftError("nothing_to_compare", "the frame has no rows")
        return cls(len(frame), {str(name): profile_of_column(frame[name], clusters=of) for name in names})


def require_frame(frame: Any) -> None:
    """Check that there is a frame to compare whose columns have names of their own.

    Raises:
        DriftError: there is none.
    """
    if not isinstance(frame, pd.DataFrame):
        raise DriftError("bad_frame", f"a DataFrame was expected, not a {type(frame).__name__}")
    names = pd.Index([str(name) for name in frame.columns])
    if not names.is_unique:
        twice = sorted(set(names[names.duplicated()]))
        raise DriftError("bad_frame", f"several columns are called {', '.join(twice)}")


def profile_of_column(
    column: pd.Series, kind: str | None = None, *, clusters: Clusters | None
) -> ColumnProfile:
    """The profile of a column.

    Args:
        kind: as of `read_column`.
        clusters: of its rows; None where each stands for itself.
    """
    own, values = read_column(column, kind)
    return in_clusters(profile_of_values(own, values), column, values, clusters)


def in_clusters(
    profile: ColumnProfile, column: pd.Series, values: Values, clusters: Clusters | None
) -> ColumnProfile:
    """A profile with what is known of the clusters of its rows."""
    if clusters is None:
        return profile
    correlation = clusters.correlation(column, values)
    return replace(profile, cluster_rows=clusters.mean_size, correlation=correlation)


def profile_of_values(kind: str, values: Values) -> ColumnProfile:
    """The profile of a column as `read_column` reads it."""
    if isinstance(values, Levels):
        return _of_levels(values)
    ordered = ordered_known(values)
    if not len(ordered):
        return ColumnProfile(EMPTY, len(values), len(values))
    edges, cumulated = _edges(ordered)
    counts = tuple(int(n) for n in np.diff([0, *cumulated, len(ordered)]))
    distinct = 1 + int((ordered[1:] != ordered[:-1]).sum())
    missing = len(values) - len(ordered)
    return ColumnProfile(kind, len(values), missing, tuple(edges), counts, distinct, *mean_and_std(ordered))


def ordered_known(values: np.ndarray) -> np.ndarray:
    """The known ones of numbers, ascending; infinite ones as `LARGEST`, which an edge can tell apart."""
    # Both cores, and half of numpy's time.
    ordered = pl.Series(values).sort().to_numpy()  # NaN last
    ordered = ordered[: len(ordered) - int(np.isnan(values).sum())]
    infinite = len(ordered) and max(-ordered[0], ordered[-1]) > LARGEST
    return np.clip(ordered, -LARGEST, LARGEST) if infinite else ordered


def mean_and_std(ordered: np.ndarray) -> tuple[float | None, float | None]:
    """Of those of ascending numbers within `LARGEST`; None where there is none, or it is no number itself."""
    finite = ordered[np.searchsorted(ordered, -LARGEST, "right") : np.searchsorted(ordered, LARGEST, "left")]
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = (float(finite.mean()), float(finite.std())) if len(finite) else (math.nan, math.nan)
    return (mean if math.isfinite(mean) else None), (std if math.isfinite(std) else None)


def _edges(ordered: np.ndarray) -> tuple[list[float], list[int]]:
    """Edges between cells of about a thousandth of the rows, five at least, and the rows up to each.

    A value of five rows that has an edge has the cell to itself where that leaves no small one beside it, so
    that others that come later are not taken for it.
    """
    step = max(MINIMUM_CELL_COUNT, math.ceil(len(ordered) / QUANTILES))
    values = np.unique(ordered[step - 1 :: step])
    with np.errstate(over="ignore"):
        below = np.nextafter(values, -np.inf)
    sides = (np.searchsorted(ordered, values, side).tolist() for side in ("left", "right"))
    edges, cumulated = [-math.inf], [0]
    for value, before, left, right in zip(values.tolist(), below.tolist(), *sides, strict=True):
        if right - cumulated[-1] < MINIMUM_CELL_COUNT:
            continue
        beside = left - cumulated[-1]
        alone = right - left >= MINIMUM_CELL_COUNT and (not beside or beside >= MINIMUM_CELL_COUNT)
        if alone and before > edges[-1]:
            edges.append(before)
            cumulated.append(left)
        edges.append(value)
        cumulated.append(right)
    largest = len(ordered) - int(np.searchsorted(ordered, ordered[-1], "left"))
    if largest < MINIMUM_CELL_COUNT and edges[-1] == ordered[-1]:  # nobody's own value
        edges.pop()
        cumulated.pop()
    while 0 < len(ordered) - cumulated[-1] < MINIMUM_CELL_COUNT and len(edges) > 1:
        edges.pop()
        cumulated.pop()
    return edges[1:], cumulated[1:]


def _of_levels(levels: Levels) -> ColumnProfile:
    counts, hashes = levels.counts, _hashes(levels.counts.index)
    rows, distinct = int(counts.sum()) + levels.missing, len(counts)
    if distinct > MOST_LEVELS:
        groups = np.bincount(hashes % GROUPS, counts.to_numpy(), GROUPS).astype(int)
        return ColumnProfile(
            LEVELS, rows, levels.missing, counts=tuple(groups.tolist()), distinct=distinct,
            hashes=tuple(range(GROUPS)), grouped=True,
        )  # fmt: skip
    totals = pd.Series(counts.to_numpy(), hashes).groupby(level=0).sum()
    large = (counts >= MINIMUM_CELL_COUNT).to_numpy()
    named = dict(zip(hashes[large].tolist(), map(str, counts.index[large]), strict=True))
    return ColumnProfile(
        LEVELS, rows, levels.missing, counts=tuple(totals.tolist()), distinct=distinct,
        hashes=tuple(totals.index.tolist()), names=named,
    )  # fmt: skip


def _hashes(texts: pd.Index) -> np.ndarray:
    """24 bits for each text, the same for the same in any process."""
    if not len(texts):
        return np.array([], dtype=np.int64)
    try:
        hashes = pd.util.hash_array(texts.to_numpy(dtype=object), categorize=False)
    except UnicodeEncodeError:  # halves of characters, of a file that was read in the wrong encoding
        plain = [str(text).encode("utf-8", "backslashreplace").decode() for text in texts]
        hashes = pd.util.hash_array(np.array(plain, dtype=object), categorize=False)
    return (hashes >> np.uint64(64 - _BITS)).astype(np.int64)
