from __future__ import annotations

import json

import numpy as np
import pytest

from e2i_assets.json_files import to_json
from e2i_assets.modeling.catalogue import CATALOGUE
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.errors import NoCandidateError, TrainingDataError
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.selection import ModelCandidate, ranking_score, select_candidate
from e2i_assets_tests.unit.modeling_frames import FEATURES, TRAIN, scope, toy


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
    found = choose(toy(1500, seed=2, interaction=2.5).split("train", 0, 1500))
    assert found.family == "gradient_boosting"
    assert found.measured.behind <= found.measured.noise
    linear = next(f for f in found.finalists if f.algorithm == "LogisticRegression")
    assert linear.behind > 5 * linear.noise
    assert "behind" in found.alternatives["LogisticRegression"]


def test_the_simpler_wins_where_nothing_is_lost() -> None:
    found = choose()
    assert found.algorithm == "LogisticRegression"
    assert found.measured.score_mean > 0.7
    assert [f.score_mean for f in found.finalists] == sorted(
        (f.score_mean for f in found.finalists), reverse=True
    )
    assert set(found.alternatives) == set(CATALOGUE) - {"LogisticRegression"}
    assert "LogisticRegression" in found.rationale


def test_it_is_reproducible_and_plain() -> None:
    assert choose() == choose()
    json.dumps(to_json(choose()), allow_nan=False)


@pytest.mark.parametrize(
    ("selection", "refused", "words"),
    [
        ({"max_latency_ms": 10}, {"XGBoost", "LightGBM", "RandomForest"}, "slower than 10 ms"),
        ({"max_memory_gb": 1}, {"XGBoost", "LightGBM", "RandomForest"}, "more than 1 GB"),
        ({"interpretability_required": True}, {"XGBoost", "LightGBM", "RandomForest"}, "interpretability"),
        ({"excluded_algorithms": ["LogisticRegression"]}, {"LogisticRegression"}, "excluded"),
    ],
)
def test_constraints_are_final(selection: dict[str, object], refused: set[str], words: str) -> None:
    found = choose(**selection)
    assert found.algorithm not in refused
    assert not refused & {f.algorithm for f in found.finalists}
    assert all(words in found.alternatives[name] for name in refused)


def test_an_unknown_exclusion_is_said() -> None:
    assert "not registered: DeepLearning" in choose(excluded_algorithms=["DeepLearning"]).rationale


def test_nothing_left_is_an_error_that_says_why() -> None:
    with pytest.raises(NoCandidateError, match=r"(?s)XGBoost: slower than 0.5 ms.*Loosen"):
        choose(max_latency_ms=0.5)


def test_too_few_rows_of_a_class_are_refused() -> None:
    y = np.zeros(60, dtype=int)
    y[:5] = 1
    with pytest.raises(TrainingDataError, match="5 rows of the rarer outcome"):
        choose(LabelledSplit("train", TRAIN.X.head(60), y, Binary()))
