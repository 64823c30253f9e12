"""What a request may say: strict types, every feature named, and the frame that comes out of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from e2i_assets.serving.request_schema import MAX_BATCH, request_models, to_frame, unseen_levels
from e2i_assets.serving.schema import feature_schema
from e2i_assets_tests.serving_toy import FEATURES, LEVELS, ROW, ToyFeature

SCHEMA = feature_schema(FEATURES, LEVELS)
PREDICT, PREDICT_BATCH = request_models(SCHEMA)


def errors(model: type[BaseModel], body: str) -> list[tuple[tuple[int | str, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate_json(body)
    return [(error["loc"], error["type"]) for error in caught.value.errors()]


@pytest.mark.parametrize(
    ("change", "location", "rule"),
    [
        ({"age": "50"}, "age", "float_type"),
        ({"age": True}, "age", "float_type"),
        ({"age": [50]}, "age", "float_type"),
        ({"age": float("nan")}, "age", "finite_number"),
        ({"uas7": float("inf")}, "uas7", "finite_number"),
        ({"region": 3}, "region", "string_type"),
        ({"biologic": 1}, "biologic", "bool_type"),
        ({"biologic": "true"}, "biologic", "bool_type"),
        ({"shoe_size": 43}, "shoe_size", "extra_forbidden"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_feature(
    change: dict[str, Any], location: str, rule: str
) -> None:
    assert errors(PREDICT, json.dumps({"features": ROW | change})) == [(("features", location), rule)]


@pytest.mark.parametrize("absent", list(ROW))
def test_a_feature_left_out_is_not_a_missing_value(absent: str) -> None:
    body = {"features": {name: value for name, value in ROW.items() if name != absent}}
    assert errors(PREDICT, json.dumps(body)) == [(("features", absent), "missing")]


@pytest.mark.parametrize("body", ["", "[]", '{"features": [1]}', '{"features": {}, "threshold": 0.1}', "{"])
def test_a_body_of_another_shape_is_refused(body: str) -> None:
    assert errors(PREDICT, body)


def test_the_error_text_carries_no_value() -> None:
    with pytest.raises(ValidationError) as caught:
        PREDICT.model_validate_json(json.dumps({"features": ROW | {"age": "forty-two", "other": "secret"}}))
    assert "forty-two" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_batch_names_the_index_and_stops_at_the_first_bad_row() -> None:
    rows = [ROW, ROW | {"region": 1}, ROW | {"age": "x"}]
    assert errors(PREDICT_BATCH, json.dumps({"features_list": rows})) == [
        (("features_list", 1, "region"), "string_type")
    ]


@pytest.mark.parametrize(("count", "rule"), [(0, "too_short"), (MAX_BATCH + 1, "too_long")])
def test_a_batch_has_1_to_1000_rows(count: int, rule: str) -> None:
    assert errors(PREDICT_BATCH, json.dumps({"features_list": [ROW] * count})) == [(("features_list",), rule)]


def test_a_feature_may_be_called_anything() -> None:
    names = ["copy", "model_config", "_private", "1st visit", "a.b"]
    odd, _ = request_models(feature_schema([ToyFeature(n, "numeric", None, n) for n in names], {}))
    assert odd.model_validate({"features": dict.fromkeys(names, 1.0)}).features == dict.fromkeys(names, 1.0)  # type: ignore[attr-defined]


def test_the_api_document_tells_kind_unit_and_meaning() -> None:
    document = PREDICT.model_json_schema()["$defs"]["Features"]
    age = document["properties"]["age"]
    assert age["x-kind"] == "numeric"
    assert age["x-unit"] == "years"
    assert age["description"].startswith("Age at diagnosis (numeric, years")
    assert {"type": "null"} in age["anyOf"]
    assert document["required"] == [feature.name for feature in FEATURES]
    assert document["additionalProperties"] is False


row = st.fixed_dictionaries(
    {
        "age": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
        "uas7": st.none() | st.floats(0, 42),
        "region": st.none() | st.text(),
        "biologic": st.none() | st.booleans(),
    }
)


@given(st.lists(row, min_size=1, max_size=5))
def test_a_valid_row_reaches_the_frame_unchanged(rows: list[dict[str, Any]]) -> None:
    request = PREDICT_BATCH.model_validate_json(json.dumps({"features_list": rows}))
    frame = to_frame(SCHEMA, request.features_list)  # type: ignore[attr-defined]
    assert [str(dtype) for dtype in frame.dtypes] == ["float64", "float64", "object", "float64"]
    assert list(frame["region"]) == [entry["region"] for entry in rows]
    for name in ("age", "uas7", "biologic"):
        expected = [np.nan if entry[name] is None else float(entry[name]) for entry in rows]
        np.testing.assert_array_equal(frame[name], expected)


def test_an_unseen_level_is_counted_and_not_repeated() -> None:
    rows = [ROW, ROW | {"region": "Atlantis"}, ROW | {"region": None}]
    assert unseen_levels(SCHEMA, rows) == ["region: level not seen in training in 1 of 3 rows"]
    assert unseen_levels(SCHEMA, [ROW]) == []
