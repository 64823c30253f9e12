"""The age of the newest record and the delay of the rows: two figures, the worse of which counts."""

import datetime as dt

import polars as pl
import pytest

from e2i_assets.automation.freshness import outdated
from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.ingest.synthetic import GeneratorSpec, generate
from e2i_assets.json_files import from_json, to_json
from e2i_assets.quality import QCReport, build_qc_report
from e2i_assets.quality.freshness import is_stale, newest_record, stale_tables
from e2i_assets_tests.unit.quality_frames import ATTRIBUTES, clean_tables, quality_config

JOURNEYS, EVENTS = "patient_journeys", "treatment_events"
CONFIG = quality_config("causal_paths")
NEWEST = dt.date(2024, 5, 7)


@pytest.fixture(scope="module")
def tables():
    return clean_tables(60)


def report(tables, config=CONFIG, stale=()):
    return build_qc_report(
        tables, attributes=ATTRIBUTES, raw_versions=dict.fromkeys(RAW_TABLES, "v"), config=config, stale=stale
    )


@pytest.mark.parametrize(
    ("age", "stale"), [(0, False), (30, False), (31, True), (500, True), (-1, False), (-2, True)]
)
def test_a_record_is_stale_after_thirty_days_and_no_record_is_from_the_future(age, stale):
    assert is_stale(NEWEST, NEWEST + dt.timedelta(age), 30) is stale


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_the_newest_record_is_of_a_day_in_utc_whatever_the_zone(tables, zone):
    shifted = tables[JOURNEYS].with_columns(pl.col("source_timestamp").dt.convert_time_zone(zone))
    assert newest_record(JOURNEYS, shifted) == newest_record(JOURNEYS, tables[JOURNEYS]) == NEWEST


def test_what_has_no_time_has_no_newest_record(tables):
    zoneless = tables[JOURNEYS].with_columns(pl.col("source_timestamp").dt.replace_time_zone(None))
    assert newest_record(JOURNEYS, zoneless) is None
    assert newest_record("triggers", tables["triggers"]) is None
    assert newest_record(EVENTS, tables[EVENTS].clear()) is None


def test_a_frozen_feed_costs_its_timeliness_though_every_row_arrived_at_once(tables):
    fresh, frozen = report(tables), report(tables, stale=[JOURNEYS, EVENTS])
    assert fresh.dimensions["timeliness"] == 1
    assert frozen.dimensions["timeliness"] == 0
    assert frozen.score == pytest.approx(fresh.score - 0.15)
    assert frozen.status == "warning"
    assert "newest record older than 30 days" in frozen.fix_first
    assert "refresh: none" in frozen.fix_first
    (half,) = {t.scores["timeliness"] for t in report(tables, stale=[EVENTS]).tables if t.table == EVENTS}
    assert half == 0


def test_both_figures_are_on_the_page_and_no_age_is(tables):
    late = pl.when(pl.int_range(pl.len()) < 15).then(pl.duration(days=40)).otherwise(pl.duration(days=1))
    slow = tables[JOURNEYS].with_columns(ingestion_timestamp=pl.col("source_timestamp") + late)
    judged = report({**tables, JOURNEYS: slow}, stale=[EVENTS])
    (fresh,) = [t.freshness for t in judged.tables if t.table == JOURNEYS]
    assert (fresh.newest, fresh.fresh_until) == (NEWEST, dt.date(2024, 6, 6))
    assert (fresh.stale, fresh.late) == (False, 15)
    for page in (judged.to_markdown(), judged.to_html()):
        assert "fresh until 2024-06-06" in page
        assert "stale after 2024-06-0" in page
        assert "45 of 60" in page
    assert from_json(QCReport, to_json(judged)) == judged


def test_the_verdict_alone_depends_on_the_day():
    newest = {JOURNEYS: NEWEST.isoformat(), EVENTS: "2024-05-20", "triggers": None}
    days = [NEWEST + dt.timedelta(n) for n in (13, 30, 31, 43, 44)]
    verdicts = [stale_tables(newest, day, CONFIG) for day in days]
    assert verdicts == [[], [], [JOURNEYS], [JOURNEYS], [JOURNEYS, EVENTS]]


def test_finished_data_are_not_judged_by_time_and_the_page_says_so(tables):
    finished = CONFIG.under("none", None)
    assert stale_tables({JOURNEYS: "1994-10-01"}, dt.date(2026, 1, 1), finished) == []
    late = tables[JOURNEYS].with_columns(
        ingestion_timestamp=pl.col("source_timestamp") + pl.duration(days=9000)
    )
    judged = report({**tables, JOURNEYS: late}, finished)
    assert judged.dimensions["timeliness"] is None
    assert judged.score > 0.99
    assert judged.status == "passed"
    assert judged.lowest_dimension != "timeliness"
    for page in (judged.to_markdown(), judged.to_html()):
        assert "refresh: none" in page
        assert "timeliness is not graded" in page


def test_a_partition_is_judged_again_when_its_verdict_changes():
    judged = {"same": [], "frozen": [], "mended": [EVENTS], "still stale": [EVENTS, JOURNEYS]}
    now = {"same": [], "frozen": [JOURNEYS], "mended": [], "still stale": [JOURNEYS, EVENTS]}
    assert outdated(judged, now) == ["frozen", "mended"]


def test_synthetic_data_end_on_the_day_that_is_asked_for():
    last = dt.date(2031, 3, 17)
    made = generate(GeneratorSpec(scale="small", patients=400, as_of=last)).tables
    for table in (JOURNEYS, EVENTS):
        assert newest_record(table, made[table]) > last - dt.timedelta(10)
    for table in (JOURNEYS, EVENTS):
        arrived = made[table]["ingestion_timestamp"].max()
        assert arrived <= dt.datetime(2031, 3, 17, 3, tzinfo=dt.UTC)
    again = generate(GeneratorSpec(scale="small", patients=400, as_of=last)).tables
    other = generate(GeneratorSpec(scale="small", patients=400, as_of=last + dt.timedelta(100))).tables
    assert all(made[t].equals(again[t]) for t in made)
    # Another day moves the dates and changes nobody.
    days = (other[JOURNEYS]["diagnosis_date"] - made[JOURNEYS]["diagnosis_date"]).dt.total_days()
    assert days.unique().to_list() == [100]
    same = [c for c in made[JOURNEYS].columns if not c.endswith(("_date", "_timestamp"))]
    assert made[JOURNEYS].select(same).equals(other[JOURNEYS].select(same))
