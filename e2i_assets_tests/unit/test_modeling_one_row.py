"""A row alone gets what the pipeline gives it among others, whatever the algorithm, calibrated or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from e2i_assets.modeling.data import LabelledSplit, transform
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.problems.multiclass import Multiclass
from e2i_assets.modeling.problems.regression import Regression
from e2i_assets.modeling.selection.one_row import TOLERANCE, compiled, gap
from e2i_assets_tests.serving_toy import feature
from e2i_assets_tests.unit.modeling_frames import FEATURES, toy

CLASSES = Multiclass(("low", "middle", "high"))
TRAIN, VALIDATION = toy(300, seed=1), toy(150, seed=2)
PREPROCESSOR = fit_preprocessor(TRAIN.X, FEATURES)


def target(problem: Problem, made: Any) -> np.ndarray:
    if isinstance(problem, Multiclass):
        return np.asarray(problem.labels, dtype=object)[np.digitize(made.p, [0.3, 0.6])]
    return made.y if isinstance(problem, Binary) else 1000 * made.p


def awkward() -> pd.DataFrame:
    """New rows with gaps in every feature, levels that no patient of train has, and extremes."""
    X = toy(60, seed=3).X
    X.loc[:9, "region"] = "moon"
    X.loc[10:29, ["lab_1", "lab_2", "smoker"]] = np.nan
    X.loc[30:34, "lab_0"], X.loc[35:39, "lab_0"] = 2.0**53, -(2.0**53)
    X.loc[40] = None
    return X


def rows(X: pd.DataFrame) -> list[dict[str, Any]]:
    return X.astype(object).where(X.notna(), None).to_dict("records")


def agree(pipeline: Pipeline, method: str, X: pd.DataFrame) -> None:
    whole, one = np.asarray(getattr(pipeline, method)(X), dtype=float), compiled(pipeline, method)
    alone = np.array([one(row) for row in rows(X)], dtype=float).reshape(whole.shape)
    assert np.ptp(whole) > 0.1
    assert gap(alone, whole) <= TOLERANCE


@pytest.mark.parametrize(
    ("problem", "algorithm"),
    [(problem, name) for problem in (Binary(), CLASSES, Regression()) for name in problem.algorithms],
    ids=lambda value: value if isinstance(value, str) else value.problem_type,
)
def test_a_row_alone_is_answered_as_among_others(problem: Problem, algorithm: str) -> None:
    chosen = problem.algorithms[algorithm]
    train, validation = (
        LabelledSplit(name, made.X, target(problem, made), problem)
        for name, made in (("train", TRAIN), ("validation", VALIDATION))
    )
    data = transform(PREPROCESSOR, train, validation)
    estimator = chosen.build(chosen.defaults, 42)
    chosen.fit(estimator, data)
    models = [estimator]
    if problem.of_classes:
        models += [
            CalibratedClassifierCV(FrozenEstimator(estimator), method=method).fit(
                data.X_validation, data.y_validation
            )
            for method in ("sigmoid", "isotonic")
        ]
    for model in models:
        pipeline = Pipeline([("preprocessor", PREPROCESSOR), ("model", model)])
        agree(pipeline, "predict_proba" if problem.of_classes else "predict", awkward())


@pytest.mark.parametrize("problem", [Binary(), CLASSES], ids=["binary", "multiclass"])
def test_statistics_of_the_target_are_looked_up(problem: Problem) -> None:
    """More levels than are encoded one by one; and other encoders and imputers of scikit-learn's."""
    y = LabelledSplit("train", TRAIN.X, target(problem, TRAIN), problem).y
    area = np.array([f"area {i}" for i in range(60)], dtype=object)
    train, new = (X.assign(area=area[np.arange(len(X)) % 60]) for X in (TRAIN.X, awkward()))
    ours = fit_preprocessor(train, [*FEATURES, feature("area", "categorical")], y=y, minimum_cell_count=1)
    assert "encoded" in ours.named_transformers_
    columns = [
        ("numeric", make_pipeline(SimpleImputer(), StandardScaler()), ["lab_0", "lab_1", "smoker"]),
        ("few", make_pipeline(_filled(), OneHotEncoder(handle_unknown="ignore")), ["region"]),
        ("many", make_pipeline(_filled(), TargetEncoder(cv=3), StandardScaler()), ["region", "area"]),
        ("unused", "drop", ["lab_2"]),
    ]
    for preprocessor in (ours, ColumnTransformer(columns).fit(train, y)):
        model = LogisticRegression().fit(preprocessor.transform(train), y)
        agree(Pipeline([("preprocessor", preprocessor), ("model", model)]), "predict_proba", new)


