"""The synthetic tables: contracts, sizes, and agreement of the tables with each other."""

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from e2i_assets.contracts.base import columns, facts_of, key_of
from e2i_assets.contracts.tables import RAW_TABLES, TABLES
from e2i_assets.ingest.synthetic import PARTITIONS, GeneratorSpec, PartitionKey, SyntheticData, generate
from e2i_assets.ingest.synthetic.outcome import PROCESSES
from e2i_assets.ingest.synthetic.profiles import PROFILES
from e2i_assets.ingest.synthetic.spec import Dgp
from e2i_assets.ingest.synthetic.truth import FOLLOWUP

SMALL = GeneratorSpec(scale="small")


@pytest.fixture(scope="module", params=PROCESSES)
def full(request: pytest.FixtureRequest) -> SyntheticData:
    return generate(GeneratorSpec(dgp=request.param))


@pytest.fixture(scope="module")
def small() -> SyntheticData:
    return generate(SMALL)


def fingerprint(data: SyntheticData) -> str:
    digest = hashlib.sha256(json.dumps(data.truth, sort_keys=True).encode())
    for frame in (*data.tables.values(), data.oracle):
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        digest.update(buffer.getvalue())
    return digest.hexdigest()


@pytest.mark.parametrize("name", TABLES)
def test_tables_fit_their_contracts(full: SyntheticData, name: str):
    frame, table = full.tables[name], TABLES[name]
    table.validate(frame)
    assert list(frame.schema.items()) == [(c.name, c.dtype) for c in columns(table)]
    assert frame[key_of(table)].is_sorted()
    for rule, condition in facts_of(table).checks.items():
        assert frame.filter(~pl.sql_expr(condition)).is_empty(), rule


@pytest.mark.parametrize("name", TABLES)
def test_references_lead_somewhere(full: SyntheticData, name: str):
    for c in columns(TABLES[name]):
        if c.references:
            parent, key = c.references.split(".")
            assert full.tables[name][c.name].is_in(full.tables[parent][key].implode()).all(), c.name


def test_sizes(full: SyntheticData, small: SyntheticData):
    assert full.tables["hcp_profiles"].height == 5_000
    assert full.tables["patient_journeys"].height == 25_000
    # Fewer prescriptions where initiation is known of two patients in three.
    events = 69_500 if full.truth["dgp"] == "selection_bias" else 75_000
    assert full.tables["treatment_events"].height == pytest.approx(events, rel=0.03)
    assert full.tables["ml_predictions"].height == 20_000
    assert full.tables["triggers"].height == 12_000
    assert full.tables["business_metrics"].height == 30 * 3 * 4 * 5
    for name in RAW_TABLES:
        if full.truth["dgp"] == small.truth["dgp"]:
            assert small.tables[name].height == pytest.approx(full.tables[name].height / 10, rel=0.04), name
    per_partition = full.tables["patient_journeys"].group_by("brand", "indication").len()
    assert set(per_partition.iter_rows()) == {(p.brand, p.indication, 6_250) for p in PARTITIONS}
    assert full.tables["patient_journeys"]["patient_id"].is_unique().all()


def test_another_number_of_patients_scales_what_follows_patients():
    tables = generate(GeneratorSpec(patients=1_000)).tables
    heights = {name: frame.height for name, frame in tables.items()}
    assert heights["patient_journeys"] == 1_000
    assert heights["hcp_profiles"] == 200
    assert heights["treatment_events"] == pytest.approx(3_000, rel=0.1)
    assert heights["ml_predictions"] == 800
    assert heights["triggers"] == 480
    assert heights["business_metrics"] == 30 * 3 * 4 * 5
    assert generate(GeneratorSpec(patients=400)).tables["patient_journeys"].height == 400


def test_equal_specs_give_equal_bytes(small: SyntheticData):
    assert fingerprint(generate(SMALL)) == fingerprint(small)
    assert fingerprint(generate(GeneratorSpec(scale="small", seed=43))) != fingerprint(small)


def test_another_process_gives_the_same_bytes(small: SyntheticData):
    code = (
        "from e2i_assets_tests.unit.test_synthetic import SMALL, fingerprint, generate;"
        "print(fingerprint(generate(SMALL)))"
    )
    env = os.environ | {"PYTHONHASHSEED": "7", "POLARS_MAX_THREADS": "1"}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == fingerprint(small)


def test_a_partition_does_not_depend_on_the_others(small: SyntheticData):
    alone = generate(GeneratorSpec(scale="small", partitions=PARTITIONS[1:2])).tables["patient_journeys"]
    among = small.tables["patient_journeys"].filter(brand="Fabhalta", indication="pnh")
    ids = ["patient_journey_id", "patient_id", "hcp_id"]
    assert_frame_equal(alone.drop(ids), among.drop(ids))


