from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)

from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.fitted import FitCheck, verify_fitted_on
from e2i_assets.modeling.preprocessing import fit_preprocessor, preprocessor_summary, sources_of
from e2i_assets_tests.unit.modeling_frames import FEATURES, TRAIN, VALIDATION, Column


def test_statistics_are_those_of_train() -> None:
    summary = preprocessor_summary(fit_preprocessor(TRAIN.X, FEATURES))
    assert summary["n_samples_seen"] == len(TRAIN.X)
    lab = summary["numeric"]["lab_1"]
    assert lab["mean"] == pytest.approx(TRAIN.X["lab_1"].mean())
    assert lab["scale"] == pytest.approx(TRAIN.X["lab_1"].std(ddof=0))
    assert summary["numeric"]["lab_0"]["median"] == pytest.approx(TRAIN.X["lab_0"].median())
    assert [n for n, s in summary["numeric"].items() if s["has_gaps"]] == ["lab_0"]
    assert summary["categorical"]["region"]["levels"] == ["missing", "north", "south", "west"]
    assert summary["boolean"]["smoker"]["fill"] == 0


def test_no_value_is_missing_after_it_and_numbers_are_standardised() -> None:
    fitted = fit_preprocessor(TRAIN.X, FEATURES)
    out = pd.DataFrame(fitted.transform(TRAIN.X), columns=fitted.get_feature_names_out())
    assert not out.isna().any().any()
    assert out.filter(like="numeric__").mean().abs().max() < 1e-9
    assert not np.isnan(fitted.transform(VALIDATION.X)).any()


def test_verification_passes_on_train_and_on_nothing_else() -> None:
    fitted = fit_preprocessor(TRAIN.X, FEATURES)
    assert verify_fitted_on(fitted, TRAIN.X) == FitCheck(len(FEATURES), ())
    assert verify_fitted_on(fitted, TRAIN.X.iloc[::-1]) == FitCheck(len(FEATURES), ())

    both = pd.concat([TRAIN.X, VALIDATION.X])
    found = verify_fitted_on(fit_preprocessor(both, FEATURES), TRAIN.X).violations
    assert any("n_samples_seen" in line for line in found)
    assert any("mean_" in line for line in found)
    # As many rows, but others: the count alone would not tell.
    other = fit_preprocessor(both.tail(len(TRAIN.X)), FEATURES)
    assert any("scale_" in line for line in verify_fitted_on(other, TRAIN.X).violations)


def test_a_level_seen_outside_train_is_found() -> None:
    region = [Column("region", "categorical")]
    leaked = pd.concat([TRAIN.X, TRAIN.X.head(9).assign(region="east")])
    assert verify_fitted_on(fit_preprocessor(leaked, region), TRAIN.X).violations


MADE_OF = {
    "scaler": StandardScaler(),
    "range": MinMaxScaler(),
    "robust": RobustScaler(),
    "quantiles": QuantileTransformer(n_quantiles=50, random_state=0),
    "power": PowerTransformer(),
    "bins": make_pipeline(SimpleImputer(), KBinsDiscretizer(5, random_state=0)),
    "splines": make_pipeline(SimpleImputer(strategy="median"), SplineTransformer()),
    "neighbours": KNNImputer(),
    "components": make_pipeline(SimpleImputer(), PCA(2)),
    "selection": make_pipeline(SimpleImputer(), VarianceThreshold()),
}


@pytest.mark.parametrize("name", MADE_OF)
def test_whatever_it_is_made_of_it_is_compared(name: str) -> None:
    """Not our own scaler and encoder only: each statistic of the fitted object, wherever it is kept."""
    whole = ColumnTransformer([(name, MADE_OF[name], ["lab_0", "lab_1", "lab_2"])])
    assert verify_fitted_on(clone(whole).fit(TRAIN.X), TRAIN.X).violations == ()
    both = pd.concat([TRAIN.X, VALIDATION.X.assign(lab_1=VALIDATION.X["lab_1"] * 3)])
    violations = verify_fitted_on(clone(whole).fit(both), TRAIN.X).violations
    assert violations
    assert all(line.startswith((name, "_n_features")) or "n_samples" in line for line in violations)


