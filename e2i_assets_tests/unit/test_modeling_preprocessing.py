from __future__ import annotations

import pickle
from typing import Any

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

from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.preprocessing.preprocessor import (
    MAX_LEVELS,
    MISSING,
    fit_preprocessor,
    preprocessor_summary,
    sources_of,
)
from e2i_assets.modeling.preprocessing.refit import FitCheck, refit_check
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets_tests.serving_toy import feature
from e2i_assets_tests.unit.modeling_frames import FEATURES, TRAIN, VALIDATION


def verified(fitted: ColumnTransformer, X: pd.DataFrame, features: Any = FEATURES) -> FitCheck:
    return refit_check(fitted, X, lambda frame: fit_preprocessor(frame, features))


def test_statistics_are_those_of_train() -> None:
    summary = preprocessor_summary(fit_preprocessor(TRAIN.X, FEATURES))
    assert summary["n_samples_seen"] == len(TRAIN.X)
    lab = summary["numeric"]["lab_1"]
    assert lab["mean"] == pytest.approx(TRAIN.X["lab_1"].mean())
    assert lab["scale"] == pytest.approx(TRAIN.X["lab_1"].std(ddof=0))
    assert summary["numeric"]["lab_0"]["median"] == pytest.approx(TRAIN.X["lab_0"].median())
    assert [n for n, s in summary["numeric"].items() if s["has_gaps"]] == ["lab_0"]
    assert summary["categorical"]["region"]["levels"] == ["north", "south", "west"]
    assert summary["boolean"]["smoker"]["fill"] == 0


def test_no_value_is_missing_after_it_and_numbers_are_standardised() -> None:
    fitted = fit_preprocessor(TRAIN.X, FEATURES)
    out = pd.DataFrame(fitted.transform(TRAIN.X), columns=fitted.get_feature_names_out())
    assert not out.isna().any().any()
    assert out.filter(like="numeric__").mean().abs().max() < 1e-9
    assert not np.isnan(fitted.transform(VALIDATION.X)).any()


def test_verification_passes_on_train_and_on_nothing_else() -> None:
    fitted = fit_preprocessor(TRAIN.X, FEATURES)
    assert verified(fitted, TRAIN.X) == FitCheck(len(FEATURES), ())
    assert verified(fitted, TRAIN.X.iloc[::-1]) == FitCheck(len(FEATURES), ())

    both = pd.concat([TRAIN.X, VALIDATION.X])
    result = verified(fit_preprocessor(both, FEATURES), TRAIN.X).violations
    assert any("n_samples_seen" in line for line in result)
    assert any("mean_" in line for line in result)
    # As many rows, but others: the count alone would not tell.
    other = fit_preprocessor(both.tail(len(TRAIN.X)), FEATURES)
    assert any("scale_" in line for line in verified(other, TRAIN.X).violations)


def test_a_level_seen_outside_train_is_found() -> None:
    region = [feature("region", "categorical")]
    leaked = pd.concat([TRAIN.X, TRAIN.X.head(9).assign(region="east")])
    violations = verified(fit_preprocessor(leaked, region), TRAIN.X, region).violations
    assert any("categories" in line for line in violations)


def test_levels_that_were_given_cannot_be_shown_to_be_of_train_by_a_clone() -> None:
    (violation,) = refit_check(fit_preprocessor(TRAIN.X, FEATURES), TRAIN.X).violations
    assert "levels were given" in violation


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
    assert refit_check(clone(whole).fit(TRAIN.X), TRAIN.X).violations == ()
    both = pd.concat([TRAIN.X, VALIDATION.X.assign(lab_1=VALIDATION.X["lab_1"] * 3)])
    violations = refit_check(clone(whole).fit(both), TRAIN.X).violations
    assert violations
    assert all(line.startswith((name, "_n_features")) or "n_samples" in line for line in violations)


def test_verification_fails_closed() -> None:
    from e2i_assets.modeling.preprocessing.preprocessor import make_preprocessor

    unfitted = refit_check(make_preprocessor(FEATURES, {"region": []}), TRAIN.X)
    assert unfitted == FitCheck(0, ("preprocessor: has not been fitted",))
    fitted = fit_preprocessor(TRAIN.X, FEATURES)
    assert "lab_2" in refit_check(fitted, TRAIN.X.drop(columns="lab_2")).violations[0]