def test_bad_specs_say_what_is_possible():
    with pytest.raises(
        ValueError, match="unknown dgp 'linear'; choose one of: simple_linear, confounded, het"
    ):
        GeneratorSpec(dgp="linear")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown scale 'huge'; choose one of: full, small"):
        GeneratorSpec(scale="huge")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seed must be 0 or more"):
        GeneratorSpec(seed=-1)
    with pytest.raises(ValueError, match="each named once"):
        GeneratorSpec(partitions=(PARTITIONS[0], PARTITIONS[0]))
    with pytest.raises(ValueError, match="each named once"):
        GeneratorSpec(partitions=())
    with pytest.raises(ValueError, match="patients must be 400 or more, not 399"):
        GeneratorSpec(patients=399)
    with pytest.raises(ValueError, match=r"dirty must be a share from 0 to 0\.5, not 2"):
        GeneratorSpec(dirty=2)
    with pytest.raises(
        ValueError, match="no synthetic patients for partition 'aspirin_headache'; known: rem"
    ):
        generate(GeneratorSpec(partitions=(PartitionKey("Aspirin", "headache"),)))


def test_every_process_and_partition_on_offer_is_defined():
    assert set(get_args(Dgp)) == set(PROCESSES)
    assert {p.stem for p in PARTITIONS} == set(PROFILES)
    assert [p.stem for p in PARTITIONS] == [
        "remibrutinib_csu", "fabhalta_pnh", "fabhalta_c3g", "kisqali_hr_her2_bc",
    ]  # fmt: skip


def test_dates_of_a_journey_are_in_order(full: SyntheticData):
    journeys = full.tables["patient_journeys"]
    assert journeys["diagnosis_date"].min() == pl.Series(["2023-01-01"]).str.to_date()[0]
    assert journeys["diagnosis_date"].max() == pl.Series(["2025-06-30"]).str.to_date()[0]
    recorded = pl.col("source_timestamp").dt.date() > pl.col("last_observation_date")
    assert journeys.select(recorded.all()).item()
    for name in ("patient_journeys", "treatment_events"):
        lag = full.tables[name].select(pl.col("ingestion_timestamp") - pl.col("source_timestamp")).to_series()
        assert pl.Series([lag.min(), lag.max()]).dt.total_hours().to_list() == [3, 240]


def test_what_follows_the_outcome_gives_it_away(full: SyntheticData):
    journeys = full.tables["patient_journeys"]
    initiated = pl.col("treatment_initiated").fill_null(value=False)
    days = pl.col("days_to_treatment")
    follow_up = (pl.col("last_observation_date") - pl.col("diagnosis_date")).dt.total_days()
    assert journeys.select((initiated == days.is_not_null()).all()).item()
    assert journeys.filter(initiated).select((days.is_between(7, 89) & (days <= follow_up)).all()).item()
    unknown = [pl.col(name).is_null() for name in ("treatment_initiated", "journey_stage", "journey_status")]
    assert journeys.select((unknown[0] == unknown[1]).all() & (unknown[0] == unknown[2]).all()).item()
    staged = journeys.drop_nulls("journey_stage")
    rate = staged.group_by("journey_stage").agg(initiated.mean())["treatment_initiated"]
    assert rate.max() > 0.6
    assert rate.min() < 0.1


def test_initiation_is_a_prescription_of_the_brand(full: SyntheticData):
    journeys = full.tables["patient_journeys"].select(
        "patient_journey_id", "treatment_initiated", "days_to_treatment", "diagnosis_date",
        partition_brand="brand",
    )  # fmt: skip
    scripts = full.tables["treatment_events"].filter(event_type="prescription")
    first = scripts.group_by("patient_journey_id").agg(
        pl.col("event_date").min(), pl.col("brand").unique().first(), brands=pl.col("brand").n_unique()
    )
    both = journeys.join(first, on="patient_journey_id", how="left")
    known = pl.col("treatment_initiated").fill_null(value=False)
    assert both.select((pl.col("brands").is_not_null() == known).all()).item()
    started = both.filter("treatment_initiated")
    day = pl.col("diagnosis_date") + pl.duration(days="days_to_treatment")
    assert started.select(((pl.col("event_date") == day) & (pl.col("brands") == 1)).all()).item()
    assert started.select((pl.col("brand") == pl.col("partition_brand")).all()).item()


def test_events_lie_within_the_observation(full: SyntheticData):
    journeys = full.tables["patient_journeys"]
    events = full.tables["treatment_events"].join(
        journeys.select(
            "patient_journey_id", "diagnosis_date", "first_observation_date", "last_observation_date",
            "disease_severity", "brand", journey_patient="patient_id", journey_hcp="hcp_id",
        ), on="patient_journey_id",
    )  # fmt: skip
    day = pl.col("event_date")
    assert events.select(
        day.is_between("first_observation_date", "last_observation_date").all(),
    ).item()
    assert events.select((pl.col("source_timestamp").dt.date() > day).all()).item()
    same = (pl.col("patient_id") == pl.col("journey_patient")) & (pl.col("hcp_id") == pl.col("journey_hcp"))
    assert events.select(same.all()).item()
    before = events.filter(day < pl.col("diagnosis_date"))
    assert before.select((pl.col("diagnosis_date") - day).dt.total_days().max()).item() == 365
    assert set(before["event_type"]) == {
        "consultation", "lab_test", "procedure", "hospitalization", "diagnosis",
    }  # fmt: skip
    per_brand = before.group_by("brand_right", "event_subtype").agg(pl.corr("value", "disease_severity"))
    assert per_brand.drop_nulls().filter(pl.col("value").is_not_nan())["value"].min() > 0.4
    assert before.select(pl.col("value").is_not_null().eq(pl.col("event_type") == "lab_test").all()).item()


