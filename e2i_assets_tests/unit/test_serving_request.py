"""What a request may say: strict types, every feature named, and the frame that comes out of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from e2i_assets.serving.schema import feature_schema
from e2i_assets.serving.server.request_schema import MAX_BATCH, MAX_UNKNOWN, doubts, request_models, to_frame
from e2i_assets_tests.serving_toy import FEATURES, LEVELS, ROW, USUAL, feature

SCHEMA = feature_schema(FEATURES, LEVELS, USUAL)
PREDICT, PREDICT_BATCH = request_models(SCHEMA, "toy")


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
        ({"uas7": True}, "uas7", "float_type"),
        ({"age": -5}, "age", "outside_contract"),
        ({"age": 1e39}, "age", "outside_contract"),
        ({"age": 120.5}, "age", "outside_contract"),
        ({"uas7": 1e39}, "uas7", "outside_contract"),
        ({"uas7": -(2**60)}, "uas7", "outside_contract"),
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


def declared(low: float | None = None, high: float | None = None, **facts: Any) -> type[BaseModel]:
    kind = "categorical" if "allowed" in facts else "numeric"
    made = feature("x", kind, None, "X", low=low, high=high, **facts)
    return request_models(feature_schema([made], {"x": ["a"]} if kind == "categorical" else {}, {}), "toy")[0]


@pytest.mark.parametrize(
    ("feature", "value", "wanted"),
    [
        (declared(0, 120, integer=True), 50.5, "a whole number from 0 to 120"),
        (declared(0, 120, integer=True), 121, "a whole number from 0 to 120"),
        (declared(0), -0.1, "a finite number from 0 to 9.00719925474099e+15"),
        (declared(high=0.5), 0.51, "a finite number from -9.00719925474099e+15 to 0.5"),
        (declared(allowed=("F", "M")), "m", "one of F, M"),
    ],
)
def test_what_lies_outside_the_contract_is_refused_with_its_bounds(
    feature: type[BaseModel], value: Any, wanted: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        feature.model_validate_json(json.dumps({"features": {"x": value}}))
    (error,) = caught.value.errors()
    assert (error["loc"], error["msg"]) == (("features", "x"), f"Input should be {wanted}")


@pytest.mark.parametrize("value", ["0", "120", "-0.0", "50", "50.0", "5e1", "null"])
def test_what_lies_within_a_contract_is_accepted_however_it_is_written(value: str) -> None:
    assert declared(0, 120, integer=True).model_validate_json(f'{{"features": {{"x": {value}}}}}')


@pytest.mark.parametrize("value", ["1" + "0" * 400, "-1" + "0" * 400, "1e400", "9" * 5000])
def test_a_number_that_no_float_holds_is_refused(value: str) -> None:
    assert errors(declared(), f'{{"features": {{"x": {value}}}}}')


@pytest.mark.parametrize("where", ["features", "top"])
def test_unknown_names_are_told_few_and_short(where: str) -> None:
    unknown = {f"{i}{'SECRET' * 1000}": 1 for i in range(1000)}
    body = {"features": ROW | unknown} if where == "features" else {"features": ROW} | unknown
    with pytest.raises(ValidationError) as caught:
        PREDICT.model_validate_json(json.dumps(body))
    assert len(caught.value.errors()) == MAX_UNKNOWN + 1
    assert caught.value.errors()[-1]["loc"][-1] == f"and {1000 - MAX_UNKNOWN} more"
    assert len(str(caught.value)) < 200 * (MAX_UNKNOWN + 2)


def test_a_long_unknown_name_is_not_taken_for_the_known_one_that_it_begins_with() -> None:
    long = "x" * 64
    model, _ = request_models(feature_schema([feature(long, "numeric", None, "")], {}, {}), "toy")
    assert errors(model, json.dumps({"features": {long: 1, long + "y": 2}})) == [
        (("features", long + "…"), "extra_forbidden")
    ]


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
    odd, _ = request_models(feature_schema([feature(n, "numeric", None, n) for n in names], {}, {}), "toy")
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
        "age": st.none() | st.floats(0, 120) | st.integers(0, 120),
        "uas7": st.none() | st.floats(-(2.0**53), 2.0**53) | st.integers(-(2**53), 2**53),
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


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([dict.fromkeys(ROW)], ["every feature: null in 1 of 1 rows"]),
        ([ROW, dict.fromkeys(ROW), ROW], ["every feature: null in 1 of 3 rows"]),
        ([ROW | {"age": 119}], ["age: well beyond the values usual in training in 1 of 1 rows"]),
        ([ROW | {"age": 0}], ["age: well beyond the values usual in training in 1 of 1 rows"]),
        ([ROW | {"age": 86}, ROW | {"age": 14}, ROW | {"age": None}], []),
        ([ROW | {"uas7": 1e9}, ROW], ["uas7: well beyond the values usual in training in 1 of 2 rows"]),
    ],
)
def test_an_answer_that_is_doubtful_says_why(rows: list[dict[str, Any]], expected: list[str]) -> None:
    assert doubts(SCHEMA, rows) == expected


WARNED = [
    feature("age", "numeric", "years", "Age", low=0, high=120, integer=True),
    feature("sex", "categorical", None, "Sex", allowed=("F", "M")),
]
OUTSIDE = {
    "age": "age: outside its contract, which allows a whole number from 0 to 120 in 1 of 2 rows",
    "sex": "sex: outside its contract, which allows one of F, M in 1 of 2 rows",
    "level": "sex: level rare or not seen in training in 1 of 2 rows",
}


@pytest.mark.parametrize(
    ("row", "warnings"),
    [
        ({"age": -5, "sex": "F"}, ["age"]),
        ({"age": 50.5, "sex": "F"}, ["age"]),
        ({"age": 50, "sex": "SECRET"}, ["sex", "level"]),
        ({"age": None, "sex": None}, []),
    ],
)
def test_where_the_scope_says_so_a_value_outside_its_contract_is_answered_with_a_warning(
    row: dict[str, Any], warnings: list[str]
) -> None:
    schema = feature_schema(WARNED, {"sex": ["F", "M"]}, {}, "warn")
    body, batch = request_models(schema, "toy")
    assert body.model_validate({"features": row})
    assert batch.model_validate({"features_list": [row]})
    typical = {"age": 50, "sex": "F"}
    expected = [OUTSIDE[name] for name in warnings]
    assert [w for w in doubts(schema, [row, typical]) if "every feature" not in w] == expected
    described = body.model_json_schema()["$defs"]["Features"]["properties"]["age"]
    assert "minimum" not in described
    assert "else answered with a warning" in described["description"]


@pytest.mark.parametrize("value", [1e39, float("nan"), "50", True])
def test_what_is_no_number_that_a_model_answers_is_refused_there_too(value: Any) -> None:
    schema = feature_schema(WARNED, {"sex": ["F", "M"]}, {}, "warn")
    with pytest.raises(ValidationError) as caught:
        request_models(schema, "toy")[0].model_validate({"features": {"age": value, "sex": "F"}})
    assert [error["loc"] for error in caught.value.errors()] == [("features", "age")]


def test_an_unseen_level_is_counted_and_not_repeated() -> None:
    rows = [ROW, ROW | {"region": "Atlantis"}, ROW | {"region": None}]
    assert doubts(SCHEMA, rows) == ["region: level rare or not seen in training in 1 of 3 rows"]
    assert doubts(SCHEMA, [ROW]) == []
