"""What a service tells of one prediction: contributions that add up to the model's own score."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from pydantic import ValidationError
from scipy.special import expit, softmax
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from e2i_assets.modeling.explanation import shapley
from e2i_assets.modeling.explanation.shapley import served_explanation
from e2i_assets.modeling.problems.base import Answer
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.problems.regression import Regression
from e2i_assets.serving import BundleError
from e2i_assets.serving.pipeline_check import Golden, check_explanation
from e2i_assets.serving.schema import feature_schema
from e2i_assets.serving.server.explanation import Explainer
from e2i_assets.serving.server.request_schema import request_models, to_frame
from e2i_assets_tests.serving_toy import FEATURES, LEVELS, ROW, USUAL, toy_data, toy_pipeline

SCHEMA = feature_schema(FEATURES, LEVELS, USUAL)
ROWS: list[dict[str, Any]] = [ROW, ROW | {"age": 71.25, "region": "south"}, dict.fromkeys(ROW)]
BINARY, REVERSED = (Binary().answer([0, 1], target, 0.5) for target in ("initiated", "0"))
VALUE = Regression().answer((), "days", None)
SEVERAL = Answer(
    "classification-service", 3001, "predict_proba", "class", columns=(2, 0, 1), labels=("2", "0", "1")
)
TRAIN, OUTCOME = toy_data()
PATIENTS = TRAIN.assign(patient_id=np.arange(len(TRAIN)))


def calibrated() -> Pipeline:
    prepare, model = toy_pipeline(LGBMClassifier(n_estimators=20, verbose=-1)).steps
    frozen = CalibratedClassifierCV(FrozenEstimator(model[1]), method="sigmoid")
    return Pipeline([prepare, ("model", frozen.fit(prepare[1].transform(TRAIN), OUTCOME))])


def of_three(estimator: Any) -> Pipeline:
    return toy_pipeline(estimator).fit(TRAIN, OUTCOME + np.arange(len(TRAIN)) % 2)


CASES: dict[str, tuple[Any, Answer, str, Any]] = {
    "logistic": (lambda: toy_pipeline(LogisticRegression()), BINARY, "log-odds", expit),
    "the other class": (lambda: toy_pipeline(LogisticRegression()), REVERSED, "log-odds", expit),
    "boosted": (lambda: toy_pipeline(XGBClassifier(n_estimators=20, n_jobs=1)), BINARY, "log-odds", expit),
    "forest": (
        lambda: toy_pipeline(RandomForestClassifier(20, max_depth=6, random_state=1)), BINARY, "probability", None,
    ),
    "forest, the other class": (
        lambda: toy_pipeline(RandomForestClassifier(20, random_state=1)), REVERSED, "probability", None,
    ),
    "calibrated": (calibrated, BINARY, "log-odds before calibration", "calibrated"),
    "several classes": (lambda: of_three(LogisticRegression()), SEVERAL, "log-odds", softmax),
    "forest of classes": (
        lambda: of_three(RandomForestClassifier(10, max_depth=5, random_state=1)), SEVERAL, "probability", None,
    ),
    "value": (
        lambda: toy_pipeline(TransformedTargetRegressor(Ridge(), transformer=StandardScaler())), VALUE, "target", None,
    ),
    "value of a forest": (lambda: toy_pipeline(ExtraTreesRegressor(10, random_state=1)), VALUE, "target", None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_contributions_and_base_make_the_score_and_the_score_the_answer(case: str) -> None:
    make, answer, scale, link = CASES[case]
    pipeline = make()
    facts = json.loads(json.dumps(served_explanation(pipeline, PATIENTS)))
    explainer = Explainer(pipeline, facts, answer.document(), SCHEMA)
    for row in ROWS:
        frame = to_frame(SCHEMA, [row])
        explanation = explainer.explain(frame)
        assert explanation["scale"] == scale
        assert set(explanation["contributions"]) == set(ROW)
        several = answer.gives == "class"
        values = np.array(
            [list(v.values()) if several else [v] for v in explanation["contributions"].values()], dtype=float
        )
        base, score = (
            np.array(list(explanation[name].values()) if several else [explanation[name]])
            for name in ("base", "score")
        )
        np.testing.assert_allclose(values.sum(axis=0) + base, score, atol=1e-5)
        sizes = np.abs(values).mean(axis=1)
        assert (np.diff(sizes) <= 1e-12).all()
        given = np.ravel(getattr(pipeline, answer.method)(frame))
        if several:
            assert list(explanation["score"]) == list(answer.labels)
            given = given[list(answer.columns)]
        elif answer.columns:
            given = given[[answer.columns[-1]]]
        if link == "calibrated":
            assert not np.allclose(expit(score), given)
        else:
            np.testing.assert_allclose(link(score) if link else score, given, atol=1e-5)


def test_what_has_no_contributions_says_why() -> None:
    facts = served_explanation(toy_pipeline(DummyRegressor()), PATIENTS)
    assert facts == {"unavailable": "DummyRegressor has no SHAP values here"}
    assert Explainer(None, facts, VALUE.document(), SCHEMA).explain(None) == facts


def test_a_forest_that_would_take_too_long_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    forest = toy_pipeline(RandomForestClassifier(5, random_state=1))
    assert "sources" in served_explanation(forest, PATIENTS)
    monkeypatch.setattr(shapley, "SERVED_WORK", 1000)
    assert "too many leaves" in served_explanation(forest, PATIENTS)["unavailable"]


def test_the_reference_of_a_linear_model_tells_of_no_few_patients() -> None:
    """Two of 300 patients are in the south: as far as the bundle goes, nobody is."""
    train = PATIENTS.assign(region=np.where(np.isin(PATIENTS["patient_id"] % 150, [7]), "south", "north"))
    pipeline = toy_pipeline(LogisticRegression())
    facts = served_explanation(pipeline, train, minimum_cell_count=5)
    reference = dict(zip(pipeline[0].get_feature_names_out(), facts["reference"], strict=True))
    assert reference["categorical__region_south"] == 0
    assert reference["categorical__region_north"] == 1
    assert all(value == round(value, 3) for value in facts["reference"])


def test_a_bundle_whose_contributions_do_not_add_up_is_not_built() -> None:
    pipeline = toy_pipeline(LogisticRegression())
    facts = served_explanation(pipeline, PATIENTS)
    wrong = facts | {"sources": ["nobody", *facts["sources"][1:]]}
    golden = [Golden(ROW, (0.5, 0.5))]
    check_explanation(Explainer(pipeline, facts, BINARY.document(), SCHEMA), golden, SCHEMA)
    with pytest.raises(BundleError, match="do not add up"):
        check_explanation(Explainer(pipeline, wrong, BINARY.document(), SCHEMA), golden, SCHEMA)


@pytest.mark.parametrize(
    ("kind", "body", "rule"),
    [
        (0, {"features": ROW, "explain": "yes"}, "valid boolean"),
        (0, {"features": ROW, "explain": 1}, "valid boolean"),
        (1, {"features_list": [ROW], "explain": True}, "a single row is explained at a time; ask /predict"),
    ],
)
def test_what_cannot_be_explained_is_refused_by_name(kind: int, body: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule) as caught:
        request_models(SCHEMA, "toy")[kind].model_validate(body)
    assert [error["loc"] for error in caught.value.errors()] == [("explain",)]
