from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from e2i_assets.json_files import to_json
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.errors import NoCandidateError, TrainingDataError
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.selection import candidate, comparison
from e2i_assets.modeling.selection.candidate import ModelCandidate, Record, ranking_score, select_candidate
from e2i_assets.modeling.selection.catalogue import CATALOGUE
from e2i_assets.modeling.selection.measuring import Measurement
from e2i_assets_tests.unit.modeling_frames import FEATURES, TRAIN, scope, toy

FLEXIBLE = {"XGBoost", "LightGBM", "RandomForest", "ExtraTrees"}


def choose(train: LabelledSplit = TRAIN, **selection: object) -> ModelCandidate:
    return select_candidate(scope(selection=selection), train, features=FEATURES, seed=42)


def test_the_ranking_is_the_guide_formula() -> None:
    wanted = scope(selection={"preferred_algorithms": ["XGBoost"]})
    scores = {name: ranking_score(CATALOGUE[name], wanted) for name in Binary.algorithms}
    assert scores["LogisticRegression"] == pytest.approx(
        0.4 * 0.65 + 0.2 * 199 / 200 + 0.15 * 15.9 / 16 + 0.15
    )
    assert scores["XGBoost"] == pytest.approx(0.4 * 0.78 + 0.2 * 0.9 + 0.15 * 14 / 16 + 0.15 * 0.6 + 0.1)
    assert sorted(scores, key=scores.__getitem__)[:2] == ["ExtraTrees", "RandomForest"]


def test_measurement_beats_ranking_when_the_difference_is_real() -> None:
    """The product of two signs is invisible to the linear model, which the ranking puts on top."""
    selected = choose(toy(1500, seed=2, interaction=2.5).split("train", 0, 1500))
    assert selected.family == "gradient_boosting"
    assert selected.finalist.behind <= selected.finalist.noise
    linear = next(f for f in selected.finalists if f.algorithm == "LogisticRegression")
    assert linear.behind > 5 * linear.noise
    assert "behind" in selected.alternatives["LogisticRegression"]


def test_the_simpler_wins_where_nothing_is_lost() -> None:
    selected = choose()
    assert selected.algorithm == "LogisticRegression"
    assert selected.finalist.score_mean > 0.7
    assert [f.score_mean for f in selected.finalists] == sorted(
        (f.score_mean for f in selected.finalists), reverse=True
    )
    assert set(selected.alternatives) == set(CATALOGUE) - {"LogisticRegression"}
    assert "LogisticRegression" in selected.rationale


def test_it_is_reproducible_and_plain() -> None:
    selected = choose()
    assert selected == choose()
    json.dumps(to_json(selected), allow_nan=False)


@pytest.mark.parametrize(
    ("selection", "refused", "words"),
    [
        ({"interpretability_required": True}, FLEXIBLE, "interpretability 0"),
        ({"excluded_algorithms": ["LogisticRegression"]}, {"LogisticRegression"}, "excluded"),
    ],
)
def test_what_is_declared_is_filtered_before_anything_is_fitted(
    selection: dict[str, object], refused: set[str], words: str
) -> None:
    selected = choose(**selection)
    assert selected.algorithm not in refused
    assert not refused & {*selected.measured, *(f.algorithm for f in selected.finalists)}
    assert all(words in selected.alternatives[name] for name in refused)
    assert selected.alternatives["CausalForest"].startswith("causal: needs a treatment")
    assert selected.alternatives["Ridge"] == "not for binary_classification"


