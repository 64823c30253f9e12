"""Values of a source as values of a contract: the same value, or a bad cell; never another value.

What a person could mean by `03/04/2024` or `1,500` is not guessed: the mapping says it (`read:`), or the cell
is bad.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from e2i_assets.contracts.rules import FIRST_DAY, LAST_DAY
from e2i_assets.ingest.mapping import ColumnMapping, Reading

INTEGER = r"^[+-]?\d+(\.0*)?$"
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
ISO_DATE = r"^\d{4}-\d{2}-\d{2}$"
MIDNIGHT = r"[T ]00:00(:00(\.0+)?)?$"
OFFSET = r"(Z|[+-]\d{2}(:?\d{2})?)$"
TIME = r"T\d{2}:\d{2}:[0-5]\d(\.\d{1,6}0*)?(Z|[+-]|$)"
"""Time of day to the microsecond, the finest that is kept; a second 60 would become the next minute's."""
EXACT_INTEGER = 2**53
"""Up to here every integer is also a float."""


class Cast(NamedTuple):
    """Values of the wanted type, null where the cell is bad; which cells are bad; and what they should be."""

    values: pl.Series
    bad: pl.Series
    rule: str


def cast(cells: pl.Series, dtype: pl.DataType, how: ColumnMapping, reading: Reading) -> Cast:
    """A column of the source as a column of `dtype`, through its value map and unit factor."""
    if how.values is not None:
        return _mapped(cells, dtype, how.values, reading)
    if how.factor is not None:
        return _converted(cells, dtype, how.factor, reading)
    return _typed(cells, dtype, reading)


def beyond_years(cells: pl.Series) -> pl.Series:
    """Days and times outside the years 1 to 9999, such as PostgreSQL's `infinity`; Polars writes none."""
    if cells.dtype == pl.Date:
        steps = 1
    elif isinstance(cells.dtype, pl.Datetime):
        steps = 86_400 * {"ms": 10**3, "us": 10**6, "ns": 10**9}[cells.dtype.time_unit]
    else:
        return pl.repeat(False, len(cells), eager=True)
    epoch = dt.date(1970, 1, 1)
    day = cells.to_physical() // steps
    return ((day < (FIRST_DAY - epoch).days) | (day > (LAST_DAY - epoch).days)).fill_null(value=False)


def too_long(cells: pl.Series) -> pl.Series:
    """Decimals with more digits than a 64-bit number holds: written out again, they are others."""
    back = cells.cast(pl.Float64).cast(pl.String).cast(cells.dtype, strict=False)
    return cells.is_not_null() & ~(back == cells).fill_null(value=False)


def _mapped(cells: pl.Series, dtype: pl.DataType, values: dict[str, str | None], reading: Reading) -> Cast:
    text = as_text(cells)
    unknown = cells.is_not_null() & ~text.is_in(list(values)).fill_null(value=False)
    ours = text.replace_strict(list(values), list(values.values()), default=None, return_dtype=pl.String)
    done = _typed(ours, dtype, reading)
    if unknown.any():
        return Cast(done.values, done.bad | unknown, "is a value that the value map does not have")
    return Cast(done.values, done.bad, f"value map: {done.rule}")


def _converted(cells: pl.Series, dtype: pl.DataType, factor: float, reading: Reading) -> Cast:
    number = _typed(cells, pl.Float64(), reading)
    product = number.values * factor
    if dtype.is_integer():
        # A factor such as 1/12 has no exact decimal form.
        near = ((product - product.round()).abs() < 1e-6).fill_null(value=False)
        product = pl.select(pl.when(near).then(product.round()).otherwise(product)).to_series()
    done = _typed(product.alias(cells.name), dtype, reading)
    return Cast(done.values, done.bad | number.bad, number.rule if number.bad.any() else done.rule)


def _typed(cells: pl.Series, dtype: pl.DataType, reading: Reading) -> Cast:
    values, rule = _casters()[dtype.base_type()](cells, reading)
    return Cast(values.cast(dtype).alias(cells.name), cells.is_not_null() & values.is_null(), rule)


def _casters() -> dict[type[pl.DataType], Callable[[pl.Series, Reading], tuple[pl.Series, str]]]:
    return {
        pl.String: _to_text, pl.Int64: _to_integer, pl.Float64: _to_number, pl.Boolean: _to_boolean,
        pl.Date: _to_date, pl.Datetime: _to_time,
    }  # fmt: skip