def test_verification_fails_closed() -> None:
    from e2i_assets.modeling.preprocessing import make_preprocessor

    unfitted = verify_fitted_on(make_preprocessor(FEATURES), TRAIN.X)
    assert unfitted == FitCheck(0, ("preprocessor: has not been fitted",))
    fitted = fit_preprocessor(TRAIN.X, FEATURES)
    assert "lab_2" in verify_fitted_on(fitted, TRAIN.X.drop(columns="lab_2")).violations[0]


def test_unseen_rare_and_null_levels_are_taken() -> None:
    X = TRAIN.X.copy()
    X.loc[:3, "region"] = ["islet", "atoll", "islet", "atoll"]
    fitted = fit_preprocessor(X, [Column("region", "categorical")])
    assert preprocessor_summary(fitted)["categorical"]["region"]["infrequent"] == ["atoll", "islet"]
    rows = fitted.transform(pd.DataFrame({"region": ["islet", "moon", None, np.nan]}))
    names = [n.removeprefix("categorical__region_") for n in fitted.get_feature_names_out()]
    assert [names[i] for i in rows.argmax(axis=1)] == [
        "infrequent_sklearn", "infrequent_sklearn", "missing", "missing",
    ]  # fmt: skip


def test_a_feature_without_any_value_becomes_a_constant_that_verification_names() -> None:
    X = pd.DataFrame({"a": [np.nan] * 30, "b": [None] * 30, "c": [np.nan] * 30}, dtype=object)
    X = X.astype({"a": float, "c": float})
    features = [Column("a", "numeric"), Column("b", "categorical"), Column("c", "boolean")]
    fitted = fit_preprocessor(X, features)
    assert np.ptp(fitted.transform(X), axis=0).max() == 0
    assert verify_fitted_on(fitted, X).violations == tuple(f"train: feature {n} has no value" for n in "abc")
    assert sources_of(fitted) == ["a", "a", "b", "c"]


def test_every_output_has_its_source() -> None:
    X = TRAIN.X.copy()
    X.loc[:3, "region"] = ["islet", "atoll", "islet", "atoll"]
    fitted = fit_preprocessor(X, FEATURES)
    names, sources = fitted.get_feature_names_out(), sources_of(fitted)
    assert len(names) == len(sources)
    assert all(source in name for name, source in zip(names, sources, strict=True))


def test_the_pickle_needs_nothing_of_this_package() -> None:
    assert b"e2i_assets" not in pickle.dumps(fit_preprocessor(TRAIN.X, FEATURES))


def test_column_order_and_further_columns_do_not_matter() -> None:
    fitted = fit_preprocessor(TRAIN.X, FEATURES)
    other = VALIDATION.X.assign(patient_id="p")[["patient_id", *reversed(VALIDATION.X.columns)]]
    np.testing.assert_array_equal(fitted.transform(other), fitted.transform(VALIDATION.X))


@pytest.mark.parametrize(
    ("frame", "features", "words"),
    [
        (TRAIN.X, [*FEATURES, Column("uas7", "numeric")], "uas7"),
        (
            TRAIN.X.assign(lab_1=pd.Timestamp("2024-01-01", tz="UTC")),
            FEATURES,
            r"lab_1 \(datetime64.*numbers",
        ),
        (TRAIN.X.head(0), FEATURES, "no rows"),
        (TRAIN.X, [], "0 features"),
        (TRAIN.X, [*FEATURES, FEATURES[0]], "8 features, 7 different"),
    ],
)
def test_what_cannot_be_fitted_is_refused(frame: pd.DataFrame, features: list[Column], words: str) -> None:
    with pytest.raises(TrainingDataError, match=words):
        fit_preprocessor(frame, features)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([0, 1], "3 rows of features, 2"),
        ([0, 1, None], "1 of 3 rows"),
        ([0, 1, 2], "1 of 3 rows"),
        ([1, 1, 1], "3 of 3 rows are positive"),
        (["yes", "no", "no"], "3 of 3 rows"),
    ],
)
def test_a_target_must_be_binary_and_complete(y: list[object], words: str) -> None:
    with pytest.raises(TrainingDataError, match=f"train: .*{words}"):
        LabelledSplit("train", TRAIN.X.head(3), y)


def test_nullable_and_boolean_targets_are_taken() -> None:
    for y in (pd.Series([0, 1, 1], dtype="Int8"), np.array([False, True, True]), [0.0, 1.0, 1.0]):
        assert LabelledSplit("train", TRAIN.X.head(3), y).y.tolist() == [0, 1, 1]
