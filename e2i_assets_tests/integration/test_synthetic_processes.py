"""Each data-generating process is what its name says, and its declared truth is what sound estimators find."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from e2i_assets.ingest.synthetic import GeneratorSpec, people
from e2i_assets.ingest.synthetic.outcome import CONFOUNDERS, PROCESSES
from e2i_assets.ingest.synthetic.truth import truth_of

SEEDS = range(20)
PROGNOSTIC = ("age_at_diagnosis", "comorbidity_count", "prior_treatment_count")


def _matrix(patients: pl.DataFrame, columns: tuple[str, ...]) -> np.ndarray:
    raw = patients.select(pl.col(columns).cast(pl.Float64)).to_numpy()
    return (raw - raw.mean(axis=0)) / raw.std(axis=0)


def doubly_robust(patients: pl.DataFrame, *, weighted: bool = True) -> tuple[float, float]:
    """95 % interval of the average effect (econml) over the patients whose outcome is known.

    `weighted`: each counts by the inverse of the estimated probability that it is known.
    """
    from econml.dr import LinearDRLearner

    known = patients["treatment_initiated"].is_not_null().to_numpy()
    treated = patients["hcp_engaged"].to_numpy()
    weights = None
    if weighted and not known.all():
        severity = _matrix(patients, ("disease_severity",))
        by = np.column_stack([severity, treated, severity[:, 0] * treated])
        weights = 1 / LogisticRegression(C=1e6).fit(by, known).predict_proba(by)[known, 1]
    learner = LinearDRLearner(
        model_propensity=LogisticRegression(), model_regression=LogisticRegression(), discrete_outcome=True,
        cv=2, random_state=0,
    )  # fmt: skip
    learner.fit(
        patients["treatment_initiated"].drop_nulls().to_numpy().astype(int),
        treated[known].astype(int),
        X=None,
        W=_matrix(patients, CONFOUNDERS + PROGNOSTIC)[known],
        sample_weight=weights,
    )
    low, high = (np.ravel(bound).item() for bound in learner.intercept__interval(T=1, alpha=0.05))
    return low, high


@pytest.mark.parametrize("dgp", PROCESSES)
def test_a_doubly_robust_interval_covers_the_truth(dgp: str):
    covered, errors, errors_without_weights = 0, [], []
    for seed in SEEDS:
        spec = GeneratorSpec(dgp=dgp, seed=seed, patients=8_000)  # type: ignore[arg-type]
        patients = people(spec)
        truth = truth_of(spec, patients)["overall"]["average_effect"]
        low, high = doubly_robust(patients)
        assert high - low < 0.06
        covered += low <= truth <= high
        errors.append((low + high) / 2 - truth)
        if dgp == "selection_bias":
            low, high = doubly_robust(patients, weighted=False)
            errors_without_weights.append((low + high) / 2 - truth)
    assert covered >= 17
    # Four standard errors of a mean over 20 seeds, each with one of 0.01.
    assert abs(np.mean(errors)) < 0.009
    assert not errors_without_weights or np.mean(errors_without_weights) > 0.018


@pytest.fixture(scope="module", params=PROCESSES)
def process(request: pytest.FixtureRequest) -> tuple[str, pl.DataFrame, dict]:
    """Name, patients and truth of a process at full size."""
    spec = GeneratorSpec(dgp=request.param)
    patients = people(spec)
    return request.param, patients, truth_of(spec, patients)


def test_arms_overlap_and_outcomes_are_moderate(process: tuple[str, pl.DataFrame, dict]):
    _, _, truth = process
    for key, figures in {**truth["partitions"], "overall": truth["overall"]}.items():
        assert figures["overlap"] > 0.95, key
        assert 0.20 <= figures["outcome_rate"] <= 0.60, key
        assert 0.84 <= figures["oracle_auc"] <= 0.92, key
        assert figures["average_effect"] > 0.08, key


def test_the_truth_is_that_of_both_potential_outcomes(process: tuple[str, pl.DataFrame, dict]):
    _, patients, truth = process
    effect = patients["y1"].cast(pl.Int64) - patients["y0"].cast(pl.Int64)
    known = patients["treatment_initiated"].is_not_null()
    realised = patients.select(pl.when("hcp_engaged").then("y1").otherwise("y0")).to_series()
    figures = truth["overall"]
    assert figures["average_effect"] == pytest.approx(effect.mean(), abs=1e-6)
    assert figures["effect_on_treated"] == pytest.approx(
        effect.filter(patients["hcp_engaged"]).mean(), abs=1e-6
    )
    assert patients["treatment_initiated"].filter(known).equals(realised.filter(known))
    assert figures["known_rate"] == pytest.approx(known.mean(), abs=1e-6)
    for name, segments in figures["effect_by_segment"].items():
        assert sum(s["n"] for s in segments.values()) == patients.height, name
        mean = sum(s["n"] * s["average_effect"] for s in segments.values()) / patients.height
        assert mean == pytest.approx(figures["average_effect"], abs=1e-5), name


def test_the_naive_contrast_misleads_where_it_should(process: tuple[str, pl.DataFrame, dict]):
    dgp, patients, truth = process
    error = truth["overall"]["naive_contrast"] - truth["overall"]["average_effect"]
    # Standard error of a difference of two rates with 12,500 patients each: at most 0.0063.
    if dgp == "simple_linear":
        assert abs(error) < 0.019
        assert patients["propensity"].unique().to_list() == [0.5]
    else:
        assert error > 0.06


def test_outcomes_are_unknown_in_selection_bias_only(process: tuple[str, pl.DataFrame, dict]):
    dgp, patients, truth = process
    assert truth["selected_by"] == (["disease_severity", "hcp_engaged"] if dgp == "selection_bias" else [])
    if dgp != "selection_bias":
        assert truth["overall"]["known_rate"] == 1
        return
    assert 0.6 < truth["overall"]["known_rate"] < 0.75
    assert patients["p_known"].min() > 0.05
    assert patients["propensity"].unique().to_list() == [0.5]


def test_weights_correct_the_complete_case_contrast():
    patients = people(GeneratorSpec(dgp="selection_bias"))
    known = patients.filter(pl.col("treatment_initiated").is_not_null())
    weight = 1 / pl.col("p_known")
    rates = known.group_by("hcp_engaged").agg(
        plain=pl.col("treatment_initiated").mean(),
        weighted=(pl.col("treatment_initiated") * weight).sum() / weight.sum(),
    )
    arm = {row["hcp_engaged"]: row for row in rates.to_dicts()}
    truth = patients.select(pl.col("y1").mean() - pl.col("y0").mean()).item()
    assert arm[True]["plain"] - arm[False]["plain"] > truth + 0.06
    assert arm[True]["weighted"] - arm[False]["weighted"] == pytest.approx(truth, abs=0.02)


def test_effects_differ_by_severity_in_heterogeneous(process: tuple[str, pl.DataFrame, dict]):
    dgp, _, truth = process
    for key, figures in truth["partitions"].items():
        effect = {k: v["average_effect"] for k, v in figures["effect_by_segment"]["disease_severity"].items()}
        if dgp == "heterogeneous":
            assert effect["low"] < 0.06, key
            assert effect["low"] + 0.08 < effect["medium"] < effect["high"] - 0.03, key
        elif dgp != "selection_bias":
            assert max(effect.values()) - min(effect.values()) < 0.08, key


def test_the_effect_wears_off_in_time_series(process: tuple[str, pl.DataFrame, dict]):
    dgp, _, truth = process
    by_year = truth["overall"]["effect_by_segment"]["diagnosis_year"]
    effect = [by_year[year]["average_effect"] for year in ("2023", "2024", "2025")]
    if dgp == "time_series":
        assert effect[0] > effect[1] + 0.05 > effect[2] + 0.06
    else:
        assert max(effect) - min(effect) < 0.03


def test_initiations_follow_the_season_and_grow_in_time_series(process: tuple[str, pl.DataFrame, dict]):
    dgp, patients, _ = process
    month = pl.col("diagnosis_date").dt.month()
    winter, summer = (
        patients.filter(month.is_in(months), pl.col("diagnosis_date").dt.year() < 2025)["y0"].mean()
        for months in ([12, 1, 2], [6, 7, 8])
    )
    # The same half of each year, so that no year has more winter.
    year = pl.col("diagnosis_date").dt.year()
    yearly = patients.filter(month <= 6).group_by(year=year).agg(pl.col("p0").mean()).sort("year")["p0"]
    if dgp == "time_series":
        assert winter - summer > 0.15
        assert yearly[2] > yearly[1] + 0.01 > yearly[0] + 0.02
    else:
        assert abs(winter - summer) < 0.03
        assert yearly.max() - yearly.min() < 0.03
