"""Several classes: valid targets, honest intervals, algorithms that learn, and a gate that blocks."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from pydantic import ValidationError
from sklearn.datasets import load_wine
from sklearn.metrics import f1_score, roc_auc_score

from e2i_assets import drawing
from e2i_assets.cohorts.small_cells import EXACT, Cells
from e2i_assets.gates.evaluation import SUCCESS_CRITERIA
from e2i_assets.json_files import to_json
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.errors import ServedModelError, TrainingDataError
from e2i_assets.modeling.evaluation.evaluate import evaluate, meets, plausibility
from e2i_assets.modeling.evaluation.plots import importance_plot
from e2i_assets.modeling.metrics.confusions import f1_scores
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.problems.base import Evaluation
from e2i_assets.modeling.problems.multiclass import Multiclass
from e2i_assets.modeling.scopes.files import as_scope
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.modeling.selection.candidate import ModelCandidate, select_candidate
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.modeling.tuning.config import OptimizationConfig, OptunaConfig, PrunerConfig
from e2i_assets.modeling.tuning.study import tune
from e2i_assets_tests.serving_toy import feature
from e2i_assets_tests.unit.modeling_frames import trained_as

LABELS = ("0", "1", "2")
PROBLEM = Multiclass(LABELS)
FEATURES = tuple(feature(name, "numeric") for name in ("alcohol", "malic_acid", "ash", "magnesium"))


def scope(**changes: object) -> Scope:
    document = {
        "name": "cultivar", "description": "Which grape?", "problem_type": "multiclass_classification",
        "target": "cultivar", "classes": [0, 1, 2], "success_criteria": {"min_f1": 0.5},
    }  # fmt: skip
    return as_scope(document | changes)


@cache
def splits() -> dict[str, LabelledSplit]:
    """The cultivar of 178 wines, from four of their constituents (Forina et al. 1988)."""
    table = load_wine(as_frame=True).frame.sample(frac=1, random_state=0).reset_index(drop=True)
    X = table[[feature.name for feature in FEATURES]]
    cuts = {"train": slice(0, 100), "validation": slice(100, 138), "test": slice(138, 178)}
    return {
        n: LabelledSplit(n, X[cut].reset_index(drop=True), table["target"][cut], PROBLEM)
        for n, cut in cuts.items()
    }


@cache
def candidate() -> ModelCandidate:
    return select_candidate(scope(), splits()["train"], features=FEATURES, seed=42)


@cache
def trained(algorithm: str) -> TrainedModel:
    return trained_as(algorithm, candidate(), splits(), FEATURES)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(
        trained("LogisticRegression"), *(splits()[name] for name in ("test", "validation", "train"))
    )


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([0, 1, 3, 2], "1 of 4 rows is none of 0, 1, 2"),
        ([0, 1, None, 2], "1 of 4 rows is none of 0, 1, 2"),
        ([0, 1, 1, 0], "none of 4 rows is 2"),
        ([0, 1, 2], "4 rows of features, 3"),
    ],
)
def test_a_target_must_be_of_the_classes_that_the_scope_names(y: list[object], words: str) -> None:
    with pytest.raises(TrainingDataError, match=f"train: .*{words}"):
        LabelledSplit("train", pd.DataFrame({"x": range(4)}), y, PROBLEM)


@pytest.mark.parametrize(
    ("classes", "y"),
    [
        ((0, 1, 2), [2.0, 0.0, 1.0]),
        (("no", "partial", "full"), [" full", "no", "partial"]),
        (("a", "b", "caf\u00e9"), ["cafe\u0301", "a", "b"]),
    ],
)
def test_classes_keep_the_order_of_the_scope(classes: tuple[str | int, ...], y: list[object]) -> None:
    named = scope(classes=list(classes)).problem
    assert LabelledSplit("train", pd.DataFrame({"x": range(3)}), y, named).y.tolist() == [2, 0, 1]
    assert named.labels == tuple(map(str, classes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": ["I", "II"]}, "at least 3.* ask for problem_type: binary_classification"),
        (
            {"classes": [True, False, "x"]},
            "true, false: a class is text or a whole number; put others in quotes",
        ),
        ({"classes": [0.5, 1.5, 2.5]}, "0.5, 1.5, 2.5: a class is text or a whole number"),
        ({"classes": ["I", " ", "III"]}, "class 2 of 3 is blank"),
        ({"classes": ["caf\u00e9", "cafe\u0301", "x"]}, "names a class twice"),
        ({"classes": ["I", "II", "II "]}, "names a class twice"),
        ({"classes": [1, "1.0", 2]}, "names a class twice"),
        ({"success_criteria": {"max_rmse": 1}}, "no such metric; known are f1"),
        ({"success_criteria": {"min_f1": 2}}, "f1 lies in"),
    ],
)
def test_a_wrong_scope_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        scope(**changes)


def test_too_few_rows_of_a_class_are_refused() -> None:
    with pytest.raises(TrainingDataError, match="5 rows are 2, 6 are needed"):
        PROBLEM.require_folds("train", np.repeat([0, 1, 2], [20, 20, 5]), 3)


@pytest.mark.parametrize("algorithm", Multiclass.algorithms)
def test_every_algorithm_beats_the_shares(algorithm: str) -> None:
    model, test = trained(algorithm), splits()["test"]
    predicted = model.predict(test.X)
    assert predicted.shape == (len(test.y), 3)
    np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-6)
    score = PROBLEM.measure(test.y, predicted)
    assert score > PROBLEM.measure(test.y, PROBLEM.baseline_prediction(model.baseline, len(test.y)))
    assert roc_auc_score(test.y, predicted, multi_class="ovr") > 0.8
    assert model.labels == LABELS
    assert next(iter(model.feature_importance)) == "alcohol"
    assert model.metrics["train_f1_weighted"] > model.metrics["validation_f1_weighted"] - 0.1


@pytest.mark.parametrize("algorithm", ["LightGBM", "XGBoost"])
def test_tuning_is_by_the_weighted_f1(algorithm: str) -> None:
    chosen = PROBLEM.algorithms[algorithm]
    named = dataclasses.replace(candidate(), algorithm=algorithm, search_space=chosen.search_space)
    train, validation = splits()["train"], splits()["validation"]
    config = OptunaConfig(
        pruner=PrunerConfig(n_startup_trials=1, n_warmup_steps=0),
        optimization=OptimizationConfig(n_trials=4),
    )
    tuned = tune(named, fit_preprocessor(train.X, FEATURES), train, validation, config, study_name="cultivar")
    assert tuned.metric == "f1_weighted"
    assert 0 < tuned.default_value <= tuned.best_value < 1
    assert tuned.default_value == pytest.approx(trained(algorithm).metrics["validation_f1_weighted"])


def test_an_algorithm_is_chosen_within_the_noise() -> None:
    selected = candidate()
    assert selected.metric == "f1_weighted"
    assert selected.finalist.behind <= selected.finalist.noise
    assert "f1_weighted" in selected.rationale
    assert selected == select_candidate(scope(), splits()["train"], features=FEATURES, seed=42)


def guesses(rng: np.random.Generator, y: np.ndarray, right: float) -> np.ndarray:
    """Probabilities that put the true class first so often."""
    p = rng.dirichlet([1, 1, 1], len(y))
    hit = rng.random(len(y)) < right
    best = np.where(hit, y, (y + rng.integers(1, 3, len(y))) % 3)
    p[np.arange(len(y)), best] += 1
    return p / p.sum(axis=1, keepdims=True)


def test_the_noise_of_a_comparison_is_how_much_it_moves() -> None:
    rng = np.random.default_rng(1)
    gaps, noises = [], []
    for _ in range(100):
        y = rng.choice(3, 150, p=[0.2, 0.5, 0.3])
        answer = [guesses(rng, y, 0.75), guesses(rng, y, 0.6)]
        compared = PROBLEM.compare([y[:75], y[75:]], [[p[:75] for p in answer], [p[75:] for p in answer]])
        gaps.append(compared.means[0] - compared.means[1])
        noises.append(compared.noise.max())
    assert np.mean(noises) == pytest.approx(np.std(gaps), rel=0.2)


def test_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(2)
    many = rng.choice(3, 100_000, p=[0.2, 0.5, 0.3])
    truth = PROBLEM.metrics(many, guesses(rng, many, 0.7), None)
    hits = dict.fromkeys(
        ("f1_weighted", "f1_macro", "accuracy", "balanced_accuracy", "log_loss", "roc_auc_ovr"), 0
    )
    for _ in range(120):
        y = rng.choice(3, 90, p=[0.2, 0.5, 0.3])
        intervals = PROBLEM.intervals(y, guesses(rng, y, 0.7), None)
        for name in hits:
            hits[name] += intervals[name].low <= truth[name] <= intervals[name].high
    assert {name: count >= 0.9 * 120 for name, count in hits.items()} == dict.fromkeys(hits, True), hits


def test_a_perfect_model_of_few_rows_is_not_certain() -> None:
    y = np.repeat([0, 1, 2], 5)
    intervals = PROBLEM.intervals(y, np.eye(3)[y], None)
    assert all(intervals[name].high == 1 for name in ("f1_weighted", "f1_macro", "accuracy", "roc_auc_ovr"))
    assert all(intervals[name].low < 0.9 for name in ("f1_weighted", "f1_macro", "accuracy", "roc_auc_ovr"))


def test_metrics_lie_in_their_intervals_and_match_their_definitions(evaluation: Evaluation) -> None:
    metrics, intervals = evaluation.metrics["test"], evaluation.intervals["test"]
    assert set(metrics) == set(intervals)
    assert all(intervals[name].low <= value <= intervals[name].high for name, value in metrics.items())
    y, cells = splits()["test"].y, np.array(evaluation.curves["confusion"])
    predicted = trained("LogisticRegression").predict(splits()["test"].X)
    weighted, macro = f1_scores(cells[None])[:, 0]
    assert weighted == pytest.approx(f1_score(y, predicted.argmax(axis=1), average="weighted"))
    assert macro == pytest.approx(metrics["f1_macro"])
    assert metrics["roc_auc_ovr"] == pytest.approx(roc_auc_score(y, predicted, multi_class="ovr"))


def test_an_evaluation_fits_together_and_beats_its_baseline(evaluation: Evaluation) -> None:
    assert (evaluation.primary_metric, evaluation.threshold) == ("f1_weighted", None)
    assert evaluation.primary("test") > evaluation.baseline
    assert np.sum(evaluation.curves["confusion"]) == evaluation.n_test
    assert [one["class"] for one in evaluation.curves["by_class"]] == list(LABELS)
    assert sum(one["n"] for one in evaluation.curves["by_class"]) == evaluation.n_test
    json.dumps(to_json(evaluation), allow_nan=False)
    plots = PROBLEM.plots(evaluation)
    assert set(plots) == {"confusion.png", "roc.png"}
    assert plots == PROBLEM.plots(evaluation)


def test_class_names_are_drawn_as_they_are(evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch) -> None:
    """No formula that cannot be read, no name that is left out."""
    names = ["$\\frac$", "_low", "a$b"]
    roc = dict(zip(names, evaluation.curves["roc"].values(), strict=True))
    drawn: list[list[str]] = []
    png = drawing.png

    def recorded(figure: Figure) -> bytes:
        picture, (axes,) = png(figure), figure.axes
        texts = axes.get_legend().get_texts() if axes.get_legend() else axes.get_xticklabels()
        drawn.append([text.get_text().replace(r"\$", "$") for text in texts])
        return picture

    monkeypatch.setattr(drawing, "png", recorded)
    curves = {**evaluation.curves, "labels": names, "roc": roc}
    Multiclass(tuple(names)).plots(dataclasses.replace(evaluation, curves=curves))
    assert drawn == [names, names]
    model: Any = SimpleNamespace(algorithm="XGBoost", feature_importance=dict.fromkeys(names, 0.3))
    assert importance_plot(model).startswith(b"\x89PNG")


def test_a_model_of_other_classes_is_not_scored() -> None:
    """Classes in another order would be answered under each other's names."""
    turned = scope(classes=[2, 1, 0]).problem
    asked = [LabelledSplit(n, splits()[n].X, splits()[n].y, turned) for n in ("test", "validation", "train")]
    with pytest.raises(
        TrainingDataError, match=r"trained for .* of 0, 1, 2, the scope asks for .* of 2, 1, 0"
    ):
        evaluate(trained("LogisticRegression"), *asked)