def costs(figures: dict[str, Measurement]) -> Any:
    """Measures each model as stated here, one millisecond and a hundredth of a GB where nothing is."""

    def measured(pipeline: Any, method: str, X: pd.DataFrame) -> Measurement:
        assert list(pipeline.feature_names_in_) == [f.name for f in FEATURES]
        assert (method, len(X)) == ("predict_proba", len(TRAIN.y) // 3)
        return figures.get(type(pipeline[-1]).__name__, Measurement(1, 0.01))

    return measured


@pytest.mark.parametrize(
    ("limit", "words"),
    [({"max_latency_ms": 5}, "slower than 5 ms"), ({"max_memory_gb": 0.5}, "needs more than 0.5 GB")],
)
def test_a_constraint_is_about_what_is_measured(
    monkeypatch: pytest.MonkeyPatch, limit: dict[str, object], words: str
) -> None:
    """The best one breaks it; what is measured may vary, but nothing of it is in the candidate."""
    slow = {"LogisticRegression": Measurement(7, 0.7)}
    monkeypatch.setattr(comparison, "measure", costs(slow))
    selected = choose(**limit)
    assert selected.algorithm != "LogisticRegression"
    assert selected.alternatives["LogisticRegression"] == words
    assert {f.algorithm for f in selected.finalists} == FLEXIBLE
    assert selected.measured["LogisticRegression"] == Measurement(7, 0.7)
    monkeypatch.setattr(comparison, "measure", costs({"LogisticRegression": Measurement(9, 0.9)}))
    assert choose(**limit) == selected
    monkeypatch.setattr(comparison, "measure", costs({}))
    assert choose(**limit).algorithm == "LogisticRegression"


def test_where_those_ranked_first_cost_too_much_the_next_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidate, "CHEAP_ROWS", 100)
    ranked = ["LogisticRegression", "LightGBM", "XGBoost", "RandomForest", "ExtraTrees"]
    monkeypatch.setattr(comparison, "measure", costs({}))
    selected = choose()
    assert set(selected.measured) == {*ranked[:3]}
    assert selected.alternatives["ExtraTrees"] == "ranked below the 3 that were tried"
    dear = Measurement(500, 0.1)
    first = ("LogisticRegression", "LGBMClassifier", "XGBClassifier")
    monkeypatch.setattr(comparison, "measure", costs(dict.fromkeys(first, dear)))
    selected = choose()
    assert {f.algorithm for f in selected.finalists} == {"RandomForest", "ExtraTrees"}
    assert selected.alternatives["XGBoost"] == "slower than 100 ms"


def test_earlier_evaluations_move_the_ranking_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, profile = scope(), CATALOGUE["RandomForest"]
    plain = ranking_score(profile, wanted)
    assert ranking_score(profile, wanted, {"RandomForest": Record(0, 0)}) == plain
    assert ranking_score(profile, wanted, {"RandomForest": Record(5, 5)}) == pytest.approx(
        plain + 0.4 * ((5 + 5 * 0.72) / 10 - 0.72), abs=1e-6
    )
    monkeypatch.setattr(candidate, "CHEAP_ROWS", 100)
    monkeypatch.setattr(comparison, "measure", costs({}))
    history = {"RandomForest": Record(40, 40), "LightGBM": Record(0, 40)}
    selected = select_candidate(wanted, TRAIN, features=FEATURES, seed=42, history=history)
    assert {f.algorithm for f in selected.finalists} == {"LogisticRegression", "XGBoost", "RandomForest"}
    assert selected.algorithm == choose().algorithm


def test_an_unknown_exclusion_is_said() -> None:
    assert "not registered: DeepLearning" in choose(excluded_algorithms=["DeepLearning"]).rationale


def test_nothing_left_is_an_error_that_says_which_filter_removed_what() -> None:
    with pytest.raises(NoCandidateError) as refused:
        choose(max_latency_ms=1e-6, excluded_algorithms=["XGBoost"])
    message = str(refused.value)
    assert "XGBoost: excluded" in message
    assert "Ridge: not for binary_classification" in message
    assert "TLearner: causal: needs a treatment" in message
    assert re.search(r"LightGBM: slower than 1e-06 ms \(measured [\d.]+ ms, [\d.e-]+ GB\)", message)
    assert "Loosen" in refused.value.next_step
    with pytest.raises(NoCandidateError, match="LightGBM: excluded"):
        choose(excluded_algorithms=list(Binary.algorithms))


def test_too_few_rows_of_a_class_are_refused() -> None:
    y = np.zeros(60, dtype=int)
    y[:5] = 1
    with pytest.raises(TrainingDataError, match="5 rows of the rarer outcome"):
        choose(LabelledSplit("train", TRAIN.X.head(60), y, Binary()))


def test_no_patient_is_on_both_sides_of_a_fold() -> None:
    """Four journeys of each patient, and outcomes that nothing tells: with one of them to fit on, a forest
    would know the others by heart."""
    made = toy(150)
    rows = np.repeat(np.arange(150), 4)
    y = np.random.default_rng(1).integers(0, 2, 150)[rows]
    X = made.X.iloc[rows].reset_index(drop=True)
    chosen = choose(LabelledSplit("train", X, y, Binary(), pd.Series(rows)))
    assert max(f.score_mean for f in chosen.finalists) < 0.65
    once = LabelledSplit("train", made.X, made.y, Binary(), pd.Series(np.arange(150)))
    assert choose(once).finalists == choose(LabelledSplit("train", made.X, made.y, Binary())).finalists


def test_too_few_patients_of_a_class_are_refused_however_many_rows_they_have() -> None:
    rows = np.repeat(np.arange(60), 4)
    y = (rows < 2).astype(int)
    X = TRAIN.X.iloc[rows].reset_index(drop=True)
    with pytest.raises(TrainingDataError, match="a fold of whole patients: 0 rows of the rarer outcome"):
        choose(LabelledSplit("train", X, y, Binary(), pd.Series(rows)))
