"""Effects estimated from rows whose truth is known, and the same as EconML's where both do the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from e2i_assets.causal import EffectReport, estimate_effect, refute
from e2i_assets.causal.data import prepare
from e2i_assets.causal.estimands import difference
from e2i_assets.causal.nuisance import cross_fit
from e2i_assets.json_files import from_json, to_json

ROWS = 800
COVARIATES = ["severity", "age", "plan"]


def patients(seed: int = 5, effect: float = 1.0, decided: float = 1.0, rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    severity, age = rng.normal(size=(2, rows))
    treated = rng.random(rows) < 1 / (1 + np.exp(-decided * severity))
    mean = severity + 0.5 * age**2
    outcome = mean + effect * treated + rng.normal(size=rows)
    return pd.DataFrame(
        {
            "severity": severity,
            "age": age,
            "plan": rng.choice(["commercial", "medicaid"], rows),
            "treated": treated,
            "outcome": outcome,
            "started": outcome > 1,
            "visits": rng.poisson(np.exp(0.3 * severity + 0.4 * effect * treated)),
            "dose": severity + rng.normal(size=rows),
        }
    )


def ask(frame: pd.DataFrame, **asked: Any) -> EffectReport:
    return estimate_effect(
        frame, **({"treatment": "treated", "outcome": "outcome", "covariates": COVARIATES} | asked)
    )


def test_a_confounded_effect_where_the_plain_difference_is_wrong() -> None:
    frame = patients()
    report = ask(frame)
    assert report.status == "effect"
    assert report.effect.low < 1 < report.effect.high  # type: ignore[union-attr]
    assert report.att.low < 1 < report.att.high  # type: ignore[union-attr]
    assert report.naive.low > 1.2  # type: ignore[union-attr]
    severity = report.balance[0]
    assert severity.covariate == "severity"
    assert severity.before > 0.6
    assert abs(severity.after) < 0.15
    assert {fit.of for fit in report.nuisances} == {"treatment", "outcome_control", "outcome_treated"}
    assert from_json(EffectReport, to_json(report)) == report
    assert ask(frame) == report


def test_no_effect_is_not_made_one() -> None:
    report = ask(patients(effect=0.0))
    assert report.status == "no_effect_shown"
    assert report.sensitivity.e_value_limit == 1  # type: ignore[union-attr]


def test_a_trial_needs_no_covariates() -> None:
    frame = patients(decided=0.0)
    report = ask(frame, covariates=[])
    assert report.effect.estimate == pytest.approx(report.naive.estimate, abs=0.02)  # type: ignore[union-attr]
    assert "only where the treatment was given by lot" in report.notes[0]


def test_a_treatment_given_to_clusters_is_as_uncertain_as_they_are_few() -> None:
    """No effect on patients of forty HCPs, who differ and of whom each was engaged or was not."""
    rng = np.random.default_rng(1)
    hcp = np.repeat(np.arange(40), 6)
    own, engaged = rng.normal(size=40), rng.permutation(np.arange(40) % 2)
    frame = pd.DataFrame({"hcp": hcp, "treated": engaged[hcp]})
    frame["outcome"] = own[hcp] + rng.normal(scale=0.5, size=240)
    assert ask(frame, covariates=[]).status == "effect"
    report = ask(frame, covariates=[], clusters="hcp")
    assert report.status == "no_effect_shown"
    assert report.notes[0] == "Intervals are of clusters by hcp, not of rows."
    assert refute(frame, report, repetitions=5, jobs=1).verdict != "failed"
    lots = frame.assign(lot=np.where(rng.random(40) < 0.8, engaged, 1 - engaged)[hcp])
    late, rows = (ask(lots, covariates=[], instruments=["lot"], clusters=c).effect for c in ("hcp", None))
    assert late.high - late.low > 1.5 * (rows.high - rows.low)  # type: ignore[union-attr]


def test_what_is_a_dose_and_what_is_left_out_is_told() -> None:
    frame = patients(2, rows=200).assign(arm=np.arange(200) % 3 * 1.0)
    dose = ask(frame, treatment="arm")
    assert "ATE of one unit more of arm on outcome" in dose.summary
    assert "arm is taken as a dose; of arms name two" in dose.notes[0]
    pair = ask(frame, treatment="arm", target=2.0, control=0.0)
    assert pair.notes == ("67 rows of other arms are left out: the effect says nothing of them.",)


def test_risks_and_counts_have_a_ratio() -> None:
    frame = patients(1)
    risks, counts = ask(frame, outcome="started"), ask(frame, outcome="visits")
    assert 0.1 < risks.effect.estimate < 0.5  # type: ignore[union-attr]
    assert risks.ratio.low > 1  # type: ignore[union-attr]
    assert counts.ratio.low < np.exp(0.4) < counts.ratio.high  # type: ignore[union-attr]


@pytest.mark.parametrize("estimand", ["ate", "ato"])
def test_the_effect_of_a_dose(estimand: str) -> None:
    frame = patients(2).assign(outcome=lambda f: f.outcome + 0.5 * f.dose)
    report = ask(frame, treatment="dose", covariates=[*COVARIATES, "treated"], estimand=estimand)
    assert report.effect.low < 0.5 < report.effect.high  # type: ignore[union-attr]
    assert report.naive.low > 0.7  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        (lambda f: f.assign(treated=f.severity > 0), "treatment_decided", "decide the treatment"),
        (
            lambda f: f.assign(treated=(f.severity > 0) & (np.random.default_rng(9).random(ROWS) < 0.5)),
            "no_overlap",
            "No overlap: ",
        ),
    ],
)
def test_where_nothing_is_identified_there_is_no_number(change: Any, reason: str, words: str) -> None:
    report = ask(change(patients(3)))
    assert (report.status, report.reason) == ("not_identified", reason)
    assert words in report.explanation
    assert report.effect is report.ratio is report.att is report.naive is report.sensitivity is None
    if reason == "no_overlap":
        assert report.offers == ("att", "ato", "trimmed")
        assert "could answer: att, ato, trimmed" in report.summary
        assert ask(change(patients(3)), estimand="att").identified


def test_it_is_econmls_estimate_where_the_models_are_the_same() -> None:
    from econml.dr import LinearDRLearner
    from sklearn.linear_model import LogisticRegression, RidgeCV

    frame = patients(4)
    data = prepare(frame, treatment="treated", outcome="outcome", covariates=COVARIATES)
    nuisances = cross_fit(data, repeats=1, names=["linear"])
    number = nuisances.folds[0]
    folds = [(np.flatnonzero(number != fold), np.flatnonzero(number == fold)) for fold in np.unique(number)]
    econml = LinearDRLearner(
        model_propensity=LogisticRegression(C=1, max_iter=500), min_propensity=1e-6,
        model_regression=RidgeCV(alphas=np.logspace(-1, 4, 6)), cv=folds,
    ).fit(data.y, data.t, X=None, W=data.x)  # fmt: skip
    ours = difference(data, nuisances, 0, "ate")
    assert ours.estimate == pytest.approx(float(econml.ate()), abs=0.25 * ours.standard_error)
    interval = econml.ate_inference()
    assert ours.standard_error == pytest.approx(float(interval.stderr_mean), rel=0.1)


def estimated(frame: pd.DataFrame, covariates: list[str], treatment: str = "treated") -> tuple[float, float]:
    data = prepare(frame, treatment=treatment, outcome="outcome", covariates=covariates)
    nuisances = cross_fit(data, repeats=1, names=["linear", "boosted", "boosted_joint"])
    scores = difference(data, nuisances, 0, "ate")
    return scores.estimate, scores.standard_error


@pytest.mark.parametrize("treatment", ["treated", "dose"])
def test_neither_order_nor_unit_of_what_is_measured_changes_an_estimate(treatment: str) -> None:
    frame = patients(6, rows=300)
    plain = estimated(frame, COVARIATES, treatment)
    mixed = estimated(frame.sample(frac=1, random_state=1), COVARIATES[::-1], treatment)
    assert mixed == pytest.approx(plain, rel=1e-9)
    for unit in (1e9, 1e-9):
        changed = estimated(frame.assign(outcome=frame.outcome * unit), COVARIATES, treatment)
        assert changed == pytest.approx((plain[0] * unit, plain[1] * unit), rel=1e-6)
    assert estimated(frame.assign(outcome=frame.outcome + 1e9), COVARIATES, treatment) == pytest.approx(
        plain, rel=1e-4
    )
    if treatment == "dose":
        changed = estimated(frame.assign(dose=frame.dose * 1e-6), COVARIATES, treatment)
        assert changed == pytest.approx((plain[0] * 1e6, plain[1] * 1e6), rel=1e-6)


def test_extremes_have_figures_that_can_be_written_down() -> None:
    rng = np.random.default_rng(8)
    frame = patients(7, rows=200)
    lifted = ask(
        frame.assign(outcome=np.where(frame.treated, 1e6 + rng.normal(size=200), 0.0)), seed=20240101
    )
    assert lifted.status == "effect"
    assert 1 < lifted.sensitivity.e_value < 100  # type: ignore[union-attr]
    rare = ask(frame.assign(started=frame.treated & (frame.severity > 0.5)), outcome="started")
    assert rare.identified
    assert rare.ratio is None  # of a risk that nobody without the treatment had
