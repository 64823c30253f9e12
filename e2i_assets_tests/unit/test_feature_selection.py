"""Features that are left out, each for its reason, on the rows of train alone."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer

from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.preprocessing.feature_rules import FeatureSelection
from e2i_assets.modeling.preprocessing.feature_selection import ChosenFeatures, choose_features
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.preprocessing.refit import refit_check
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.problems.regression import Regression
from e2i_assets.modeling.selection.candidate import select_candidate
from e2i_assets_tests.serving_toy import feature
from e2i_assets_tests.unit.modeling_frames import scope, toy

FEATURES = [
    feature("strong", "numeric"),
    feature("noisy", "numeric"),
    feature("noise", "numeric"),
    feature("same", "numeric"),
    feature("nearly_same", "boolean"),
    feature("copy", "numeric"),
    feature("gaps_only", "numeric"),
    feature("one_or_unknown", "boolean"),
    feature("region", "categorical"),
    feature("region_code", "categorical"),
    feature("empty", "categorical"),
]
CONSTANT = {"same", "empty", "gaps_only"}
COPIED = {"copy", "region_code"}


def frame(rows: int = 400) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(5)
    strong = rng.normal(size=rows)
    y = (strong + 0.3 * rng.logistic(size=rows) > 0).astype(int)
    region = rng.choice(["north", "south", "west"], rows)
    X = pd.DataFrame(
        {
            # Before the stronger one, so that order alone would keep it.
            "noisy": strong + 0.35 * rng.normal(size=rows),
            "strong": strong,
            "noise": rng.normal(size=rows),
            "same": 3.0,
            "nearly_same": (np.arange(rows) < 4).astype(float),
            "copy": strong,
            "gaps_only": np.nan,
            "one_or_unknown": np.where(rng.random(rows) < 0.5, 1.0, np.nan),
            "region": region.astype(object),
            "region_code": pd.Series(region).map({"north": "N", "south": "S", "west": "W"}),
            "empty": pd.Series([None] * rows, dtype=object),
        }
    )
    return X, y


X, Y = frame()


def chosen(selection: FeatureSelection | None = None, seed: int = 1) -> ChosenFeatures:
    return choose_features(X, Y, FEATURES, selection or FeatureSelection(), problem=Binary(), seed=seed)


def test_by_default_constants_and_copies_are_left_out_and_nothing_else() -> None:
    """A value that is there or is not says something: gaps are a value."""
    by_default = chosen()
    assert set(by_default.removed) == CONSTANT | COPIED
    assert by_default.names == ["strong", "noisy", "noise", "nearly_same", "one_or_unknown", "region"]
    assert by_default.removed["copy"] == "a copy of strong"
    assert by_default.removed["region_code"] == "a copy of region"
    assert by_default.removed["same"] == "the same in all of train"


@pytest.mark.parametrize(
    ("selection", "further"),
    [
        ({"max_same": 0.99}, {"nearly_same": "the same in 99.0% of train"}),
        ({"max_same": 0.995}, {}),
        ({"max_correlation": 0.9}, {"noisy": "with strong"}),
        ({"max_correlation": 0.999}, {}),
        ({"top_k": 2}, dict.fromkeys(("noise", "nearly_same", "one_or_unknown", "region"), "by importance")),
        ({"top_k": 50}, {}),
    ],
)
def test_the_rest_is_asked_for(selection: dict[str, float], further: dict[str, str]) -> None:
    result = chosen(FeatureSelection(**selection))  # type: ignore[arg-type]
    assert set(result.removed) == CONSTANT | COPIED | set(further)
    assert all(reason in result.removed[name] for name, reason in further.items())
    assert result == chosen(FeatureSelection(**selection))  # type: ignore[arg-type]


def test_of_two_alike_the_one_that_says_more_about_a_number_is_kept() -> None:
    target = X["strong"].to_numpy() + 0.1 * X["noise"].to_numpy()
    features = [feature("noisy", "numeric"), feature("strong", "numeric")]
    rule = FeatureSelection(max_correlation=0.9)
    selection = choose_features(X, target, features, rule, problem=Regression(), seed=1)
    assert list(selection.removed) == ["noisy"]


def test_a_choice_that_other_rows_had_a_say_in_is_found_by_fitting_again() -> None:
    """`same` is constant in train alone, and so is nothing that a model may be fitted on."""
    features = [f for f in FEATURES if f.name in ("strong", "noise", "same")]

    def fit(rows: pd.DataFrame, choose_on: pd.DataFrame) -> ColumnTransformer:
        selection = choose_features(
            choose_on, Y[: len(choose_on)], features, FeatureSelection(), problem=Binary(), seed=1
        ).kept
        return fit_preprocessor(rows, selection)

    train, everybody = X.head(300), X.assign(same=np.arange(len(X)) // 300)
    again = partial(refit_check, train=train, fit=lambda rows: fit(rows, rows))
    assert again(fit(train, train)).violations == ()
    assert again(fit(train, everybody)).violations


def test_when_none_is_left_it_is_refused() -> None:
    constant = [feature("same", "numeric"), feature("empty", "categorical")]
    with pytest.raises(TrainingDataError, match="each of 2 features has one value only"):
        choose_features(X, Y, constant, FeatureSelection(), problem=Binary(), seed=1)


def test_each_fold_of_the_comparison_chooses_on_its_own_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fold's held-out rows have no say in what its models see."""

    from e2i_assets.modeling.selection import comparison

    seen: list[int] = []

    def watched(rows: pd.DataFrame, *given: object, **how: object) -> ChosenFeatures:
        seen.append(len(rows))
        return choose_features(rows, *given, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(comparison, "choose_features", watched)
    features = [feature(f"lab_{i}", "numeric") for i in range(5)]
    rule = {"selection": {"top_k": 2}}
    select_candidate(scope(features=rule), toy(300).split("train", 0, 300), features=features, seed=1)
    assert seen == [200, 200, 200]


@pytest.mark.parametrize(
    "wrong", [{"max_same": 0.4}, {"max_correlation": 1.0}, {"top_k": 0}, {"variance": 1}]
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        scope(features={"selection": wrong})
