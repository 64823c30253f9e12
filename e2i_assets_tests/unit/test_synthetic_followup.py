"""The later outcomes: when they are known, that they are drawn around the means that the oracle keeps, and how
well the best of all models would do."""

from __future__ import annotations

import polars as pl
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from e2i_assets.ingest.synthetic import PARTITIONS, GeneratorSpec, SyntheticData, generate
from e2i_assets.ingest.synthetic.followup import TRUE_MEANS
from e2i_assets.ingest.synthetic.profiles import profile_of
from e2i_assets.ingest.synthetic.truth import FOLLOWUP


@pytest.fixture(scope="module", params=["confounded", "selection_bias"])
def data(request: pytest.FixtureRequest) -> SyntheticData:
    return generate(GeneratorSpec(dgp=request.param))


@pytest.fixture(scope="module")
def journeys(data: SyntheticData) -> pl.DataFrame:
    """With the true means, and whether the follow-up window was observed to its end."""
    window = pl.coalesce(
        pl.when(brand=p.brand, indication=p.indication).then(profile_of(p).followup_days) for p in PARTITIONS
    )
    observed = (pl.col("last_observation_date") - pl.col("diagnosis_date")).dt.total_days() >= window
    return (
        data.tables["patient_journeys"]
        .join(data.oracle, on="patient_journey_id")
        .with_columns(whole=observed)
    )


def test_an_outcome_is_known_of_those_who_were_followed_to_the_end(journeys: pl.DataFrame):
    heard_of = pl.col("treatment_initiated").is_not_null() & pl.col("whole")
    for name in ("trx_followup", "lifetime_value"):
        assert journeys.select((pl.col(name).is_not_null() == heard_of).all()).item(), name
    # Where the number of earlier lines was lost on the way it cannot be seen whether there was a therapy.
    answer = journeys.filter(pl.col("prior_treatment_count").is_not_null())
    on_therapy = pl.col("treatment_initiated") | (pl.col("prior_treatment_count") > 0)
    assert answer.select((pl.col("discontinued").is_not_null() == (heard_of & on_therapy)).all()).item()
    assert 0.6 < answer["discontinued"].count() / answer["trx_followup"].count() < 0.95


def test_outcomes_agree_with_the_initiation_and_the_events(data: SyntheticData, journeys: pl.DataFrame):
    assert journeys.filter("treatment_initiated")["trx_followup"].drop_nulls().min() == 1
    assert journeys["trx_followup"].min() == 0
    assert journeys["lifetime_value"].min() > 0
    stops = data.tables["treatment_events"].filter("discontinuation_flag")
    stopped = stops.join(journeys, on="patient_journey_id")["discontinued"]
    assert stopped.len() > 500
    assert stopped.all(ignore_nulls=False)


def test_outcomes_are_drawn_around_their_means(journeys: pl.DataFrame):
    for outcome in FOLLOWUP:
        value, true = pl.col(outcome).cast(pl.Float64), pl.col(TRUE_MEANS[outcome])
        known = journeys.filter(value.is_not_null())
        bins = known.group_by("brand", "indication", tenth=true.qcut(10).over("brand", "indication")).agg(
            off=(value - true).mean() / ((value - true).std() / pl.len().sqrt())
        )
        # Forty standardized differences: the largest of so many is below 4 but once in 400 data sets.
        assert bins["off"].abs().max() < 4, outcome


def test_truth_says_how_well_the_best_of_all_models_would_do(data: SyntheticData, journeys: pl.DataFrame):
    for partition in PARTITIONS:
        mine = journeys.filter(brand=partition.brand, indication=partition.indication)
        answer = data.truth["partitions"][partition.stem]["followup"]
        for outcome in FOLLOWUP:
            known = mine.filter(pl.col(outcome).is_not_null())
            value, true = known[outcome].cast(pl.Float64).to_numpy(), known[TRUE_MEANS[outcome]].to_numpy()
            assert answer[outcome]["n_known"] == len(value)
            assert answer[outcome]["mean"] == pytest.approx(value.mean(), abs=1e-6)
            if outcome == "discontinued":
                assert answer[outcome]["oracle_auc"] == pytest.approx(roc_auc_score(value, true), abs=1e-6)
                assert 0.85 < answer[outcome]["oracle_auc"] < 0.95
            else:
                assert answer[outcome]["attainable_r2"] == pytest.approx(true.var() / value.var(), abs=1e-3)
                assert answer[outcome]["attainable_r2"] == pytest.approx(r2_score(value, true), abs=0.05)
                assert 0.5 < answer[outcome]["attainable_r2"] < 0.8