def test_the_gate_blocks_a_poor_model_and_one_that_is_too_good(evaluation: Evaluation) -> None:
    def verdict(asked: Scope, undeclared: tuple[str, ...] = ()) -> tuple[bool, str, str]:
        results = (*meets(asked.success_criteria, evaluation), plausibility(asked, evaluation, undeclared))
        judged = SUCCESS_CRITERIA.verdict(results)
        return judged.passed, judged.reason, judged.message

    assert verdict(scope())[0]
    passed, reason, message = verdict(scope(success_criteria={"min_f1": 0.95}))
    assert (passed, reason) == (False, "criteria_not_met")
    assert "min_f1" in message
    passed, reason, message = verdict(scope(plausible_max_auc=0.6), ("alcohol",))
    assert (passed, reason) == (False, "implausible")
    assert "alcohol" in message


def test_the_shares_of_a_split_hide_small_cells() -> None:
    values = pd.Series(["I"] * 2 + ["II"] * 10 + ["III"] * 8 + [None])
    graded = Multiclass(("I", "II", "III"))
    assert graded.shares("grade", values, EXACT) == {"grade I": 0.1, "grade II": 0.5, "grade III": 0.4}
    assert graded.shares("grade", values, Cells(5)) == {"grade I": None, "grade II": 0.5, "grade III": 0.5}


def test_a_pipeline_of_other_classes_is_refused() -> None:
    with pytest.raises(ServedModelError, match="names 3 classes, the pipeline has 2"):
        PROBLEM.answer([0, 1], "grade", None)
    answer = PROBLEM.answer([0, 1, 2], "grade", None)
    assert (answer.service, answer.gives, answer.labels) == ("classification-service", "class", LABELS)
