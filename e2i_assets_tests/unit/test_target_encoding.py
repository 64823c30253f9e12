"""Levels by the hundred: their statistics help where they say something, and do no harm where they do not."""

from __future__ import annotations

import pickle
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import r2_score, roc_auc_score

from e2i_assets.modeling.data import LabelledSplit, transform
from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor, preprocessor_summary, sources_of
from e2i_assets.modeling.preprocessing.refit import refit_check
from e2i_assets.modeling.preprocessing.target_encoding import training_matrix
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.problems.multiclass import Multiclass
from e2i_assets.modeling.problems.regression import Regression
from e2i_assets_tests.serving_toy import feature

FEATURES = [feature("age", "numeric"), feature("clinic", "categorical")]
ROWS = 1_500


class Clinics(NamedTuple):
    train: LabelledSplit
    later: LabelledSplit


def clinics(problem: Problem, effect: float, levels: int = 250, seed: int = 0) -> Clinics:
    """Half of the rows for train; what a clinic adds to the outcome has standard deviation `effect`."""
    rng = np.random.default_rng(seed)
    clinic = rng.choice(levels, 2 * ROWS, p=rng.dirichlet(np.ones(levels)))
    age = rng.normal(size=2 * ROWS)
    score = 0.7 * age + effect * rng.normal(size=levels)[clinic] + rng.logistic(size=2 * ROWS)
    X = pd.DataFrame({"age": age, "clinic": np.char.mod("clinic-%03d", clinic).astype(object)})
    if isinstance(problem, Regression):
        y = score
    elif isinstance(problem, Binary):
        y = (score > 0).astype(int)
    else:
        y = np.array(problem.labels)[np.digitize(score, [-1, 1])]
    half = {"train": slice(ROWS), "validation": slice(ROWS, None)}
    return Clinics(*(LabelledSplit(n, X[s].reset_index(drop=True), y[s], problem) for n, s in half.items()))


def fitted_on(train: LabelledSplit, *, encoded: bool = True) -> ColumnTransformer:
    y = train.y if encoded else None
    return fit_preprocessor(train.X, FEATURES, y=y, classes=train.problem.stratified)


def quality(
    problem: Problem, data: Clinics, train: np.ndarray, preprocessor: ColumnTransformer
) -> tuple[float, float]:
    """Of a linear model on train and on later rows: AUC, or R²."""
    model = (LogisticRegression() if problem.stratified else LinearRegression()).fit(train, data.train.y)
    known = [(train, data.train.y), (preprocessor.transform(data.later.X), data.later.y)]
    if not problem.stratified:
        return tuple(r2_score(y, model.predict(X)) for X, y in known)  # type: ignore[return-value]
    one_column = 1 if isinstance(problem, Binary) else slice(None)
    return tuple(  # type: ignore[return-value]
        roc_auc_score(y, model.predict_proba(X)[:, one_column], multi_class="ovr") for X, y in known
    )


PROBLEMS: list[Problem] = [Binary(), Multiclass(("low", "middle", "high")), Regression()]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.problem_type)
def test_levels_that_say_something_are_worth_more_than_the_most_frequent(problem: Problem) -> None:
    data = clinics(problem, effect=1.5)
    encoded, pooled = fitted_on(data.train), fitted_on(data.train, encoded=False)
    matrix = training_matrix(encoded, data.train.X, data.train.y)
    better = quality(problem, data, matrix, encoded)[1]
    assert better > quality(problem, data, pooled.transform(data.train.X), pooled)[1] + 0.03


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.problem_type)
def test_levels_that_say_nothing_do_not_deceive_the_model(problem: Problem) -> None:
    """With a row's own target in its statistics they do."""
    data = clinics(problem, effect=0.0)
    encoded = fitted_on(data.train)
    honest = quality(problem, data, training_matrix(encoded, data.train.X, data.train.y), encoded)
    deceived = quality(problem, data, encoded.transform(data.train.X), encoded)
    assert deceived[0] - deceived[1] > honest[0] - honest[1] + 0.03
    assert honest[1] > deceived[1]
    pooled = fitted_on(data.train, encoded=False)
    assert honest[1] > quality(problem, data, pooled.transform(data.train.X), pooled)[1] - 0.02


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.problem_type)
def test_every_output_has_its_source_and_rare_names_are_forgotten(problem: Problem) -> None:
    data = clinics(problem, effect=1.0)
    fitted = fitted_on(data.train)
    width = 3 if isinstance(problem, Multiclass) else 1
    assert sources_of(fitted) == ["age", *["clinic"] * width]
    assert len(fitted.get_feature_names_out()) == 1 + width
    counts = data.train.X["clinic"].value_counts()
    summary = preprocessor_summary(fitted)["categorical"]["clinic"]
    assert summary == {"levels": sorted(counts.index[counts >= 5]), "encoded": True}
    assert len(summary["levels"]) > 50
    rare = counts.index[counts < 5]
    assert len(rare) > 10
    pickled = pickle.dumps(fitted)
    assert not [level for level in rare if level.encode() in pickled]
    assert b"e2i_assets" not in pickled
    out = fitted.transform(pd.DataFrame({"age": [0.0, 0.0, 0.0], "clinic": [rare[0], "never seen", None]}))
    np.testing.assert_array_equal(out[0], out[1])
    np.testing.assert_array_equal(out[0], out[2])


