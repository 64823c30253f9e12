"""A column of any type as numbers or as levels, so that the same values are the same whatever holds them."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from e2i_assets.contracts.spelling import BLANKS, as_label, as_text

NUMBER, DATE, LEVELS, EMPTY = "number", "date", "levels", "empty"
_MOSTLY = 0.9
_TEXT_NUMBER = r"[+-]?(?:0|[1-9]\d*)(?:\.\d*)?(?:[eE][+-]?\d+)?"
_TEXT_DAY = r"\d{4}-\d{2}-\d{2}(?:[T ].*)?"
_TRUTH = {"true": "1", "false": "0"}
_EPOCH = pd.Timestamp(0)
_AS_NUMBERS = {"boolean", "decimal", "integer", "floating", "mixed-integer-float"}
_AS_DATES = {"date", "datetime", "datetime64"}


@dataclass(frozen=True)
class Levels:
    """Rows of each level of a category, by its text, and those without a value."""

    counts: pd.Series
    missing: int


Values = np.ndarray | Levels


def read_column(column: pd.Series, kind: str | None = None) -> tuple[str, Values]:
    """The kind of a column, and its values: float64 with NaN where unknown, or levels.

    Truth values are 0 and 1, days and times seconds since 1970, texts without the space around them. Texts
    are numbers, or days, where nine of ten known ones are plain numbers, or ISO days; the others are unknown.

    Args:
        kind: what it is compared with: it is read as that where half of its values can be.
    """
    own, values = _read(column)
    if kind in (None, EMPTY, own) or own == EMPTY:
        return own, values
    if kind == LEVELS and own == NUMBER:
        counts = pd.Series(values).value_counts()
        return LEVELS, _levels(as_label(counts.index.to_series()), counts.to_numpy(), len(column))
    if isinstance(values, Levels):
        numbers = _as_numbers(str(kind), as_label(values.counts.index.to_series()))
        rows = values.counts.to_numpy()
        if 2 * rows[numbers.notna()].sum() >= rows.sum():
            known = np.repeat(numbers.to_numpy(dtype=float, na_value=np.nan), rows)
            return str(kind), np.append(known, np.full(values.missing, np.nan))
    return own, values


def _read(column: pd.Series) -> tuple[str, Values]:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _coded(column.cat.codes.to_numpy(), pd.Series(dtype.categories))
    if isinstance(dtype, pd.ArrowDtype) and (dtype.kind == "O" or dtype.type is dt.date):
        return _read(column.astype(object))
    if _is_number(dtype):
        plain = isinstance(dtype, np.dtype)
        return _number(column.to_numpy(dtype=float) if plain else column.to_numpy(float, na_value=np.nan))
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return DATE, _seconds(column)
    if pd.api.types.is_timedelta64_dtype(dtype):
        return NUMBER, column.dt.total_seconds().to_numpy()
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred in _AS_NUMBERS:
        return _number(pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan))
    if inferred in _AS_DATES:
        return DATE, _spread(*_days(column))
    if inferred == "mixed":
        column = as_text(column)
    codes, values = pd.factorize(column)
    return _coded(codes, pd.Series(values, dtype=None if len(values) else object))


def _is_number(dtype: Any) -> bool:
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype)


def _days(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The place of each row's day or moment among the different ones, and those in seconds."""
    codes, values = pd.factorize(column)
    return codes, _moments(pd.Series([value.isoformat() for value in values], dtype=object))


def _moments(texts: pd.Series) -> np.ndarray:
    """ISO texts in seconds, unknown where they are none; of years that pandas does not reach, too."""
    seconds = _seconds(pd.to_datetime(texts, errors="coerce", utc=True, format="ISO8601"))
    for place in np.flatnonzero(np.isnan(seconds) & texts.notna().to_numpy()):
        with suppress(ValueError):  # no day
            seconds[place] = np.datetime64(texts.iloc[place][:10], "s").astype(float)
    return seconds


def _number(values: np.ndarray) -> tuple[str, np.ndarray]:
    return (EMPTY if np.isnan(values).all() else NUMBER), values


def _coded(codes: np.ndarray, values: pd.Series) -> tuple[str, Values]:
    """A column by the places of its values among different ones, negative where there is none."""
    rows = np.bincount(codes[codes >= 0], minlength=len(values))
    if _is_number(values.dtype) or pd.api.types.is_datetime64_any_dtype(values):
        kind, numbers = _read(values)
        spread = _spread(codes, np.asarray(numbers))
        return (DATE, spread) if kind == DATE else _number(spread)
    levels = as_text(values).str.strip(BLANKS)
    levels = levels.mask(levels == "")
    truths = levels.str.lower().map(_TRUTH)
    levels = truths.astype("string") if truths.notna().equals(levels.notna()) else levels
    if not rows[levels.notna()].sum():
        return EMPTY, np.full(len(codes), np.nan)
    for kind, pattern in ((DATE, _TEXT_DAY), (NUMBER, _TEXT_NUMBER)):
        fits = levels.str.fullmatch(pattern).fillna(False).to_numpy(dtype=bool)
        if rows[fits].sum() >= _MOSTLY * rows[levels.notna()].sum():
            numbers = _as_numbers(kind, levels.where(fits)).to_numpy(dtype=float, na_value=np.nan)
            return kind, _spread(codes, numbers)
    return LEVELS, _levels(levels, rows, len(codes))


def _spread(codes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    return np.append(numbers, np.nan)[codes]


def _levels(texts: pd.Series, rows: np.ndarray, total: int) -> Levels:
    counts = pd.Series(rows, index=pd.Index(texts, dtype=object))
    counts = counts[counts.index.notna() & (rows > 0)].groupby(level=0).sum()
    return Levels(counts, total - int(counts.sum()))


def _as_numbers(kind: str, texts: pd.Series) -> pd.Series:
    """Texts as numbers, or days in seconds; unknown where they are none."""
    if kind == DATE:
        return pd.Series(_moments(texts))
    return pd.to_numeric(texts, errors="coerce")


def _seconds(moments: pd.Series) -> np.ndarray:
    if moments.dt.tz is not None:
        moments = moments.dt.tz_convert("UTC").dt.tz_localize(None)
    return (moments - _EPOCH).dt.total_seconds().to_numpy()
