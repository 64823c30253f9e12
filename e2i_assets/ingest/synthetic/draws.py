"""Random draws that numpy does not have ready: exact proportions, blanks, delays; and fitting a contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time

import numpy as np
import polars as pl

from e2i_assets.contracts.base import Table, columns

Rng = np.random.Generator


def exactly(rng: Rng, n: int, share: float, where: np.ndarray | None = None) -> np.ndarray:
    """Boolean array of length n with exactly round(share x n) True, at random places.

    Exact counts instead of coin tosses: a rule that should remove 3 % removes somebody for every seed.

    Args:
        where: boolean array of the only places that may become True; caps the count.
    """
    order = rng.random(n)
    count = round(share * n)
    if where is not None:
        order[~where] = 2.0
        count = min(count, int(where.sum()))
    chosen = np.zeros(n, dtype=bool)
    chosen[np.argsort(order, kind="stable")[:count]] = True
    return chosen


def proportioned(rng: Rng, n: int, weights: Sequence[float]) -> np.ndarray:
    """Category codes 0..len(weights)-1 of length n in exactly these proportions, in random order."""
    bounds = np.round(np.cumsum(np.asarray(weights) / np.sum(weights)) * n).astype(int)
    return rng.permutation(np.repeat(np.arange(len(weights)), np.diff(bounds, prepend=0)))


def labels(rng: Rng, n: int, weights: Mapping[str, float]) -> np.ndarray:
    """Labels of length n in exactly these proportions, in random order."""
    return np.array(list(weights))[proportioned(rng, n, list(weights.values()))]


def blank(rng: Rng, frame: pl.DataFrame, shares: Mapping[str, float]) -> pl.DataFrame:
    """The frame with this share of each named column set to null, independently of everything."""
    return frame.with_columns(
        pl.when(pl.Series(exactly(rng, frame.height, share))).then(None).otherwise(pl.col(name)).alias(name)
        for name, share in shares.items()
    )


def stamped(rng: Rng, frame: pl.DataFrame, day: str, as_of: date) -> pl.DataFrame:
    """The frame with `source_timestamp` and `ingestion_timestamp` (UTC), both after the end of `day`.

    The source records a row within 48 h; it arrives 3 h to 10 days later (median 30 h), no later than in the
    night to `as_of`.
    """
    recorded = pl.lit(pl.Series(rng.integers(0, 48 * 3600, frame.height)))
    delay = np.clip(np.exp(rng.normal(np.log(30), 0.9, frame.height)), 3, 240)
    delayed = pl.lit(pl.Series((delay * 3600).astype(np.int64)))
    last = pl.lit(datetime.combine(as_of, time(3), UTC)).cast(pl.Datetime("us", "UTC"))
    end_of_day = pl.col(day).cast(pl.Datetime("us", "UTC")) + pl.duration(days=1)
    return frame.with_columns(
        source_timestamp=end_of_day + pl.duration(seconds=recorded),
        ingestion_timestamp=pl.min_horizontal(end_of_day + pl.duration(seconds=recorded + delayed), last),
    )


def numbered(prefix: str, width: int, number: pl.Expr | None = None) -> pl.Expr:
    """Identifiers `<prefix>_000001`, by row from 1 or from `number`."""
    number = pl.int_range(1, pl.len() + 1) if number is None else number
    return pl.format(f"{prefix}_{{}}", number.cast(pl.String).str.zfill(width))


def conform(frame: pl.DataFrame, table: type[Table]) -> pl.DataFrame:
    """The columns of the contract, in its order and dtypes; ColumnNotFoundError when one is not there."""
    return frame.select(pl.col(c.name).cast(c.dtype) for c in columns(table))