def as_text(cells: pl.Series) -> pl.Series:
    """As written; an integer without a point even where Parquet stores it as a float."""
    if cells.dtype.is_float():
        whole = cells.cast(pl.Int64, strict=False)
        same = whole.cast(pl.Float64) == cells
        return pl.select(
            pl.when(same).then(whole.cast(pl.String)).otherwise(cells.cast(pl.String))
        ).to_series()
    return written(cells)


def written(cells: pl.Series) -> pl.Series:
    """Cells as text; lists, bytes and the like, of which Polars makes none, as Python writes them."""
    if cells.dtype.is_nested() or cells.dtype == pl.Binary:
        return pl.Series(cells.name, [None if v is None else str(v) for v in cells.to_list()], pl.String)
    return cells.cast(pl.String, strict=False)


def _none(cells: pl.Series, dtype: pl.DataType) -> pl.Series:
    return pl.Series(cells.name, [None] * len(cells), dtype=dtype)


def _to_text(cells: pl.Series, reading: Reading) -> tuple[pl.Series, str]:
    if cells.dtype in (pl.String, pl.Boolean, pl.Date) or cells.dtype.is_integer() or cells.dtype == pl.Null:
        return cells.cast(pl.String), "must be text"
    return _none(cells, pl.String()), f"must be text, is {cells.dtype}; say how to write it (`x::VARCHAR`)"


def _to_integer(cells: pl.Series, reading: Reading) -> tuple[pl.Series, str]:
    rule = "must be Int64, a whole number in digits alone"
    if cells.dtype == pl.String:
        text = _pointed(cells, reading)
        whole = text.str.contains(INTEGER).fill_null(value=False)
        digits = text.str.replace(r"\.0*$", "").str.strip_prefix("+")
        return _only(digits, whole).cast(pl.Int64, strict=False), rule
    if cells.dtype == pl.Boolean or not (cells.dtype.is_numeric() or cells.dtype == pl.Null):
        return _none(cells, pl.Int64()), rule
    whole = cells.cast(pl.Int64, strict=False)
    if cells.dtype.is_float():
        exact = (whole.cast(pl.Float64) == cells) & (cells.abs() <= EXACT_INTEGER)
        return _only(whole, exact.fill_null(value=False)), rule
    if cells.dtype.is_decimal():
        return _only(whole, (whole.cast(cells.dtype, strict=False) == cells).fill_null(value=False)), rule
    return whole, rule


def _to_number(cells: pl.Series, reading: Reading) -> tuple[pl.Series, str]:
    rule = "must be Float64, a number" + (
        "" if reading.decimal == "," else ' with a decimal point (`read: {decimal: ","}` reads a comma)'
    )
    if cells.dtype == pl.String:
        text = _pointed(cells, reading)
        number = _only(text, text.str.contains(NUMBER).fill_null(value=False)).cast(pl.Float64, strict=False)
        # `1e-400` is not zero, as little as `1e400` is infinite.
        finite = number.is_finite() & ((number != 0) | ~text.str.contains(r"^[^eE]*[1-9]"))
        return _only(number, finite.fill_null(value=False)), rule
    if cells.dtype == pl.Boolean or not (cells.dtype.is_numeric() or cells.dtype == pl.Null):
        return _none(cells, pl.Float64()), rule
    number = cells.cast(pl.Float64)
    if cells.dtype.is_decimal():
        return _only(number, ~too_long(cells)), rule
    if cells.dtype.is_integer():
        return _only(number, (number.abs() <= EXACT_INTEGER).fill_null(value=False)), rule
    return number, rule


def _to_boolean(cells: pl.Series, reading: Reading) -> tuple[pl.Series, str]:
    rule = "must be true or false (`values:` maps other words)"
    if cells.dtype in (pl.Boolean, pl.Null):
        return cells.cast(pl.Boolean), rule
    if cells.dtype == pl.String or cells.dtype.is_numeric():
        words = {"true": True, "false": False, "1": True, "0": False}
        text = as_text(cells).str.to_lowercase()
        truths = text.replace_strict(list(words), list(words.values()), default=None, return_dtype=pl.Boolean)
        return truths, rule
    return _none(cells, pl.Boolean()), rule