@pytest.mark.parametrize("stopped", [False, True])
def test_boosted_trees_send_what_is_missing_to_their_side(stopped: bool) -> None:
    """Without an imputer before them; and of those that were stopped early, those after the best round do not
    count."""
    labs = [f"lab_{i}" for i in range(3)]
    train = TRAIN.X[labs].mask(np.random.default_rng(0).random((len(TRAIN.X), 3)) < 0.3)
    scaled = ColumnTransformer([("numeric", make_pipeline(StandardScaler()), labs)]).fit(train)
    model = XGBClassifier(n_estimators=60, n_jobs=1, early_stopping_rounds=5 if stopped else None)
    known = [(scaled.transform(VALIDATION.X), VALIDATION.y)] if stopped else None
    model.fit(scaled.transform(train), TRAIN.y, eval_set=known, verbose=False)
    rounds = model.get_booster().num_boosted_rounds()
    assert (model.best_iteration + 1 < rounds) if stopped else rounds == 60
    pipeline = Pipeline([("preprocessor", scaled), ("model", model)])
    agree(pipeline, "predict_proba", awkward())
    one = compiled(pipeline, "predict_proba")
    alone = np.array([one(row)[1] for row in rows(train)], dtype=np.float32)
    # To the last digit: a step of an isotonic calibration makes any gap a large one.
    np.testing.assert_array_equal(alone, pipeline.predict_proba(train)[:, 1])


@pytest.mark.parametrize(
    "other", [{"booster": "dart"}, {"booster": "gblinear"}, {"objective": "binary:hinge"}]
)
def test_boosters_of_another_kind_have_no_quick_form(other: dict[str, str]) -> None:
    model = XGBClassifier(n_estimators=3, n_jobs=1, **other).fit(PREPROCESSOR.transform(TRAIN.X), TRAIN.y)
    with pytest.raises(NotImplementedError, match="XGBClassifier has no quick form"):
        compiled(Pipeline([("preprocessor", PREPROCESSOR), ("model", model)]), "predict_proba")


def _filled() -> Pipeline:
    nulls = [
        {"missing_values": null, "strategy": "constant", "fill_value": "missing"} for null in (np.nan, None)
    ]
    return make_pipeline(*(SimpleImputer(**null) for null in nulls))


@pytest.mark.parametrize(
    ("preprocessor", "model", "part"),
    [
        (PREPROCESSOR, DecisionTreeClassifier(), "DecisionTreeClassifier has"),
        (StandardScaler(), LogisticRegression(), "StandardScaler has"),
        (ColumnTransformer([("a", "passthrough", ["lab_3"])]), LogisticRegression(), "FunctionTransformer"),
        (
            ColumnTransformer([("a", SimpleImputer(missing_values=-1), ["lab_3"])]),
            LogisticRegression(),
            "SimpleImp",
        ),
        (ColumnTransformer([("a", OneHotEncoder(), ["smoker"])]), LogisticRegression(), "no text"),
    ],
)
def test_what_has_no_quick_form_is_named(preprocessor: Any, model: Any, part: str) -> None:
    X = TRAIN.X[["lab_3"]] if isinstance(preprocessor, StandardScaler) else TRAIN.X
    pipeline = Pipeline([("preprocessor", preprocessor), ("model", model)]).fit(X, TRAIN.y)
    with pytest.raises(NotImplementedError, match=part):
        compiled(pipeline, "predict_proba")
    other = TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1)
    fitted = Pipeline([("preprocessor", PREPROCESSOR), ("model", other)]).fit(TRAIN.X, TRAIN.p)
    with pytest.raises(NotImplementedError, match="FunctionTransformer"):
        compiled(fitted, "predict")


def test_a_gap_is_a_share_of_a_large_value() -> None:
    assert gap(np.array([0.5, 2e6]), np.array([0.5, 2e6 + 1])) == pytest.approx(5e-7)
    assert gap(np.array([0.5]), np.array([0.6])) == pytest.approx(0.1)
    assert not gap(np.array([np.nan]), np.array([0.6])) <= TOLERANCE
