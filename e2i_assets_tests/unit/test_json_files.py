"""Dataclasses as plain JSON types and back, also from what an earlier release wrote."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

import pytest
from pydantic import ValidationError

from e2i_assets.json_files import from_json, to_json
from e2i_assets.quality.dimensions import TableQuality, Weakness
from e2i_assets.quality.expectations import FailedExpectation, SuiteResult
from e2i_assets.quality.freshness import Freshness

GRADED = TableQuality(
    "triggers",
    10,
    {"completeness": 0.5, "timeliness": None},
    (Weakness("completeness", "triggers", "note", 5, 10),),
    Freshness(dt.date(2024, 1, 31), None, stale=False, late=3),
)
JUDGED = SuiteResult(
    "s", "triggers", 2, 1, (FailedExpectation("unique", "id", None, "why"),), 0.5, "failed", ("a",)
)


@pytest.mark.parametrize("value", [GRADED, JUDGED])
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    stored = json.loads(json.dumps(to_json(value), allow_nan=False))
    assert stored == to_json(value)
    assert from_json(type(value), stored) == value


def test_days_are_texts_and_a_page_is_no_part_of_a_record() -> None:
    freshness = to_json(GRADED)["freshness"]
    assert freshness == {"newest": "2024-01-31", "fresh_until": None, "stale": False, "late": 3}
    assert "page" not in to_json(dataclasses.replace(JUDGED, page="<p>"))


def test_what_an_earlier_release_did_not_write_has_its_default() -> None:
    stored = to_json(GRADED)
    del stored["freshness"]
    assert from_json(TableQuality, stored) == dataclasses.replace(GRADED, freshness=None)


@pytest.mark.parametrize(
    "change",
    [{"rows": "many"}, {"rows": None}, {"weaknesses": [{"dimension": "validity"}]}, {"grade": 1.0}],
    ids=["a wrong type", "null", "fields missing within", "a field that is not known"],
)
def test_what_is_not_of_the_type_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        from_json(TableQuality, to_json(GRADED) | change)
