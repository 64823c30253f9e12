"""Effects and models of them on drawn patients whose true effects are known."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from e2i_assets.causal.cate import CONSTANT, choose_learner, fit_learner, predicted
from e2i_assets.causal.learners import LEARNERS, NUISANCE
from e2i_assets.causal.scores import Expected
from e2i_assets.contracts.variables import Feature
from e2i_assets.gates.effect_estimate import OVERLAP, EffectJudged
from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.selection.one_row import asked, compiled, gap
from e2i_assets.modeling.uplift.evaluation import evaluate_uplift
from e2i_assets.modeling.uplift.model import UpliftModel, train_uplift
from e2i_assets.modeling.uplift.plots import importance_plots
from e2i_assets.modeling.uplift.rows import CausalRows, causal_rows
from e2i_assets.serving import bento_store, build_bundle
from e2i_assets_tests.serve_process import served
from e2i_assets_tests.unit.fail_closed.effects import EVIDENCE

NAMES = ("age", "severity", "volume")
FEATURES = [
    Feature(name=name, kind="numeric", source="patient_journeys", available_at="index")
    for name in (*NAMES, "engaged")
]
SCOPE = CausalScope(
    name="uplift", description="Does it help?", problem_type="causal_inference", target="started",
    treatment="engaged", segments={"severity": (0.0,)},
)  # fmt: skip


def patients(effect: str, *, rows: int = 400, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Patients whose severity moves both treatment and outcome, and their true effects."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(rows, 3)), columns=list(NAMES))
    severity = frame["severity"].to_numpy()
    chance = 1 / (1 + np.exp(-0.8 * severity))
    base = 0.2 + 0.2 / (1 + np.exp(-severity))
    true = {"none": np.zeros(rows), "differs": 0.6 * (severity > 0)}[effect]
    engaged = rng.random(rows) < chance
    started = rng.random(rows) < base + true * engaged
    return frame.assign(engaged=engaged.astype(float), started=started.astype(float)), true


def rows_of(frame: pd.DataFrame) -> CausalRows:
    return causal_rows([frame], FEATURES, SCOPE)


def trained(rows: CausalRows) -> UpliftModel:
    return train_uplift(
        rows, rows.effect(seed=0), n_train=len(rows.frame), seed=0, minimum_cell_count=5,
        accept=lambda choice: choice.beats_constant,
    )  # fmt: skip


@cache
def where_effects_differ() -> tuple[UpliftModel, CausalRows]:
    rows = rows_of(patients("differs")[0])
    return trained(rows), rows


def test_where_there_is_no_effect_none_is_shown_and_the_constant_one_is_served() -> None:
    rows = rows_of(patients("none")[0])
    report = rows.effect(seed=0)
    assert report.status == "no_effect_shown"
    assert report.naive is not None
    model = trained(rows)
    assert model.algorithm == CONSTANT
    assert (model.importance, importance_plots(model)) == ({}, {})
    effects, low, high = model.predict(rows.frame)
    assert np.ptp(effects) == 0
    assert low[0] < 0 < high[0]
    # What is served is the published interval, by Student's t, not a narrower one.
    assert report.effect is not None
    assert (low[0], high[0]) == pytest.approx((report.effect.low, report.effect.high), abs=1e-12)
    assert model.answer().line["reach"] == model.reach > 1.96  # type: ignore[index]
    assert model.answer().facts["estimand"] == "ate"  # type: ignore[index]


def test_a_served_bundle_tells_effects_with_their_intervals(tmp_path: Path) -> None:
    """Alone, in a batch, and of somebody of whom nothing is known, who says that effects are told."""
    model, rows = where_effects_differ()
    asked_for = [feature for feature in FEATURES if feature.name in model.features]
    with bento_store(tmp_path / "bentoml") as home:
        bundle = build_bundle(
            model.pipeline, asked_for, name="e2i-uplift-toy", version="v1", answer=model.answer(),
            metadata={}, levels={}, usual=dict.fromkeys(NAMES, (-3.0, 3.0)),
        )  # fmt: skip
    two = rows.frame[list(model.features)].head(2)
    bodies = two.to_dict(orient="records")
    with served(bundle.tag, home, tmp_path / "serve.log") as url:
        alone = httpx.post(f"{url}/predict", json={"features": bodies[0]}, timeout=30).json()
        both = httpx.post(f"{url}/predict_batch", json={"features_list": bodies}, timeout=30).json()
        nobody = httpx.get(f"{url}/health/cate", timeout=30).json()
        level = httpx.get(f"{url}/health").json()["status"]
    names = ("predictions", "lower_bounds", "upper_bounds")
    for name, expected in zip(names, model.predict(two), strict=True):
        np.testing.assert_allclose(both[name], expected, atol=1e-6)
        np.testing.assert_allclose(alone[name], expected[:1], atol=1e-6)
    assert (nobody["status"], nobody["model_id"], nobody["ate"]) == (
        level, bundle.tag, pytest.approx(model.average.estimate),
    )  # fmt: skip
    assert nobody["lower_bounds"][0] < nobody["predictions"][0] < nobody["upper_bounds"][0]


def test_where_effects_differ_they_are_told_apart() -> None:
    model, rows = where_effects_differ()
    test, true = patients("differs", seed=1)
    assert model.algorithm in LEARNERS
    evaluated = evaluate_uplift(
        model, rows_of(test), rows, seed=0, minimum=5, truth=(true, patients("differs")[1])
    )
    assert evaluated.truth is not None
    assert evaluated.truth.within
    assert evaluated.truth.correlation is not None
    assert evaluated.truth.correlation > 0.6
    assert evaluated.truth.regret < 0.05
    assert evaluated.qini is not None
    assert evaluated.qini.qini.above_zero
    assert evaluated.policy.over_chance.above_zero
    ill, well = (group for group in model.segments if group.by == "severity")
    assert (ill.level, well.level) == ("0 and over", "below 0")
    assert ill.effect is not None
    assert well.effect is not None
    assert ill.effect.low < 0.6 < ill.effect.high
    assert well.effect.low < 0 < well.effect.high
    assert next(iter(model.importance)) == "severity"
    assert model.importance["severity"] > 2 * max(model.importance["age"], model.importance["volume"])
    assert list(importance_plots(model)) == ["effect_importance.png"]


def test_a_test_split_without_outcomes_is_refused() -> None:
    model, rows = where_effects_differ()
    with pytest.raises(TrainingDataError, match="started is known of no test patient"):
        evaluate_uplift(model, rows_of(rows.frame.assign(started=np.nan)), rows, seed=0, minimum=5)


def test_a_model_of_effects_is_the_same_when_it_is_read_back(tmp_path: Path) -> None:
    model, rows = where_effects_differ()
    model.save(tmp_path)
    again = UpliftModel.load(tmp_path)
    assert again.identity() == model.identity()
    assert list(again.importance) == list(model.importance)
    assert np.array_equal(again.predict(rows.frame)[0], model.predict(rows.frame)[0])


def test_a_treatment_that_a_covariate_decides_is_refused() -> None:
    frame = patients("differs")[0]
    decided = frame.assign(engaged=(frame["severity"] > 0).astype(float))
    report = rows_of(decided).effect(seed=0)
    verdict = OVERLAP.verdict(EffectJudged(EVIDENCE, report, None, 0.1))
    assert (verdict.passed, verdict.reason) == (False, "treatment_decided")
    assert report.effect is None


def test_a_learner_that_cannot_be_fitted_is_no_candidate() -> None:
    rng = np.random.default_rng(0)
    X, t = rng.normal(size=(40, 2)), np.arange(40) % 2.0
    y = rng.random(40)
    y[3] = np.inf
    folds = [(np.arange(20, 40), np.arange(20)), (np.arange(20), np.arange(20, 40))]
    flat = Expected(np.full(40, 0.5), np.full(40, 0.5), np.full(40, 0.5))
    choice = choose_learner(X, t, y, flat, folds, nuisance="linear", learners=["TLearner"])
    assert choice.failed == {"TLearner": "ValueError"}
    assert (choice.best, choice.chosen) == (None, CONSTANT)


@pytest.mark.parametrize("nuisance", NUISANCE)
@pytest.mark.parametrize("name", LEARNERS)
def test_a_row_alone_gets_the_effect_that_it_gets_among_others(name: str, nuisance: str) -> None:
    from sklearn.pipeline import Pipeline

    frame = patients("differs", rows=150)[0]
    preprocessor = fit_preprocessor(frame, FEATURES[:3])
    X, t, y = preprocessor.transform(frame), frame["engaged"].to_numpy(), frame["started"].to_numpy()
    learner = fit_learner(name, nuisance, X, t, y, 0)
    pipeline = Pipeline([("preprocessor", preprocessor), ("model", learner)])
    whole, one = asked(pipeline, "effect")(frame), compiled(pipeline, "effect")
    alone = np.array([one(row) for row in frame[list(NAMES)].to_dict("records")]).ravel()
    assert gap(alone, whole) < 1e-9
    assert np.array_equal(whole, predicted(learner, X))
