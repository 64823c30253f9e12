from datetime import timedelta

import polars as pl
import pytest

from e2i_assets.quality.config import DIMENSIONS
from e2i_assets.quality.dimensions import TableQuality, grade_table, overall, weighted_score
from e2i_assets_tests.unit.quality_frames import ATTRIBUTES, clean_tables, quality_config

JOURNEYS = "patient_journeys"


@pytest.fixture(scope="module")
def tables():
    return clean_tables(100)


def grade(tables, name, **changes):
    changed = {**tables, name: tables[name].with_columns(**changes)}
    return grade_table(name, changed, quality_config("causal_paths"), ATTRIBUTES if name == JOURNEYS else {})


def share(column, value, rows):
    return pl.when(pl.int_range(pl.len()) < rows).then(pl.lit(value)).otherwise(pl.col(column))


def test_clean_journeys_are_perfect(tables):
    assert grade(tables, JOURNEYS).scores == dict.fromkeys(DIMENSIONS, 1.0)


def wanted_cells(tables) -> int:
    """Of the 100 journeys: 25 contract columns (post-outcome and JSON are not wanted), 5 attributes, and whether
    therapy was stopped of those who had one."""
    on_therapy = pl.col("treatment_initiated") | (pl.col("prior_treatment_count") > 0)
    return 30 * 100 + tables[JOURNEYS].filter(on_therapy).height


def test_completeness_is_the_share_of_filled_cells_that_are_wanted(tables):
    clean = grade(tables, JOURNEYS)
    graded = grade(tables, JOURNEYS, insurance_type=share("insurance_type", None, 40))
    assert graded.scores["completeness"] == pytest.approx(1 - 40 / wanted_cells(tables))
    assert (graded.weaknesses[0].what, graded.weaknesses[0].count) == ("insurance_type", 40)
    assert clean.weaknesses == ()


def test_what_an_outcome_leaves_empty_costs_nothing(tables):
    assert tables[JOURNEYS]["days_to_treatment"].null_count() > 0
    assert grade(tables, JOURNEYS).scores["completeness"] == 1.0


def test_a_column_is_wanted_only_in_the_rows_that_can_fill_it(tables):
    assert tables["treatment_events"]["value"].null_count() > 100
    assert grade(tables, "treatment_events").scores["completeness"] == 1.0
    emptied = grade(tables, "treatment_events", value=pl.lit(None, dtype=pl.Float64))
    labs = (tables["treatment_events"]["event_type"] == "lab_test").sum()
    assert [(w.count, w.of) for w in emptied.weaknesses] == [(labs, labs)]


def test_a_missing_column_counts_as_empty(tables):
    changed = {**tables, JOURNEYS: tables[JOURNEYS].drop("insurance_type")}
    graded = grade_table(JOURNEYS, changed, quality_config("causal_paths"), ATTRIBUTES)
    assert graded.scores["completeness"] == pytest.approx(1 - 100 / wanted_cells(tables))


def test_validity_is_graded(tables):
    few = grade(tables, "triggers", priority=share("priority", "whenever", 10)).scores["validity"]
    more = grade(tables, "triggers", priority=share("priority", "whenever", 50)).scores["validity"]
    assert 1 > few > more > 0.9
    filled = sum(tables["triggers"][c].count() for c in tables["triggers"].columns)
    assert few == pytest.approx(1 - 10 / filled)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -1.0, 2.0])
def test_validity_sees_what_is_out_of_range_or_not_finite(tables, value):
    graded = grade(tables, "triggers", confidence_score=share("confidence_score", value, 10))
    assert [(w.dimension, w.what, w.count) for w in graded.weaknesses] == [
        ("validity", "confidence_score", 10)
    ]


def test_a_wrong_type_makes_every_cell_invalid(tables):
    graded = grade(tables, "triggers", lead_time_days=pl.col("lead_time_days").cast(pl.String))
    assert [(w.what, w.count) for w in graded.weaknesses if w.dimension == "validity"] == [
        ("lead_time_days", 100)
    ]


def test_consistency_counts_a_row_once(tables):
    orphans = share("patient_journey_id", "gone", 20)
    late = pl.col("trigger_date") - timedelta(days=1)
    graded = grade(tables, "triggers", patient_journey_id=orphans)
    assert graded.scores["consistency"] == pytest.approx(0.8)
    assert (
        grade(tables, "triggers", patient_journey_id=orphans, expiration_date=late).scores["consistency"] == 0
    )


