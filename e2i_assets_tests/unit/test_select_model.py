"""The guide's request from a notebook: what comes back, and what is refused with which words."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from e2i_assets.modeling import select_model
from e2i_assets.modeling.errors import NoCandidateError, TrainingDataError
from e2i_assets.modeling.selection.catalogue import CATALOGUE
from e2i_assets.modeling.selection.request import SelectionRequestError, features_of
from e2i_assets_tests.unit.modeling_frames import toy

MADE = toy(240, seed=5)
FRAME = MADE.X.assign(
    treatment_initiated=MADE.y,
    smoker=MADE.X["smoker"].map({0.0: False, 1.0: True}),
    cost=1e4 * MADE.p,
    stage=np.array(["early", "late", "middle"])[np.digitize(MADE.p, [0.3, 0.6])],
)
OUTCOMES = ["treatment_initiated", "cost", "stage"]
GUIDE: dict[str, Any] = {
    "scope_spec": {
        "problem_type": "binary_classification",
        "target_outcome": "treatment_initiated",
        "interpretability_required": True,
    },
    "constraints": {"max_latency_ms": 100, "max_memory_gb": 8},
    "preferences": {
        "preferred_algorithms": ["XGBoost", "LightGBM"],
        "excluded_algorithms": ["DeepLearning"],
    },
}


def frame(outcome: str) -> pd.DataFrame:
    return FRAME.drop(columns=[name for name in OUTCOMES if name != outcome])


def test_the_request_of_the_guide() -> None:
    asked = frame("treatment_initiated").astype({"treatment_initiated": float})
    asked.loc[asked.index[:20], "treatment_initiated"] = np.nan
    selected = select_model(GUIDE, asked)
    candidate = selected["model_candidate"]
    assert candidate["algorithm_name"] == "LogisticRegression"
    assert candidate["algorithm_class"] == "sklearn.linear_model._logistic.LogisticRegression"
    assert candidate["interpretability_score"] == 1.0
    assert 0 < candidate["estimated_inference_latency_ms"] < 100
    assert 0 <= candidate["memory_requirement_gb"] < 8
    assert set(candidate["hyperparameter_search_space"]) == set(candidate["default_hyperparameters"])
    assert 0.6 < candidate["roc_auc"] < 1
    reasons = {a["algorithm_name"]: a["reason_not_selected"] for a in selected["alternatives"]}
    assert {*reasons, candidate["algorithm_name"]} == set(CATALOGUE)
    assert reasons["XGBoost"].startswith("interpretability 0.6 under 0.7: many small trees")
    assert reasons["Ridge"] == "not for binary_classification"
    assert "not registered: DeepLearning" in selected["selection_rationale"]
    json.dumps(selected, allow_nan=False)


@pytest.mark.parametrize(
    ("outcome", "problem_type", "metric", "family"),
    [
        ("cost", "regression", "neg_rmse", "sklearn.linear_model"),
        ("stage", "multiclass_classification", "f1_weighted", "sklearn.linear_model"),
    ],
)
def test_other_problem_types(outcome: str, problem_type: str, metric: str, family: str) -> None:
    request = {
        "scope_spec": {"problem_type": problem_type, "target_outcome": outcome},
        "constraints": ["inference_latency_ms < 100ms", "memory <= 0.5 GB"],
        "preferences": {"excluded_algorithms": ["XGBoost", "LightGBM", "RandomForest", "ExtraTrees"]},
    }
    selected = select_model(request, frame(outcome))
    assert selected["model_candidate"]["algorithm_class"].startswith(family)
    assert metric in selected["model_candidate"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"scope_spec": {"problem_type": "clustering", "target_outcome": "y"}},
            "there is no clustering; known are",
        ),
        ({"scope_spec": {"problem_type": "regression"}}, "scope_spec.target_outcome: Field required"),
        ({"scope_spec": {**GUIDE["scope_spec"], "classes": ["a"]}}, "classes are for"),
        (
            {"constraints": {"max_latency_ms": 0}},
            "constraints.max_latency_ms: Input should be greater than 0",
        ),
        ({"constraints": {"max_latency_ms": float("nan")}}, "constraints.max_latency_ms: "),
        ({"constraints": {"latency": 5}}, "constraints.latency: Extra inputs"),
        (
            {"constraints": ["latency under 100"]},
            "'latency under 100' is no constraint; write 'latency < 100ms'",
        ),
        ({"constraints": ["latency < 100gb"]}, "is no constraint"),
        ({"constraints": ["latency > 100ms"]}, "is no constraint"),
        ({"constraints": ["latency < 100ms", "latency < 50 ms"]}, "latency is constrained twice"),
        ({"constraints": ["latency < 0ms"]}, "constraints.max_latency_ms: Input should be greater than 0"),
        ({"preferences": {"preferred_algorithms": ["XGBost"]}}, "there is no XGBost to prefer"),
        (
            {"preferences": {"preferred_algorithms": ["Lasso"], "excluded_algorithms": ["Lasso"]}},
            "Lasso: both preferred and excluded",
        ),
        ({"treatment": "email"}, "treatment: Extra inputs"),
        ({"constraints": "latency < 100ms"}, "constraints: Input should be a valid dict"),
        ({"scope_spec": None}, "scope_spec: Input should be a valid dict"),
    ],
    ids=str,
)
def test_a_wrong_request_is_refused_by_its_key(change: dict[str, Any], words: str) -> None:
    with pytest.raises(SelectionRequestError) as refused:
        select_model(GUIDE | change, frame("treatment_initiated"))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pd.date_range("2024-01-01", periods=240), "holds datetime64"),
        ([f"PAT-{i}" for i in range(240)], "has another text in every row"),
        ([np.inf, *([1.0] * 239)], "holds 1 infinite values"),
        ([{"a": 1}] * 240, "holds object that are neither numbers, booleans nor text"),
        ([pd.NaT] * 240, "has no value"),
        ([np.nan] * 240, "has no value"),
    ],
)
def test_a_column_that_is_no_feature_is_named_without_its_values(column: Any, words: str) -> None:
    with pytest.raises(TrainingDataError) as refused:
        select_model(GUIDE, frame("treatment_initiated").assign(extra=list(column)))
    assert f"extra {words}" in str(refused.value)
    assert "PAT-" not in str(refused.value)


@pytest.mark.parametrize(
    ("outcome", "copy"),
    [
        ("treatment_initiated", lambda y: y.map({0: "no", 1: "yes"})),
        ("treatment_initiated", lambda y: y.map({0: 1.0, 1: np.nan})),
        ("cost", lambda y: -y / 100),
        ("stage", lambda y: y.str.upper()),
    ],
)
def test_a_copy_of_the_target_is_refused_by_name(outcome: str, copy: Any) -> None:
    kinds = {"cost": "regression", "stage": "multiclass_classification"}
    spec = {"problem_type": kinds.get(outcome, "binary_classification"), "target_outcome": outcome}
    asked = frame(outcome).assign(again=copy(FRAME[outcome]))
    with pytest.raises(TrainingDataError, match=f"^again: tells {outcome} in every row"):
        select_model({"scope_spec": spec}, asked)


def test_a_frame_without_target_or_features_is_refused() -> None:
    with pytest.raises(TrainingDataError, match="a list is no table"):
        select_model(GUIDE, [{"treatment_initiated": 1}])
    with pytest.raises(TrainingDataError, match="no column treatment_initiated"):
        select_model(GUIDE, MADE.X)
    with pytest.raises(TrainingDataError, match="0 columns beside the target"):
        select_model(GUIDE, FRAME[["treatment_initiated"]])
    with pytest.raises(TrainingDataError, match="several columns of the frame are named treatment_initiated"):
        select_model(GUIDE, pd.concat([FRAME, FRAME[["treatment_initiated"]]], axis="columns"))
    with pytest.raises(TrainingDataError, match="names of several levels"):
        select_model(GUIDE, pd.concat({"a": FRAME}, axis="columns"))
    with pytest.raises(TrainingDataError, match="2 columns beside the target, 1 different"):
        features_of(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_nothing_left_says_which_filter_removed_what() -> None:
    request = GUIDE | {"preferences": {"excluded_algorithms": ["LogisticRegression"]}}
    with pytest.raises(NoCandidateError, match=r"LogisticRegression: excluded.*Lasso: not for binary_class"):
        select_model(request, frame("treatment_initiated"))


def test_names_that_are_numbers_and_sparse_columns_are_taken() -> None:
    given = frame("treatment_initiated").drop(columns="region")
    request = GUIDE | {"preferences": {"excluded_algorithms": ["XGBoost", "RandomForest", "ExtraTrees"]}}
    odd = given.rename(columns={"lab_1": 1}).astype({"lab_2": pd.SparseDtype(float)})
    ours, usual = (select_model(request, table)["model_candidate"] for table in (odd, given))
    assert ours["roc_auc"] == usual["roc_auc"]


@pytest.mark.parametrize(
    ("target", "kind", "words"),
    [
        (pd.date_range("2024-01-01", periods=240), "regression", "not numbers"),
        (np.linspace(1, 2, 240) * 1e-300, "regression", "is the same"),
        (np.linspace(1, 2, 240) * 1e200, "regression", "beyond 1e\\+30"),
        (np.resize([1.0, 2.0, np.nan], 240), "multiclass_classification", "three or more are wanted"),
    ],
)
def test_a_target_of_another_kind_is_refused(target: Any, kind: str, words: str) -> None:
    given = frame("treatment_initiated").assign(outcome=target)
    spec = {"problem_type": kind, "target_outcome": "outcome"}
    with pytest.raises(TrainingDataError, match=words):
        select_model({"scope_spec": spec}, given)
