"""What a model costs: never how long it took in numbers, but that memory is the model's and every model is asked."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.selection.measuring import GIBIBYTE, measure, plain_rows
from e2i_assets_tests.unit.modeling_frames import FEATURES, TRAIN

PREPROCESSOR = fit_preprocessor(TRAIN.X, FEATURES)


def pipeline(model: Any) -> Pipeline:
    model.fit(PREPROCESSOR.transform(TRAIN.X), TRAIN.y)
    return Pipeline([("preprocessor", PREPROCESSOR), ("model", model)])


def test_the_memory_is_that_of_the_trees() -> None:
    deep = pipeline(RandomForestClassifier(300, random_state=0))
    nodes = sum(tree.tree_.__getstate__()["nodes"].nbytes for tree in deep[-1].estimators_)
    cost = measure(deep, "predict_proba", TRAIN.X)
    assert nodes < cost.memory_gb * GIBIBYTE < 6 * nodes
    few = measure(pipeline(RandomForestClassifier(3, random_state=0)), "predict_proba", TRAIN.X)
    assert few.memory_gb < cost.memory_gb / 5
    assert cost.latency_ms > 0


def test_what_has_no_quick_form_is_asked_as_it_is() -> None:
    cost = measure(pipeline(DecisionTreeClassifier(max_depth=3)), "predict_proba", TRAIN.X)
    assert cost.latency_ms > 0
    assert cost.memory_gb < 0.01


def test_where_the_c_library_keeps_no_account_the_resident_memory_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    cost = measure(pipeline(RandomForestClassifier(300, random_state=0)), "predict_proba", TRAIN.X)
    assert 0 <= cost.memory_gb < 0.5


def test_rows_are_as_clients_send_them() -> None:
    frame = pd.DataFrame({"a": [1.5, np.nan], "b": ["x", None], "c": pd.array([True, None], dtype="boolean")})
    assert plain_rows(frame) == [{"a": 1.5, "b": "x", "c": True}, {"a": None, "b": None, "c": None}]
