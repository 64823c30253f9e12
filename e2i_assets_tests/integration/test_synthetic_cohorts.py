"""Cohorts of the synthetic patients: large enough, thinned by every rule, and as predictable as promised."""

import numpy as np
import polars as pl
import pytest

from e2i_assets.ingest.synthetic import PARTITIONS, GeneratorSpec, PartitionKey, SyntheticData, generate
from e2i_assets.ingest.synthetic.outcome import PROCESSES

col = pl.col
BREAST_CODES = [f"C50.{digit}" for digit in (0, 1, 2, 3, 4, 5, 6, 8, 9)]
STAGES = ["advanced", "metastatic", "locally_advanced", "stage_iv"]
INCLUDED = {
    "remibrutinib_csu": [
        col("diagnosis_code").is_in(["L50.1", "L50.8", "L50.9"]),
        col("urticaria_severity_uas7") >= 16,
        col("prior_antihistamine_therapy"),
    ],
    "fabhalta_pnh": [
        col("diagnosis_code").is_in(["D59.5", "D59.50", "D59.51", "D59.59"]),
        col("ldh_ratio") >= 1.5,
        col("complement_inhibitor_status").is_in(["current", "prior"]),
    ],
    "fabhalta_c3g": [
        col("diagnosis_code").is_in(["N03.6", "N04.6", "N05.6"]),
        col("proteinuria_g_day") >= 1.0,
        col("egfr") >= 30,
    ],
    "kisqali_hr_her2_bc": [
        col("diagnosis_code").is_in(BREAST_CODES),
        col("hr_status") == "positive",
        col("her2_status") == "negative",
        col("disease_stage").is_in(STAGES),
        col("ecog_performance_status") <= 1,
    ],
}
EXCLUDED = {
    "remibrutinib_csu": [
        col("active_autoimmune_condition"), col("concurrent_immunosuppressive"), col("pregnancy_status"),
        col("severe_hepatic_impairment"),
    ],
    "fabhalta_pnh": [
        col("active_serious_infection"), ~col("meningococcal_vaccination_current"),
        col("bone_marrow_transplant_recent"), col("severe_renal_impairment"),
    ],
    "fabhalta_c3g": [
        col("active_serious_infection"), ~col("meningococcal_vaccination_current"), col("dialysis_dependent"),
    ],
    "kisqali_hr_her2_bc": [
        col("prior_cdk46_inhibitor"), col("qtc_prolongation"), col("severe_hepatic_impairment"),
        col("active_cns_metastases"), col("concurrent_strong_cyp3a_inhibitor"),
    ],
}  # fmt: skip
WINDOWS = {"remibrutinib_csu": (180, 90)}


def members(data: SyntheticData, partition: PartitionKey) -> tuple[pl.DataFrame, list[int]]:
    """Eligible journeys with their clinical attributes as columns, and how many each rule in turn removed."""
    mine = data.tables["patient_journeys"].filter(brand=partition.brand, indication=partition.indication)
    attributes = mine["clinical_attributes"].str.json_decode(_schema(mine["clinical_attributes"]))
    left = mine.drop("clinical_attributes").hstack(attributes.struct.unnest())
    lookback, followup = WINDOWS.get(partition.stem, (365, 180))
    index = col("diagnosis_date")
    rules = [
        rule.fill_null(value=False) for rule in [col("age_at_diagnosis") >= 18, *INCLUDED[partition.stem]]
    ]
    rules += [~rule.fill_null(value=False) for rule in EXCLUDED[partition.stem]]
    rules += [
        (index - col("first_observation_date")).dt.total_days() >= lookback,
        (col("last_observation_date") - index).dt.total_days() >= followup,
    ]
    removed = []
    for rule in rules:
        remaining = left.filter(rule)
        removed.append(left.height - remaining.height)
        left = remaining
    return left, removed


def _schema(documents: pl.Series) -> pl.Struct:
    # A struct over all documents: the first may have nulls.
    return pl.Struct(pl.read_ndjson("\n".join(documents).encode(), infer_schema_length=None).schema)


@pytest.fixture(scope="module")
def full() -> SyntheticData:
    return generate(GeneratorSpec())


@pytest.mark.parametrize("dgp", PROCESSES)
def test_full_cohorts(dgp: str):
    data = generate(GeneratorSpec(dgp=dgp))  # type: ignore[arg-type]
    for partition in PARTITIONS:
        eligible, removed = members(data, partition)
        assert 0.55 <= eligible.height / 6_250 <= 0.62, partition.stem
        assert eligible.height >= 2_500, partition.stem
        assert min(removed) >= 50, partition.stem


@pytest.mark.parametrize("dgp", PROCESSES)
@pytest.mark.parametrize("seed", range(8))
def test_small_cohorts_for_any_seed(seed: int, dgp: str):
    data = generate(GeneratorSpec(dgp=dgp, scale="small", seed=seed))  # type: ignore[arg-type]
    for partition in PARTITIONS:
        eligible, removed = members(data, partition)
        assert eligible.height >= 300, partition.stem
        assert min(removed) >= 1, partition.stem


@pytest.mark.parametrize("partition", PARTITIONS, ids=lambda p: p.stem)
def test_a_plain_model_comes_close_to_the_oracle(full: SyntheticData, partition: PartitionKey):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    eligible, _ = members(full, partition)
    eligible = eligible.join(full.oracle, on="patient_journey_id", how="left")
    features = _features(full, eligible)
    outcome = eligible["treatment_initiated"].to_numpy()
    order = np.random.default_rng(0).permutation(eligible.height)
    train, test = np.split(order, [int(0.6 * len(order))])
    model = LogisticRegression(C=0.3, max_iter=500).fit(features[train], outcome[train])
    reached = roc_auc_score(outcome[test], model.predict_proba(features[test])[:, 1])
    oracle = roc_auc_score(outcome[test], eligible["p_true"].to_numpy()[test])
    assert 0.84 < oracle < 0.92
    assert reached > oracle - 0.03


def _features(data: SyntheticData, eligible: pl.DataFrame) -> np.ndarray:
    """Standardised observable columns, blanks at the mean; HCP profile and history counts joined."""
    events = data.tables["treatment_events"].join(
        eligible.select("patient_journey_id", "diagnosis_date"), on="patient_journey_id"
    )
    history = (
        events.filter(col("event_date") < col("diagnosis_date"))
        .group_by("patient_journey_id")
        .agg((col("event_type") == kind).sum().alias(kind) for kind in ("consultation", "lab_test"))
    )
    hcps = data.tables["hcp_profiles"].select(
        "hcp_id", "decile", "years_experience", "digital_engagement_score"
    )
    wide = (
        eligible.join(hcps, on="hcp_id", how="left")
        .join(history, on="patient_journey_id", how="left")
        .with_columns(col("consultation", "lab_test").fill_null(0))
    )
    forbidden = [
        "treatment_initiated", "days_to_treatment", "p_true", "p0", "p1", "propensity", "patient_journey_id",
        "patient_id", "hcp_id", "journey_stage", "journey_status", "brand", "indication", "data_source",
    ]  # fmt: skip
    observed = wide.drop(forbidden).drop(pl.selectors.temporal())
    numeric = observed.with_columns(pl.selectors.boolean().cast(pl.Float64)).to_dummies(pl.selectors.string())
    matrix = numeric.select(pl.all().cast(pl.Float64).fill_null(strategy="mean")).to_numpy()
    return (matrix - matrix.mean(axis=0)) / np.maximum(matrix.std(axis=0), 1e-9)