def test_a_rows_own_target_does_not_touch_its_statistics() -> None:
    """Changing the outcome of one patient changes the rows of others, and none of the patient's own."""
    train = clinics(Regression(), effect=1.0).train
    patients = np.arange(ROWS) // 2
    own = patients == 7
    train.X.loc[own, "clinic"] = train.X["clinic"].mode()[0]
    before = training_matrix(_of(train.X, train.y, patients), train.X, train.y, patients)
    changed = train.y.copy()
    # Within the ranks of its neighbours, so that nobody changes folds.
    changed[own] += 1e-9
    after = training_matrix(_of(train.X, changed, patients), train.X, changed, patients)
    scaled = [(m[:, 1] - m[:, 1].mean()) / m[:, 1].std() for m in (before, after)]
    others = (train.X["clinic"] == train.X.loc[own, "clinic"].iloc[0]) & ~own
    moved = np.abs(scaled[0] - scaled[1])
    assert moved[others].max() > 20 * moved[own].max()


def _of(X: pd.DataFrame, y: np.ndarray, patients: np.ndarray) -> ColumnTransformer:
    return fit_preprocessor(X, FEATURES, y=y, classes=False, patients=patients)


def test_training_sees_the_statistics_of_other_folds_and_nothing_keeps_the_folds() -> None:
    train, later = clinics(Binary(), effect=1.0)
    fitted = fitted_on(train)
    data = transform(fitted, train, later)
    assert np.abs(data.X_train - fitted.transform(train.X))[:, 1].max() > 0.1
    np.testing.assert_array_equal(data.X_validation, fitted.transform(later.X))
    np.testing.assert_array_equal(data.X_train, transform(fitted, train, later).X_train)
    assert fitted.get_params()["encoded__targetencoder__cv"] == 5
    assert len(pickle.dumps(fitted)) < 40_000


def test_the_preprocessor_of_other_rows_is_found() -> None:
    train, later = clinics(Binary(), effect=1.0)

    def fit(X: pd.DataFrame) -> ColumnTransformer:
        return fit_preprocessor(X, FEATURES, y=train.y)

    assert refit_check(fit(train.X), train.X, fit).violations == ()
    # The same rows with outcomes of other rows: the levels agree, the statistics do not.
    other = fit_preprocessor(train.X, FEATURES, y=later.y)
    assert any("encodings_" in line for line in refit_check(other, train.X, fit).violations)
    with pytest.raises(TrainingDataError, match="of other rows"):
        transform(other, train, later)


def test_of_many_levels_that_few_patients_have_each_none_is_encoded() -> None:
    X = pd.DataFrame(
        {"age": np.arange(120.0), "clinic": np.char.mod("clinic-%d", np.arange(120) // 2).astype(object)}
    )
    fitted = fit_preprocessor(X, FEATURES, y=np.arange(120) % 2)
    assert preprocessor_summary(fitted)["categorical"]["clinic"] == {"levels": [], "encoded": False}
    assert b"clinic-" not in pickle.dumps(fitted)
    assert fitted.transform(X)[:, 1].tolist() == [1] * 120
