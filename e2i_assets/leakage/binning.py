"""Columns of any type as small integer levels, so that one test fits numbers, text and missing values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from e2i_assets.contracts.spelling import as_text
from e2i_assets.leakage import dates

_SAMPLE = 200
_MAX_BINS = 64
_ROWS_PER_BIN = 25
_ATOM_SHARE = 0.01  # a single number that this many rows share keeps a level of its own


@dataclass(frozen=True)
class Coded:
    """A column as levels.

    Attributes:
        codes: level of each row, shape (n,).
        levels: number of levels.
        real: per level, whether it is one value (a category, a frequent number, missing) and not a range.
        missing: the level of missing values; None when there are none.
    """

    codes: np.ndarray
    levels: int
    real: np.ndarray
    missing: int | None


def code(column: pd.Series, numbers: np.ndarray | None) -> Coded:
    """Levels of a column: categories as they are, numbers and dates by value or in ranges of equal counts.

    Args:
        numbers: what `as_numbers` makes of the column.
    """
    if numbers is None:
        codes, values = pd.factorize(as_text(column), sort=True)
        return _with_missing(codes, np.ones(len(values), dtype=bool))
    return _code_numbers(numbers)


def as_numbers(column: pd.Series) -> np.ndarray | None:
    """The column as float64 with NaN for missing; None when it is not made of numbers, booleans or dates.

    Numbers and dates may be written as text; `250.0` beside `250.00` are codes.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if pd.api.types.is_datetime64_any_dtype(column):
        return _as_days(dates.read(column))
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype="float64", na_value=np.nan)
    sample = column.dropna().head(_SAMPLE)
    if sample.empty:
        return None
    if pd.to_numeric(sample, errors="coerce").notna().all():
        numbers = pd.to_numeric(column, errors="coerce")
        whole = not (numbers.isna() & column.notna()).any() and numbers.nunique() == column.nunique()
        return numbers.to_numpy(dtype="float64", na_value=np.nan) if whole else None
    looks_dated = dates.read(sample)
    return _as_days(dates.read(column)) if looks_dated is not None and looks_dated.whole else None


def is_dated(column: pd.Series) -> bool:
    """Whether what `as_numbers` makes of a column are days: dates by type, or text that is no number."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    if pd.api.types.is_numeric_dtype(column):
        return False
    return bool(pd.to_numeric(column.dropna().head(_SAMPLE), errors="coerce").isna().any())


def _as_days(days: dates.Dates | None) -> np.ndarray | None:
    if days is None or not days.whole:
        return None
    stamps = days.wall.to_numpy(dtype="datetime64[ns]")
    return np.where(np.isnat(stamps), np.nan, stamps.astype("int64") / 86_400e9)


def _code_numbers(numbers: np.ndarray) -> Coded:
    missing = np.isnan(numbers)
    values, counts = np.unique(numbers[~missing], return_counts=True)
    bins = int(np.clip(len(numbers) // _ROWS_PER_BIN, 2, _MAX_BINS))
    if len(values) <= bins:
        codes = np.where(missing, -1, np.searchsorted(values, numbers))
        return _with_missing(codes, np.ones(len(values), dtype=bool))
    frequent = counts >= max(_ATOM_SHARE * len(numbers), _ROWS_PER_BIN)
    atoms, rest = values[frequent], np.repeat(values[~frequent], counts[~frequent])
    edges = np.unique(rest[np.linspace(0, len(rest) - 1, bins + 1).astype(int)[1:-1]]) if len(rest) else rest
    codes = np.searchsorted(edges, numbers, side="left")
    ranges = len(edges) + 1
    if len(atoms):
        nearest = np.minimum(np.searchsorted(atoms, numbers), len(atoms) - 1)
        codes = np.where(atoms[nearest] == numbers, ranges + nearest, codes)
    real = np.arange(ranges + len(atoms)) >= ranges
    return _with_missing(np.where(missing, -1, codes), real)


def _with_missing(codes: np.ndarray, real: np.ndarray) -> Coded:
    codes = np.asarray(codes, dtype=np.int64)
    if not (codes < 0).any():
        return Coded(codes, len(real), real, None)
    return Coded(np.where(codes < 0, len(real), codes), len(real) + 1, np.append(real, True), len(real))