def _to_date(cells: pl.Series, reading: Reading) -> tuple[pl.Series, str]:
    wanted = reading.date_format or "2024-01-31"
    rule = f"must be a day written as {wanted}"
    if cells.dtype == pl.String:
        if reading.date_format is not None:
            moment = cells.str.to_datetime(reading.date_format, strict=False, exact=True, time_unit="us")
            # A time of day would be lost; `%Y` reads `24` as the year 24.
            whole = (moment.dt.truncate("1d") == moment) & (moment.dt.year() >= 1000)
            return _only(moment.dt.date(), whole.fill_null(value=False)), rule
        day = cells.str.replace(MIDNIGHT, "")
        return _only(day, day.str.contains(ISO_DATE).fill_null(value=False)).str.to_date(
            "%Y-%m-%d", strict=False
        ), rule + "; `read: {date_format: …}` says how else"
    if isinstance(cells.dtype, pl.Datetime):
        rule = "must be a day, is a time (`x::DATE` drops the time of day)"
        if cells.dtype.time_zone is not None:
            if reading.time_zone is None:
                return _none(
                    cells, pl.Date()
                ), "is a time: say `read: {time_zone: …}` in which its day counts"
            cells = cells.dt.convert_time_zone(reading.time_zone).dt.replace_time_zone(None)
        return _only(cells.dt.date(), (cells.dt.truncate("1d") == cells).fill_null(value=False)), rule
    if cells.dtype in (pl.Date, pl.Null):
        return cells.cast(pl.Date), rule
    return _none(cells, pl.Date()), rule


def _to_time(cells: pl.Series, reading: Reading) -> tuple[pl.Series, str]:
    rule = (
        "must be a time such as 2024-01-31T08:00:00+01:00; `read: {time_zone: …}` is for times without zone"
    )
    if cells.dtype == pl.String:
        return _parsed_times(cells, reading), rule
    if cells.dtype == pl.Date:
        return _zoned(cells.cast(pl.Datetime("us")), reading.time_zone or "UTC"), rule
    if isinstance(cells.dtype, pl.Datetime):
        micro = cells.cast(pl.Datetime("us", cells.dtype.time_zone))
        exact = (micro.cast(cells.dtype) == cells).fill_null(value=False)
        if cells.dtype.time_zone is not None:
            return _only(micro.dt.convert_time_zone("UTC"), exact), rule
        if reading.time_zone is not None:
            return _only(_zoned(micro, reading.time_zone), exact), rule
    return _none(cells, pl.Datetime("us", "UTC")), rule


def _parsed_times(cells: pl.Series, reading: Reading) -> pl.Series:
    text = cells.str.replace(r"^(\d{4}-\d{2}-\d{2})[ T]", "${1}T").str.replace(r"Z$", "+00:00")
    text = text.str.replace(r"(T.*[+-]\d{2})$", "${1}:00")
    has_day = cells.str.contains(ISO_DATE).fill_null(value=False)
    has_time = text.str.contains(TIME).fill_null(value=False)
    has_zone = (has_time & text.str.contains(OFFSET)).fill_null(value=False)
    zoned = _only(text, has_zone).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f%z", strict=False, time_unit="us", time_zone="UTC"
    )
    day = _only(text, has_day).str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    times = zoned.fill_null(_zoned(day, reading.time_zone or "UTC"))
    if reading.time_zone is None:
        return times
    local = _only(text, has_time & ~has_zone).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f", strict=False, time_unit="us"
    )
    return times.fill_null(_zoned(local, reading.time_zone))


def _zoned(local: pl.Series, zone: str) -> pl.Series:
    """Local times as UTC; null where the clock was put forward over them, or shows them twice."""
    return local.dt.replace_time_zone(zone, ambiguous="null", non_existent="null").dt.convert_time_zone("UTC")


def _pointed(text: pl.Series, reading: Reading) -> pl.Series:
    """Numbers with a decimal point; where the mark is a comma, a point makes the cell bad."""
    if reading.decimal == ".":
        return text
    dotted = text.str.contains(".", literal=True).fill_null(value=False)
    return _only(text, ~dotted).str.replace(",", ".", literal=True)


def _only(values: pl.Series, good: pl.Series) -> pl.Series:
    return pl.select(pl.when(good).then(values).otherwise(None)).to_series()
