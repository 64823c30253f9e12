"""The truth that comes with a data set: right by its own definition, and what sound estimators find."""

import json
from datetime import date

import polars as pl
import pytest

from e2i_assets.cli.data import _show_truth
from e2i_assets.ingest.synthetic import PARTITIONS, GeneratorSpec, SyntheticData, generate
from e2i_assets.ingest.synthetic.followup import TRUE_MEANS


@pytest.fixture(scope="module", params=[42, 7])
def data(request: pytest.FixtureRequest) -> SyntheticData:
    return generate(GeneratorSpec(seed=request.param))


def test_truth_is_json_and_names_every_partition(data: SyntheticData):
    assert json.loads(json.dumps(data.truth)) == data.truth
    assert data.truth["dgp"] == "confounded"
    assert data.truth["scale"] == "full"
    assert list(data.truth["partitions"]) == [p.stem for p in PARTITIONS]
    assert data.truth["overall"]["n"] == sum(part["n"] for part in data.truth["partitions"].values())


def test_truth_is_shown_also_where_a_partition_has_nobody_of_a_segment(capsys: pytest.CaptureFixture[str]):
    truth = generate(GeneratorSpec(scale="small", as_of=date(2026, 1, 1))).truth
    years = [part["effect_by_segment"]["diagnosis_year"] for part in truth["partitions"].values()]
    assert any(set(of) != set(truth["overall"]["effect_by_segment"]["diagnosis_year"]) for of in years)
    _show_truth(truth)
    assert "no patients" in capsys.readouterr().out


def test_oracle_knows_every_journey_and_is_no_table(data: SyntheticData):
    means = ["p_true", "p_discontinued", "trx_mean", "value_mean"]
    drawn = [f"drawn_{outcome}" for outcome in TRUE_MEANS]
    assert data.oracle.columns == ["patient_journey_id", *means, "p0", "p1", "propensity", "p_known", *drawn]
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
    for partition in PARTITIONS:
        mine = joined.filter(brand=partition.brand, indication=partition.indication)
        figures = data.truth["partitions"][partition.stem]
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