def test_events_before_the_index_date_grow_with_severity(full: SyntheticData):
    journeys = full.tables["patient_journeys"]
    events = full.tables["treatment_events"].join(
        journeys.select("patient_journey_id", "diagnosis_date"), on="patient_journey_id"
    )
    counts = (
        events.filter(pl.col("event_date") < pl.col("diagnosis_date")).group_by("patient_journey_id").len()
    )
    both = journeys.join(counts, on="patient_journey_id", how="left").with_columns(pl.col("len").fill_null(0))
    assert both.drop_nulls("disease_severity").select(pl.corr("len", "disease_severity")).item() > 0.2


def test_patients_are_with_hcps_of_their_region_kind_and_brand(full: SyntheticData):
    hcps = full.tables["hcp_profiles"].select(
        "hcp_id", "practice_type", "specialty", hcp_region="geographic_region"
    )
    both = full.tables["patient_journeys"].join(hcps, on="hcp_id")
    academic = (pl.col("practice_type") == "academic") == pl.col("academic_hcp")
    assert both.drop_nulls("academic_hcp").select(academic.all()).item()
    region = pl.col("hcp_region") == pl.col("geographic_region")
    assert both.drop_nulls("geographic_region").select(region.all()).item()
    for partition in PARTITIONS:
        mine = both.filter(brand=partition.brand, indication=partition.indication)
        assert set(mine["specialty"].drop_nulls()) == set(PROFILES[partition.stem].specialties)
    assert both.group_by("hcp_id").agg(pl.col("brand").n_unique())["brand"].max() == 1


def test_activity_happens_under_observation(full: SyntheticData):
    window = full.tables["patient_journeys"].select(
        "patient_journey_id", "diagnosis_date", "first_observation_date", "last_observation_date",
        owner="patient_id", treated_by="hcp_id",
    )  # fmt: skip
    predictions = full.tables["ml_predictions"].with_columns(day=pl.col("prediction_timestamp").dt.date())
    triggers = full.tables["triggers"].with_columns(day="trigger_date")
    for activity in (predictions, triggers):
        dated = activity.join(window, on="patient_journey_id")
        same = (pl.col("patient_id") == pl.col("owner")) & (pl.col("hcp_id") == pl.col("treated_by"))
        assert dated.select(same.all()).item()
        within = pl.col("day").is_between("first_observation_date", "last_observation_date")
        assert dated.select(within.all()).item()
        assert 0.3 < dated.select((pl.col("day") < pl.col("diagnosis_date")).mean()).item() < 0.7


def test_triggers_fit_the_brand_and_end_after_they_begin(full: SyntheticData):
    journeys = full.tables["patient_journeys"].select(
        "patient_journey_id", "treatment_initiated", "diagnosis_date", "days_to_treatment"
    )
    dated = full.tables["triggers"].join(journeys, on="patient_journey_id")
    started = pl.col("diagnosis_date") + pl.duration(days="days_to_treatment")
    on_brand = (pl.col("trigger_date") >= started).fill_null(value=False)
    retaining = pl.col("trigger_type").is_in(["adherence_risk", "churn_prevention", "treatment_switch"])
    assert dated.filter(retaining).select(on_brand.all()).item()
    assert dated.select((pl.col("expiration_date") > pl.col("trigger_date")).all()).item()
    accepted = dated.filter(acceptance_status="accepted")
    assert accepted.select(pl.col("delivery_status").is_in(["delivered", "viewed"]).all()).item()


def test_business_metrics_are_those_of_the_journeys(full: SyntheticData):
    metrics = full.tables["business_metrics"]
    assert not metrics.select("metric_date", "metric_name", "brand", "region").is_duplicated().any()
    nrx = metrics.filter(metric_name="nrx")["value"].sum()
    assert nrx == 40 * full.tables["patient_journeys"]["treatment_initiated"].sum()
    assert metrics.filter(metric_name="nrx")["sample_size"].sum() == 25_000


def test_few_values_are_missing(full: SyntheticData):
    # Those are empty by rule; `test_synthetic_followup` says where.
    journeys = full.tables["patient_journeys"].drop("days_to_treatment", *FOLLOWUP)
    if full.truth["dgp"] == "selection_bias":
        journeys = journeys.drop("treatment_initiated", "journey_stage", "journey_status")
    missing = journeys.null_count().row(0)
    assert 0 < sum(missing) / (len(missing) * journeys.height) < 0.02
    assert max(missing) / journeys.height < 0.035
    for name in ("hcp_profiles", "ml_predictions", "triggers", "business_metrics", "causal_paths"):
        frame = full.tables[name]
        assert sum(frame.null_count().row(0)) / (frame.width * frame.height) < 0.05, name
