"""The truth that comes with a data set: right by its own definition, and what sound estimators find."""

import json

import numpy as np
import polars as pl
import pytest

from e2i_assets.ingest.synthetic import PROGRAMMES, GeneratorSpec, SyntheticData, generate

CONFOUNDERS = ["disease_severity", "academic_hcp", "engagement_score"]


@pytest.fixture(scope="module", params=[42, 7])
def data(request: pytest.FixtureRequest) -> SyntheticData:
    return generate(GeneratorSpec(seed=request.param))


def test_truth_is_json_and_names_every_partition(data: SyntheticData):
    assert json.loads(json.dumps(data.truth)) == data.truth
    assert data.truth["dgp"] == "confounded"
    assert data.truth["scale"] == "full"
    assert list(data.truth["partitions"]) == [p.key for p in PROGRAMMES]
    assert data.truth["overall"]["n"] == sum(part["n"] for part in data.truth["partitions"].values())


def test_oracle_knows_every_journey_and_is_no_table(data: SyntheticData):
    assert data.oracle.columns == ["patient_journey_id", "p_true", "p0", "p1", "propensity"]
    assert data.oracle["patient_journey_id"].equals(data.tables["patient_journeys"]["patient_journey_id"])
    secret = set(data.oracle.columns) - {"patient_journey_id"} | {"y0", "y1", "latent_severity"}
    for name, frame in data.tables.items():
        assert not secret & set(frame.columns), name
    attributes = data.tables["patient_journeys"]["clinical_attributes"]
    assert not attributes.str.contains_any([f'"{name}"' for name in secret]).any()


def test_figures_follow_from_tables_and_oracle(data: SyntheticData):
    from sklearn.metrics import roc_auc_score

    joined = data.tables["patient_journeys"].join(data.oracle, on="patient_journey_id")
    arm = pl.when("hcp_engaged").then("p1").otherwise("p0")
    assert joined.select((arm == pl.col("p_true")).all()).item()
    for programme in PROGRAMMES:
        mine = joined.filter(brand=programme.brand, indication=programme.indication)
        figures = data.truth["partitions"][programme.key]
        outcome, treated = mine["treatment_initiated"], mine["hcp_engaged"]
        assert figures["n"] == mine.height
        assert figures["outcome_rate"] == pytest.approx(outcome.mean(), abs=1e-6)
        assert figures["oracle_auc"] == pytest.approx(roc_auc_score(outcome, mine["p_true"]), abs=1e-6)
        assert figures["average_effect_probability"] == pytest.approx(
            (mine["p1"] - mine["p0"]).mean(), abs=1e-6
        )
        contrast = outcome.filter(treated).mean() - outcome.filter(~treated).mean()
        assert figures["naive_contrast"] == pytest.approx(contrast, abs=1e-6)
        assert figures["overlap"] == pytest.approx(mine["propensity"].is_between(0.05, 0.95).mean(), abs=1e-6)
        # Draws around their probabilities: sd of Y1 - Y0 is about 0.35, of n = 6,250 its mean 0.0045.
        assert figures["average_effect"] == pytest.approx(figures["average_effect_probability"], abs=0.018)


def test_the_process_is_moderate_overlapping_and_predictable(data: SyntheticData):
    for key, figures in data.truth["partitions"].items():
        assert 0.20 <= figures["outcome_rate"] <= 0.60, key
        assert 0.86 <= figures["oracle_auc"] <= 0.91, key
        assert figures["overlap"] > 0.95, key
        assert 0.06 < figures["average_effect"] < 0.20, key


def test_outcomes_are_draws_of_their_probabilities(data: SyntheticData):
    joined = data.tables["patient_journeys"].join(data.oracle, on="patient_journey_id")
    bins = joined.group_by(pl.col("p_true").qcut(10)).agg(
        rate=pl.col("treatment_initiated").mean(), p=pl.col("p_true").mean()
    )
    assert (bins["rate"] - bins["p"]).abs().max() < 0.035
    treated = joined.group_by(pl.col("propensity").qcut(10, allow_duplicates=True)).agg(
        rate=pl.col("hcp_engaged").mean(), p=pl.col("propensity").mean()
    )
    assert (treated["rate"] - treated["p"]).abs().max() < 0.04


def test_naive_contrast_is_off_and_adjustment_recovers_the_truth(data: SyntheticData):
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    truth = data.truth["overall"]
    complete = data.tables["patient_journeys"].drop_nulls(CONFOUNDERS)
    x = complete.select(pl.col(CONFOUNDERS).cast(pl.Float64)).to_numpy()
    t, y = (complete[name].to_numpy().astype(float) for name in ("hcp_engaged", "treatment_initiated"))
    e = cross_val_predict(LogisticRegression(), x, t, method="predict_proba", cv=2)[:, 1]
    arms = {}
    for arm in (0.0, 1.0):
        predicted = np.empty(len(y))
        for fold in (0, 1):
            train = (np.arange(len(y)) % 2 != fold) & (t == arm)
            model = HistGradientBoostingRegressor(max_iter=60, max_depth=3).fit(x[train], y[train])
            predicted[np.arange(len(y)) % 2 == fold] = model.predict(x[np.arange(len(y)) % 2 == fold])
        arms[arm] = predicted
    score = arms[1] - arms[0] + t * (y - arms[1]) / e - (1 - t) * (y - arms[0]) / (1 - e)
    error = score.std() / np.sqrt(len(score))
    assert abs(score.mean() - truth["average_effect"]) < 3 * error
    assert error < 0.01
    assert truth["naive_contrast"] - truth["average_effect"] > 0.10