def test_unseen_rare_and_null_levels_are_taken() -> None:
    X = TRAIN.X.copy()
    X.loc[:5, "region"] = ["islet", "atoll"] * 3
    fitted = fit_preprocessor(X, [feature("region", "categorical")])
    levels = preprocessor_summary(fitted)["categorical"]["region"]["levels"]
    assert levels == ["north", "south", "west"]
    assert b"islet" not in pickle.dumps(fitted)
    rows = fitted.transform(pd.DataFrame({"region": ["islet", "moon", None, np.nan]}))
    names = [n.removeprefix("categorical__region_") for n in fitted.get_feature_names_out()]
    pooled = "infrequent_sklearn"
    assert [names[i] for i in rows.argmax(axis=1)] == [pooled, pooled, MISSING, MISSING]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([60, 30, 8, 3], "ab"),  # the three would have a column of their own
        ([60, 30, 3, 2], "ab"),
        ([60, 30, 8], "abc"),
        ([97, 3], ""),
        ([60, 37, 0, 0, 3], "a"),  # a gap of three
    ],
)
def test_no_pooled_group_is_of_a_few(sizes: list[int], expected: str) -> None:
    levels = np.repeat(np.array([*"abcd", None], dtype=object)[: len(sizes)], sizes)
    clinic = [feature("clinic", "categorical")]
    fitted = fit_preprocessor(pd.DataFrame({"clinic": levels}), clinic)
    assert "".join(preprocessor_summary(fitted)["categorical"]["clinic"]["levels"]) == expected
    # The same among levels so many that the target encodes them.
    X = pd.DataFrame({"clinic": np.concatenate([levels, np.repeat([f"z{i}" for i in range(25)], 40)])})
    of_target = fit_preprocessor(X, clinic, y=np.arange(len(X)) % 2)
    (steps,) = (step for name, step, _ in of_target.transformers_ if name == "encoded")
    pooled = (~X["clinic"].fillna(MISSING).isin(steps.named_steps["ordinalencoder"].categories_[0])).sum()
    assert pooled == 0 or pooled >= 5


def test_a_level_that_is_called_missing_is_none_that_is() -> None:
    X = pd.DataFrame({"region": np.resize(np.array(["missing", None, "north"], dtype=object), 60)})
    fitted = fit_preprocessor(X, [feature("region", "categorical")])
    named, absent = fitted.transform(pd.DataFrame({"region": ["missing", None]}))
    assert not np.array_equal(named, absent)
    assert preprocessor_summary(fitted)["categorical"]["region"]["levels"] == ["missing", "north"]


def many_levels(rows: int, levels: int, repeated: int = 1) -> tuple[pd.DataFrame, np.ndarray]:
    """Clinics of falling size; each patient has `repeated` rows."""
    clinic = np.sort(np.random.default_rng(3).geometric(0.02, rows) % levels)
    return (
        pd.DataFrame({"clinic": np.repeat([f"clinic {c:03d}" for c in clinic], repeated).astype(object)}),
        np.repeat(np.arange(rows), repeated),
    )


@pytest.mark.parametrize("minimum", [5, 12])
def test_of_many_levels_the_most_frequent_are_kept_and_the_others_forgotten(minimum: int) -> None:
    X, patients = many_levels(3_000, 200)
    clinic = [feature("clinic", "categorical")]
    fitted = fit_preprocessor(X, clinic, patients=patients, minimum_cell_count=minimum)
    counts = X["clinic"].value_counts()
    levels = preprocessor_summary(fitted)["categorical"]["clinic"]["levels"]
    assert len(levels) == MAX_LEVELS
    assert counts[levels].min() >= max(minimum, counts.drop(levels).max())
    pickled = pickle.dumps(fitted)
    assert not [level for level in counts.index.difference(levels) if level.encode() in pickled]
    out = fitted.transform(pd.DataFrame({"clinic": [levels[0], counts.index[-1], "never seen"]}))
    assert out[:, -1].tolist() == [0, 1, 1]
    assert (out.sum(axis=1) == 1).all()


def test_patients_are_counted_and_not_their_rows() -> None:
    X, patients = many_levels(8, 2, repeated=10)
    X["clinic"] = np.where(patients < 4, "small", "large")
    fitted = fit_preprocessor(X, [feature("clinic", "categorical")], patients=patients, minimum_cell_count=5)
    assert preprocessor_summary(fitted)["categorical"]["clinic"]["levels"] == []
    by_rows = fit_preprocessor(X, [feature("clinic", "categorical")])
    assert preprocessor_summary(by_rows)["categorical"]["clinic"]["levels"] == ["large", "small"]


