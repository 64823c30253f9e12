"""What makes two fitted models the same: their content, not the bytes of a pickle."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pytest

from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.training.identity import UnidentifiableError, fingerprint
from e2i_assets.modeling.training.recalibration import uncalibrated
from e2i_assets_tests.unit.modeling_frames import TEST, trained


def again(value: Any) -> Any:
    buffer = io.BytesIO()
    joblib.dump(value, buffer)
    return joblib.load(buffer)


@pytest.mark.parametrize("algorithm", Binary.algorithms)
def test_a_model_keeps_its_identity_whatever_its_bytes(algorithm: str) -> None:
    model = trained(algorithm)
    pipeline = again(model.pipeline)
    pipeline.predict_proba(TEST.X)
    # Equal strings that are not shared any more, attributes in another order.
    named = pipeline[0].feature_names_in_
    pipeline[0].feature_names_in_ = np.array(["".join(list(name)) for name in named], dtype=object)
    pipeline[-1].__dict__ = dict(reversed(list(vars(pipeline[-1]).items())))
    assert pickle.dumps(pipeline) != pickle.dumps(model.pipeline)
    assert fingerprint(pipeline) == model.fingerprint


def another_parameter(pipeline: Any) -> None:
    pipeline[-1].set_params(random_state=43)


def another_statistic(pipeline: Any) -> None:
    imputer = pipeline[0].named_transformers_["numeric"].steps[0][1]
    imputer.statistics_[0] = np.nextafter(imputer.statistics_[0], np.inf)


def another_level(pipeline: Any) -> None:
    pipeline[0].named_transformers_["categorical"].steps[-1][1].categories_[0][0] += "x"


@pytest.mark.parametrize("change", [another_parameter, another_statistic, another_level])
def test_another_model_is_another(change: Callable[[Any], None]) -> None:
    pipeline = again(trained("LogisticRegression").pipeline)
    change(pipeline)
    assert fingerprint(pipeline) != trained("LogisticRegression").fingerprint


@pytest.mark.parametrize("algorithm", Binary.algorithms)
def test_what_was_learnt_tells_models_apart(algorithm: str) -> None:
    """One leaf, one coefficient."""
    model = trained(algorithm)
    served = again(model.pipeline[-1])
    estimator = uncalibrated(served)
    if algorithm == "LogisticRegression":
        estimator.coef_[0, 0] += 1e-12
    elif algorithm in ("RandomForest", "ExtraTrees"):
        tree = estimator.estimators_[0].tree_
        state = tree.__getstate__()
        state["values"] = state["values"].copy()
        state["values"][-1] += 1e-12
        tree.__setstate__(state)
    elif algorithm == "XGBoost":
        booster = estimator.get_booster()
        estimator._Booster = booster[: booster.num_boosted_rounds() - 1]
    else:
        booster = estimator.booster_
        booster.set_leaf_output(0, 0, booster.get_leaf_output(0, 0) + 1e-9)
    assert fingerprint(served) != fingerprint(model.pipeline[-1])


RECORD = np.dtype([("flag", "u1"), ("value", "f8")], align=True)


def padded(with_byte: int) -> np.ndarray:
    raw = np.full(2 * RECORD.itemsize, with_byte, dtype="u1").view(RECORD)
    raw["flag"], raw["value"] = [1, 0], [0.5, 1.5]
    return raw


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (padded(0), padded(255)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"x", "y", "z"}, {"z", "y", "x"}),
        (np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3))),
        (np.array([1.0, np.nan]), np.array([1.0, -np.nan])),
        (np.array([1.5], dtype="<f8"), np.array([1.5], dtype=">f8")),
    ],
    ids=["padding", "order of a dict", "order of a set", "memory layout", "nan", "byte order"],
)
def test_the_same_value_in_other_memory_is_the_same(one: Any, other: Any) -> None:
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0), (1, True), (1, "1"), (0.0, -0.0), ([1, 2], (1, 2)), ([[1], 2], [[1, 2]]),
        (np.zeros(2, "f4"), np.zeros(2, "f8")), (np.zeros((2, 1)), np.zeros((1, 2))), (["ab", "c"], ["a", "bc"]),
        (np.array(["a", "b"], object), np.array(["a", "c"], object)), (int, float), (b"a", "a"), (None, "None"),
    ],
)  # fmt: skip
def test_values_that_look_alike_are_told_apart(one: Any, other: Any) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_what_has_no_content_to_tell_is_refused() -> None:
    with pytest.raises(UnidentifiableError, match="installed module"):
        fingerprint({"link": lambda x: x})
    twice = copy.copy([1])
    assert fingerprint([twice, twice]) == fingerprint([[1], [1]])


def test_what_refers_to_itself_is_told_by_how_far_back() -> None:
    def ring(steps: int) -> list[Any]:
        inner: list[Any] = []
        outer = inner
        for _ in range(steps):
            outer = [outer]
        inner.append(outer)
        return outer

    assert fingerprint(ring(2)) == fingerprint(ring(2)) == fingerprint(copy.deepcopy(ring(2)))
    assert len({fingerprint(ring(steps)) for steps in range(4)}) == 4