def test_uniqueness_sees_duplicate_keys_and_copies_under_another_key(tables):
    keys = grade(tables, "triggers", trigger_id=share("trigger_id", "t0", 11))
    assert keys.scores["uniqueness"] == pytest.approx(0.9)
    copies = pl.concat(
        [tables["triggers"], tables["triggers"].head(25).with_columns(trigger_id="x" + pl.col("trigger_id"))]
    )
    changed = {**tables, "triggers": copies}
    graded = grade_table("triggers", changed, quality_config("causal_paths"))
    assert graded.scores["uniqueness"] == pytest.approx(1 - 25 / 125)


def test_a_row_that_arrived_twice_is_a_copy_though_its_arrival_differs(tables):
    again = (
        tables[JOURNEYS]
        .head(10)
        .with_columns(
            patient_journey_id="x" + pl.col("patient_journey_id"),
            ingestion_timestamp=pl.col("ingestion_timestamp") + timedelta(days=1),
        )
    )
    changed = {**tables, JOURNEYS: pl.concat([tables[JOURNEYS], again])}
    graded = grade_table(JOURNEYS, changed, quality_config("causal_paths"), ATTRIBUTES)
    assert graded.scores["uniqueness"] == pytest.approx(1 - 10 / 110)


def test_timeliness_comes_from_the_rows_own_times(tables):
    for days, expected in ((30, 1.0), (31, 0.0)):
        late = pl.col("source_timestamp") + timedelta(days=days)
        assert grade(tables, JOURNEYS, ingestion_timestamp=late).scores["timeliness"] == expected


@pytest.mark.parametrize(("zone", "expected"), [("America/New_York", 1.0), ("Asia/Tokyo", 1.0), (None, 0.0)])
def test_timeliness_is_on_one_clock_whatever_the_zones(tables, zone, expected):
    """Thirty days to the second, written in another zone; a time without a zone cannot be placed."""
    arrived = (pl.col("source_timestamp") + timedelta(days=30)).dt.convert_time_zone(zone or "UTC")
    if zone is None:
        arrived = arrived.dt.replace_time_zone(None)
    assert grade(tables, JOURNEYS, ingestion_timestamp=arrived).scores["timeliness"] == expected


def test_a_row_that_arrives_before_it_was_recorded_is_not_timely(tables):
    early = pl.col("source_timestamp") - timedelta(hours=5)
    assert grade(tables, JOURNEYS, ingestion_timestamp=early).scores["timeliness"] == 0


@pytest.mark.parametrize("time", ["source_timestamp", "ingestion_timestamp"])
def test_a_row_without_its_times_is_not_timely(tables, time):
    half = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col(time))
    assert grade(tables, JOURNEYS, **{time: half}).scores["timeliness"] == pytest.approx(0.5)


def test_one_row_cannot_be_shown_to_be_unique(tables):
    alone = grade_table(
        "triggers", {**tables, "triggers": tables["triggers"].head(1)}, quality_config("causal_paths")
    )
    assert alone.scores["uniqueness"] is None


def test_what_cannot_be_graded_is_none_and_left_out(tables):
    config = quality_config("causal_paths")
    hcps = grade_table("hcp_profiles", tables, config)
    assert hcps.scores["timeliness"] is None
    assert hcps.scores["consistency"] is None
    stale = TableQuality("a", 10, dict.fromkeys(DIMENSIONS, 0.5), ())
    mixed = TableQuality("b", 90, {**dict.fromkeys(DIMENSIONS, 1.0), "timeliness": None}, ())
    means = overall([stale, mixed])
    assert means["completeness"] == pytest.approx(0.95)
    assert means["timeliness"] == 0.5


def test_a_dimension_that_no_table_could_be_graded_on_adds_nothing():
    config = quality_config("causal_paths")
    assert weighted_score({**dict.fromkeys(DIMENSIONS, 1.0), "timeliness": None}, config) == pytest.approx(
        0.85
    )


def test_the_score_is_the_guides_formula():
    config = quality_config("causal_paths")
    grades = dict(zip(DIMENSIONS, (0.9, 0.8, 0.7, 0.6, 0.5), strict=True))
    assert weighted_score(grades, config) == pytest.approx(
        0.9 * 0.25 + 0.8 * 0.25 + 0.7 * 0.20 + 0.6 * 0.15 + 0.5 * 0.15
    )


def test_every_grade_of_an_empty_table_is_none(tables):
    changed = {**tables, "triggers": tables["triggers"].clear()}
    graded = grade_table("triggers", changed, quality_config("causal_paths"))
    assert graded.scores == dict.fromkeys(DIMENSIONS)