def test_a_feature_without_any_value_becomes_a_constant_that_verification_names() -> None:
    X = pd.DataFrame({"a": [np.nan] * 30, "b": [None] * 30, "c": [np.nan] * 30}, dtype=object)
    X = X.astype({"a": float, "c": float})
    features = [feature("a", "numeric"), feature("b", "categorical"), feature("c", "boolean")]
    fitted = fit_preprocessor(X, features)
    assert np.ptp(fitted.transform(X), axis=0).max() == 0
    assert verified(fitted, X, features).violations == tuple(
        f"train: feature {n} has no value" for n in "abc"
    )
    assert sources_of(fitted) == ["a", "a", "b", "b", "c"]


def test_every_output_has_its_source() -> None:
    X = TRAIN.X.copy()
    X.loc[:5, "region"] = ["islet", "atoll"] * 3
    fitted = fit_preprocessor(X, FEATURES)
    names, sources = fitted.get_feature_names_out(), sources_of(fitted)
    assert len(names) == len(sources)
    assert all(source in name for name, source in zip(names, sources, strict=True))


def test_the_pickle_needs_nothing_of_this_package() -> None:
    assert b"e2i_assets" not in pickle.dumps(fit_preprocessor(TRAIN.X, FEATURES))


def test_frames_are_left_as_they_were() -> None:
    """The steps work in place: of the numbers of one kind alone a frame could lend its own memory."""
    features = [feature(name, "numeric") for name in ("a", "b")]
    frame = pd.DataFrame({"a": [1.0, np.nan, 3.0, 8.0], "b": [2.0, 4.0, 6.0, np.nan]})
    before = frame.copy()
    given = [frame, frame[["b", "a"]], frame.iloc[1:3]]
    fitted = fit_preprocessor(frame, features)
    outputs = [fitted.transform(X) for X in given]
    pd.testing.assert_frame_equal(frame, before)
    assert np.array_equal(outputs[0][1:3], outputs[2])
    assert np.array_equal(outputs[0], fit_preprocessor(frame.assign(c=0.0), features).transform(frame))


def test_column_order_and_further_columns_do_not_matter() -> None:
    fitted = fit_preprocessor(TRAIN.X, FEATURES)
    other = VALIDATION.X.assign(patient_id="p")[["patient_id", *reversed(VALIDATION.X.columns)]]
    np.testing.assert_array_equal(fitted.transform(other), fitted.transform(VALIDATION.X))


@pytest.mark.parametrize(
    ("frame", "features", "words"),
    [
        (TRAIN.X, [*FEATURES, feature("uas7", "numeric")], "uas7"),
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
def test_what_cannot_be_fitted_is_refused(frame: pd.DataFrame, features: list[Feature], words: str) -> None:
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
        LabelledSplit("train", TRAIN.X.head(3), y, Binary())


def test_nullable_and_boolean_targets_are_taken() -> None:
    for y in (pd.Series([0, 1, 1], dtype="Int8"), np.array([False, True, True]), [0.0, 1.0, 1.0]):
        assert LabelledSplit("train", TRAIN.X.head(3), y, Binary()).y.tolist() == [0, 1, 1]


def test_a_model_of_many_levels_can_be_served() -> None:
    """Levels that were pooled and those never seen are answered, and alike."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from e2i_assets.serving.pipeline_check import check_pipeline
    from e2i_assets.serving.schema import feature_schema
    from e2i_assets.serving.server.request_schema import doubts, to_frame

    X, patients = many_levels(3_000, 200)
    y = (X["clinic"] < "clinic 020").to_numpy() ^ (patients % 7 == 0)
    fitted = fit_preprocessor(X, [feature("clinic", "categorical")], patients=patients)
    model = make_pipeline(fitted, LogisticRegression().fit(fitted.transform(X), y))
    levels = preprocessor_summary(fitted)["categorical"]["clinic"]["levels"]
    schema = feature_schema([feature("clinic", "categorical")], {"clinic": levels}, {})
    answer = Binary().answer(model.classes_, "started", 0.5)
    assert answer.columns == (0, 1)
    assert len(check_pipeline(model, schema, answer).golden[0].given) == 2
    rare = X["clinic"].value_counts().index[-1]
    rows = [{"clinic": name} for name in (levels[0], rare, "never seen")]
    known, pooled, unseen = model.predict_proba(to_frame(schema, rows))[:, 1]
    assert pooled == unseen != known
    assert doubts(schema, rows) == ["clinic: level rare or not seen in training in 2 of 3 rows"]


def test_a_level_may_have_any_name() -> None:
    levels = np.resize(np.array(["other (pooled)", "missing", "", "nan", None], dtype=object), len(TRAIN.X))
    fitted = fit_preprocessor(TRAIN.X.assign(region=levels), FEATURES)
    result = preprocessor_summary(fitted)["categorical"]["region"]["levels"]
    assert result == ["", "missing", "nan", "other (pooled)"]
