"""Whatever is written in a cell arrives as that value, or the cell is bad: it never becomes another value."""

from __future__ import annotations

import csv
import datetime as dt
import tempfile
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from e2i_assets.ingest.casting import cast
from e2i_assets.ingest.mapping import ColumnMapping, Mapping, Reading
from e2i_assets.ingest.sources import read_source

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
NUMBERLIKE = (
    st.text(alphabet="0123456789+-.,eE ", max_size=24) | st.integers().map(str) | st.floats().map(str)
)
DAYLIKE = st.text(alphabet="0123456789-/. T:", max_size=20) | st.dates().map(str)
TEXT = """
source: test
tables:
  patient_journeys:
    columns:
      patient_journey_id: id
      patient_id: id
      diagnosis_code: b || ''
      brand: "'B'"
      indication: "'i'"
      first_observation_date: DATE '2024-01-01'
      last_observation_date: DATE '2024-12-31'
      source_timestamp: TIMESTAMPTZ '2024-01-01 00:00:00Z'
    leave_out: [a]
"""


def made(cell: str, dtype: pl.DataType, reading: Reading | None = None) -> object:
    """The value of a cell; ValueError where it is bad."""
    done = cast(pl.Series("x", [cell]), dtype, ColumnMapping.model_validate("x"), reading or Reading())
    if done.bad[0]:
        raise ValueError(done.rule)
    return done.values[0]


def outcome(cell: str, dtype: pl.DataType, reading: Reading | None = None) -> object:
    try:
        return made(cell, dtype, reading)
    except ValueError:
        return None


@given(NUMBERLIKE)
def test_an_integer_is_the_number_that_is_written(cell: str) -> None:
    value = outcome(cell, pl.Int64())
    assert value is None or value == Decimal(cell)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_integer_of_64_bits_is_read(number: int) -> None:
    assert made(str(number), pl.Int64()) == number


@given(NUMBERLIKE)
def test_a_number_is_the_number_that_is_written(cell: str) -> None:
    for reading, point in ((Reading(), cell), (Reading(decimal=","), cell.replace(",", "."))):
        value = outcome(cell, pl.Float64(), reading)
        assert value is None or value == float(point)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_read(number: float) -> None:
    assert made(str(number), pl.Float64()) == number


@given(DAYLIKE)
def test_a_day_is_the_day_that_is_written(cell: str) -> None:
    value = outcome(cell, pl.Date())
    assert value is None or str(value) == cell[:10]


@given(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_a_time_with_a_zone_is_that_moment(moment: dt.datetime, minutes: int) -> None:
    written = moment.replace(tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    assert made(written.isoformat(), pl.Datetime("us", "UTC")) == written


@pytest.mark.parametrize(
    ("cell", "dtype", "reading"),
    [
        ("1e-400", pl.Float64(), {}),
        ("1e400", pl.Float64(), {}),
        ("2024-01-31T08:00:00.1234567Z", pl.Datetime("us", "UTC"), {}),
        ("2024-01-31T08:00:60Z", pl.Datetime("us", "UTC"), {}),
        ("2024-01-31T08:00:60", pl.Datetime("us", "UTC"), {"time_zone": "Europe/Berlin"}),
        ("31.01.24", pl.Date(), {"date_format": "%d.%m.%Y"}),
        ("31.01.2024 08:00", pl.Date(), {"date_format": "%d.%m.%Y %H:%M"}),
    ],
)
def test_a_cell_that_could_only_be_kept_as_another_value_is_bad(
    cell: str, dtype: pl.DataType, reading: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match="must be"):
        made(cell, dtype, Reading.model_validate(reading))


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**17), max_value=10**17, places=20))
def test_a_decimal_is_that_number_or_bad(number: Decimal) -> None:
    series = pl.Series("x", [number], dtype=pl.Decimal(38, 20))
    done = cast(series, pl.Float64(), ColumnMapping.model_validate("x"), Reading())
    exact = Decimal(repr(float(number))) == number
    assert (bool(done.bad[0]), done.values[0]) == ((False, float(number)) if exact else (True, None))


def test_small_numbers_long_fractions_and_midnights_are_read() -> None:
    assert made("0e-400", pl.Float64()) == 0
    assert made("5e-324", pl.Float64()) == 5e-324
    moment = dt.datetime(2024, 1, 31, 8, 0, 0, 123456, tzinfo=dt.UTC)
    assert made("2024-01-31T08:00:00.123456000Z", pl.Datetime("us", "UTC")) == moment
    midnight = Reading(date_format="%d.%m.%Y %H:%M")
    assert made("31.01.2024 00:00", pl.Date(), midnight) == dt.date(2024, 1, 31)


@example(rows=[("\r", " "), (" 17.0", "\n")])
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=12)] * 2), min_size=1))
def test_text_of_a_csv_arrives_as_it_is(rows: list[tuple[str, str]]) -> None:
    """Bare, and through an expression; an empty cell is empty."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.csv"
        with path.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened, quoting=csv.QUOTE_ALL)
            writer.writerow(["id", "a", "b"])
            writer.writerows((f"p{i}", a, b) for i, (a, b) in enumerate(rows))
        collected = []
        for text in (TEXT, TEXT.replace("b || ''", "a").replace("[a]", "[b]")):
            parts = read_source(path, Mapping.from_text(text, path), now=NOW).parts("patient_journeys")
            collected.append(pl.concat(part.frame for part in parts)["diagnosis_code"].to_list())
    assert collected == [[b or None for _, b in rows], [a or None for a, _ in rows]]
