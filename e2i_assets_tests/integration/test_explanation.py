"""SHAP values: they add up to the model's score, find what is in the data, and are shown of groups alone."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from e2i_assets.json_files import to_json
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.explanation.contributions import bare
from e2i_assets.modeling.explanation.explain import Explanation, explain, explain_model
from e2i_assets.modeling.explanation.plots import explanation_plots
from e2i_assets.modeling.explanation.shapley import NotExplainedError, attribute, scored, served_explanation
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.problems.multiclass import Multiclass
from e2i_assets.modeling.problems.regression import Regression
from e2i_assets.modeling.training.model import TrainedModel, train_model
from e2i_assets.serving.server.explanation import Explainer
from e2i_assets_tests.unit.modeling_frames import (
    FEATURES,
    TRAIN,
    VALIDATION,
    candidate,
    toy,
    trained,
)

CLASSES = ("none", "partial", "complete")
PROBLEMS: dict[str, Problem] = {
    problem.problem_type: problem for problem in (Binary(), Multiclass(CLASSES), Regression())
}


def splits_of(problem: Problem, rows: int = 300) -> list[LabelledSplit]:
    data = toy(rows, seed=4)
    log_odds = np.log(data.p / (1 - data.p))
    y = {
        "binary_classification": data.y,
        "multiclass_classification": np.array(CLASSES)[np.digitize(log_odds, [-1, 1])],
        "regression": 50 + 10 * log_odds,
    }[problem.problem_type]
    ends = (0, 2 * rows // 3, rows)
    return [
        LabelledSplit(name, data.X.iloc[a:b].reset_index(drop=True), y[a:b], problem)
        for name, (a, b) in zip(("train", "validation"), itertools.pairwise(ends), strict=True)
    ]


def model_of(problem: Problem, name: str) -> tuple[TrainedModel, LabelledSplit, LabelledSplit]:
    train, validation = splits_of(problem)
    algorithm = problem.algorithms[name]
    chosen = dataclasses.replace(candidate("LogisticRegression"), algorithm=name)
    params = {k: min(v, 30) if k == "n_estimators" else v for k, v in algorithm.defaults.items()}
    fitted = fit_preprocessor(train.X, FEATURES, y=train.y, classes=problem.stratified)
    return train_model(chosen, params, fitted, train, validation, seed=1), train, validation


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, problem in PROBLEMS.items() for name in problem.algorithms]
)
def test_values_and_base_add_up_to_the_score_of_every_algorithm(kind: str, name: str) -> None:
    model, train, validation = model_of(PROBLEMS[kind], name)
    attribution = attribute(model.pipeline, validation.X, train.X)
    score = scored(model.pipeline).score(validation.X)
    assert attribution.features == tuple(f.name for f in FEATURES)
    np.testing.assert_allclose(
        attribution.values.sum(axis=1) + attribution.base, score, atol=2e-5 * np.ptp(score)
    )
    predicted = model.predict(validation.X)
    _require_served(model, train, validation)
    if attribution.scale == "log-odds" and kind == "binary_classification":
        score = 1 / (1 + np.exp(-score))
    if attribution.scale != "log-odds" or kind == "binary_classification":
        np.testing.assert_allclose(np.squeeze(score), predicted, rtol=1e-4)


def _require_served(model: TrainedModel, train: LabelledSplit, validation: LabelledSplit) -> None:
    """That a service can tell the same, which raises where it does not add up."""
    facts = served_explanation(model.pipeline, train.X.assign(patient_id=np.arange(len(train.X))))
    answer = model.problem.answer(getattr(model.pipeline, "classes_", ()), "initiated", 0.5)
    features = [{"name": feature.name} for feature in FEATURES]
    explainer = Explainer(model.pipeline, json.loads(json.dumps(facts)), answer.document(), features)
    for row in range(3):
        explanation = explainer.explain(validation.X.iloc[[row]])
        assert set(explanation["contributions"]) == {feature.name for feature in FEATURES}


def test_they_are_those_of_shapleys_definition() -> None:
    """Brute force over all coalitions, of a linear model that has a background to draw from."""
    model = trained("LogisticRegression")
    row, background = VALIDATION.X.head(1), TRAIN.X
    score, names = scored(model.pipeline).score, [f.name for f in FEATURES]

    def value(coalition: tuple[str, ...]) -> float:
        rows = background.copy()
        for name in coalition:
            rows[name] = row[name].iloc[0]
        return float(score(rows).mean())

    values = {c: value(c) for size in range(len(names) + 1) for c in itertools.combinations(names, size)}
    for i, name in enumerate(names):
        exact = sum(
            math.factorial(len(c)) * math.factorial(len(names) - len(c) - 1) / math.factorial(len(names))
            * (values[tuple(n for n in names if n in c or n == name)] - values[c])
            for c in values if name not in c
        )  # fmt: skip
        assert attribute(model.pipeline, row, background).values[0, i, 0] == pytest.approx(exact, abs=1e-9)


def test_a_calibrated_model_is_explained_before_its_calibration() -> None:
    plain = trained("LightGBM")
    frozen = CalibratedClassifierCV(FrozenEstimator(plain.pipeline[-1]), method="sigmoid")
    frozen.fit(plain.pipeline[0].transform(VALIDATION.X), VALIDATION.y)
    calibrated = Pipeline([("preprocessor", plain.pipeline[0]), ("model", frozen)])
    expected, attribution = (attribute(p, VALIDATION.X, TRAIN.X) for p in (plain.pipeline, calibrated))
    assert (expected.scale, attribution.scale) == ("log-odds", "log-odds before calibration")
    np.testing.assert_array_equal(attribution.values, expected.values)


@pytest.mark.parametrize("forest", [RandomForestClassifier, ExtraTreesRegressor])
def test_a_forest_is_taken_apart_as_by_the_library(forest: type) -> None:
    """Features asked again on a way and uneven weights included."""
    import shap

    rng = np.random.default_rng(1)
    X = rng.normal(size=(150, 6)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] + rng.normal(size=150) > 0).astype(int) + (X[:, 2] > 1)
    fitted = forest(n_estimators=8, random_state=1).fit(X, y, sample_weight=rng.uniform(0.2, 3, 150))
    values, base = bare(fitted).contributions(None)(X[:20])
    explainer = shap.TreeExplainer(fitted)
    expected = np.asarray(explainer.shap_values(X[:20])).reshape(values.shape)
    np.testing.assert_allclose(values, expected, atol=1e-9)
    np.testing.assert_allclose(base, np.atleast_1d(explainer.expected_value), atol=1e-9)


def test_a_forest_that_asks_nothing_is_its_mean() -> None:
    X = np.zeros((20, 3))
    values, base = bare(ExtraTreesRegressor(2).fit(X, np.full(20, 4.0))).contributions(None)(X[:1])
    assert (values.tolist(), base.tolist()) == ([[[0.0]] * 3], [4.0])


def test_another_kind_of_model_is_refused_by_name() -> None:
    preprocessor = trained("LightGBM").pipeline[0]
    neighbours = KNeighborsClassifier().fit(preprocessor.transform(TRAIN.X), TRAIN.y)
    with pytest.raises(NotExplainedError, match="KNeighborsClassifier has no SHAP values here"):
        scored(Pipeline([("preprocessor", preprocessor), ("model", neighbours)]))


def explained(model: TrainedModel, minimum_cell_count: int = 5) -> Explanation:
    return explain_model(model, TRAIN, VALIDATION, seed=1, minimum_cell_count=minimum_cell_count)


def test_what_drives_the_outcome_is_found_with_its_direction() -> None:
    explanation = explained(trained("LogisticRegression"))
    names = list(explanation.importance)
    assert set(names[:2]) == {"lab_0", "lab_1"}
    assert names[-1] in ("lab_3", "lab_4")
    rising, falling = (
        [g.effects[0] for g in explanation.groups[n] if g.place is not None] for n in names[:2]
    )
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert [g.label for g in explanation.groups["region"]] == ["north", "south", "west", "missing"]
    assert [g.label for g in explanation.groups["smoker"]] == ["0", "1", "missing"]


def test_an_interaction_is_found_where_there_is_one_and_none_where_features_add_up() -> None:
    data = toy(1_200, seed=2, interaction=2.5)
    train, validation = data.split("train", 0, 900), data.split("validation", 900, 1_200)
    chosen = candidate("LightGBM")
    params = {**chosen.defaults, "num_leaves": 15}
    model = train_model(chosen, params, fit_preprocessor(train.X, FEATURES), train, validation, seed=1)
    explanation = explain_model(model, train, validation, seed=1).interactions
    assert set(explanation[0][:2]) == {"lab_3", "lab_4"}
    assert explanation[0][2] > 3 * explanation[1][2]
    assert explained(trained("LogisticRegression")).interactions == ()
    stumps = {**chosen.defaults, "num_leaves": 2}
    added = train_model(chosen, stumps, fit_preprocessor(train.X, FEATURES), train, validation, seed=1)
    assert max(pair[2] for pair in explain_model(added, train, validation, seed=1).interactions) < 1e-9


def test_a_group_of_few_patients_is_left_out() -> None:
    """Patients, not rows: what one patient has in a hundred rows is one patient's."""
    train = LabelledSplit(
        "train", TRAIN.X, TRAIN.y, Binary(), pd.Series(np.where(TRAIN.X["region"] == "west", 0, np.arange(len(TRAIN.X))))
    )  # fmt: skip
    validation = LabelledSplit(
        "validation", VALIDATION.X, VALIDATION.y, Binary(), pd.Series(np.arange(1_000, 1_000 + len(VALIDATION.X)))
    )  # fmt: skip
    others = VALIDATION.X["region"] == "west"
    validation.X.loc[others, "region"] = "north"
    try:
        explanation = explain_model(trained("LogisticRegression"), train, validation, seed=1)
    finally:
        validation.X.loc[others, "region"] = "west"
    assert [g.label for g in explanation.groups["region"]] == ["north", "south", "missing"]


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def test_no_patients_value_is_kept_and_the_same_model_gives_the_same_pictures() -> None:
    model = trained("LightGBM")
    explanation, again = explained(model), explained(model)
    assert explanation == again
    # Means of groups to three digits: none is a value that a patient has.
    values = {f"{v:.6g}" for v in pd.concat([TRAIN.X, VALIDATION.X]).filter(like="lab_").stack()}
    assert not {str(leaf) for leaf in _leaves(to_json(explanation))} & values
    plots = explanation_plots(explanation)
    assert list(plots) == ["importance.png", "summary.png", "dependence.png", "interactions.png"]
    assert plots == explanation_plots(again)
    assert all(png.startswith(b"\x89PNG") and len(png) < 80_000 for png in plots.values())


def test_several_classes_are_drawn_each_by_itself() -> None:
    model, train, validation = model_of(PROBLEMS["multiclass_classification"], "LightGBM")
    explanation = explain_model(model, train, validation, seed=1)
    assert explanation.outputs == CLASSES
    assert {len(g.effects) for groups in explanation.groups.values() for g in groups} == {3}
    assert "summary.png" not in explanation_plots(explanation)


def test_one_row_is_taken_apart() -> None:
    model = trained("LightGBM")
    row = VALIDATION.X.iloc[[3]]
    explanation = explain(model, row, TRAIN.X)
    assert explanation.prediction == pytest.approx(tuple(model.predict(row)))
    log_odds = explanation.base[0] + sum(effect for (effect,) in explanation.effects.values())
    assert 1 / (1 + np.exp(-log_odds)) == pytest.approx(explanation.prediction[0], rel=1e-6)
    sizes = [abs(effect) for (effect,) in explanation.effects.values()]
    assert sizes == sorted(sizes, reverse=True)
    assert explanation.values["region"] == row["region"].iloc[0]
    with pytest.raises(ValueError, match="2 rows; one is explained"):
        explain(model, VALIDATION.X.head(2), TRAIN.X)
