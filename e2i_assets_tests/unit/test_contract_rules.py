"""The row rules of the contracts: what they catch, and that a null breaks nothing but `null`."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from e2i_assets.contracts.base import columns
from e2i_assets.contracts.rules import row_rules
from e2i_assets.contracts.tables import TABLES


def broken(table: str, **values: list[object]) -> list[list[str]]:
    """Names of the broken rules of each row, among those that read the given columns."""
    types = {c.name: c.dtype for c in columns(TABLES[table])}
    frame = pl.DataFrame([pl.Series(n, v, dtype=types[n]) for n, v in values.items()])
    rules = [rule for rule in row_rules(table) if set(rule.needs) <= set(values)]
    masks = [(rule.name, frame.select(rule.broken.fill_null(value=False)).to_series()) for rule in rules]
    return [[name for name, mask in masks if mask[i]] for i in range(frame.height)]


@pytest.mark.parametrize(
    ("table", "values", "expected"),
    [
        ("patient_journeys", {"patient_id": ["p", None, "a\0b"]}, [[], ["null"], ["nul"]]),
        ("patient_journeys", {"age_at_diagnosis": [0, 121, -1, None]}, [[], ["high"], ["low"], []]),
        ("patient_journeys", {"gender": ["F", "f", None]}, [[], ["allowed"], []]),
        ("treatment_events", {"value": [1.0, float("nan"), float("inf"), None]}, [[], ["not_finite"], ["not_finite"], []]),
        ("treatment_events", {"event_date": [dt.date(2024, 1, 1), dt.date(1, 1, 1)]}, [[], []]),
        ("hcp_profiles", {"hcp_id": ["h", "h" * 10_000_000]}, [[], ["too_long"]]),
        (
            "patient_journeys",
            {"clinical_attributes": ['{"a": "é"}', "a", "[1]", '{"x": NaN}', r'{"x": "\u0000"}', r'{"x": "\ud800"}', None]},
            [[], *[["json"]] * 5, []],
        ),
    ],
)  # fmt: skip
def test_a_rule_marks_the_rows_that_break_it(
    table: str, values: dict[str, list[object]], expected: list[list[str]]
) -> None:
    assert broken(table, **values) == expected


def test_a_day_that_no_database_holds_is_broken() -> None:
    (rule,) = [r for r in row_rules("treatment_events") if r.name == "day" and r.column == "event_date"]
    days = pl.DataFrame({"event_date": pl.Series([0, 5_000_000, -1_000_000], dtype=pl.Int32).cast(pl.Date)})
    assert days.select(rule.broken).to_series().to_list() == [False, True, True]


def test_a_condition_over_two_columns_holds_for_nulls() -> None:
    first = [dt.date(2024, 1, 2), dt.date(2024, 1, 2), None]
    last = [dt.date(2024, 1, 1), dt.date(2024, 1, 2), dt.date(2024, 1, 1)]
    result = broken("patient_journeys", first_observation_date=first, last_observation_date=last)
    assert result == [["check:observation_in_order"], [], []]
