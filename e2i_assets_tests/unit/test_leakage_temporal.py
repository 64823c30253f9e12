"""Leakage: what is known only after the index date."""

import pandas as pd
import pytest

from e2i_assets_tests.unit.leakage_frames import N, audit, frame, known, leaks


@pytest.fixture(scope="module")
def clean():
    return frame()


def test_a_value_known_from_a_date_on(clean):
    contract = {"age": known("feature", "recorded"), "severity": known()}
    before = clean.assign(recorded=clean["index_date"] - pd.Timedelta(days=1))
    assert leaks(before, contract=contract) == set()
    after = clean.assign(recorded=clean["index_date"] + pd.Timedelta(days=1))
    assert leaks(after, contract=contract) == {("temporal", "age"), ("temporal", "recorded")}
    assert leaks(clean, contract=contract) == {("temporal", "age")}


@pytest.mark.parametrize(
    "form",
    [
        lambda d: d,
        lambda d: d.dt.tz_localize("UTC"),
        lambda d: d.dt.tz_localize("America/New_York"),
        lambda d: d.dt.strftime("%Y-%m-%d"),
        lambda d: d.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        lambda d: d.dt.strftime("%m/%d/%Y"),
        lambda d: d.dt.date,
        lambda d: d.dt.strftime("%d.%m.%Y"),
        lambda d: d.dt.strftime("%d %B %Y"),
        lambda d: d.dt.strftime("%b %d, %Y"),
        lambda d: d.dt.strftime("%Y%m%d"),
        lambda d: d.dt.strftime("%Y%m%d").astype(int),
        lambda d: d.dt.strftime("%Y/%m/%d %H:%M"),
        lambda d: d.dt.strftime("%Y-%m-%dT12:30:00-05:00"),
        lambda d: (d - pd.Timestamp(0)).dt.total_seconds().astype(int),
        lambda d: d.dt.strftime("%d-%b-%y").str.upper(),
        lambda d: d.dt.strftime("%d.%m.%y"),
        lambda d: d.dt.strftime("%Y%m%d%H%M%S"),
        lambda d: (d - pd.Timestamp(0)).dt.total_seconds().astype(int).astype(str),
        lambda d: "called on " + d.dt.strftime("%Y-%m-%d") + ", no answer",
        lambda d: "['2019-01-01', '" + d.dt.strftime("%Y-%m-%d") + "']",
    ],
    ids=[
        "timestamp",
        "UTC",
        "New York",
        "ISO",
        "ISO Z",
        "US",
        "date objects",
        "German",
        "in words",
        "US words",
        "compact",
        "compact number",
        "slashes",
        "ISO offset",
        "epoch",
        "Oracle",
        "German, short",
        "compact with time",
        "epoch as text",
        "in a note",
        "in a list",
    ],
)
def test_dates_after_the_index_date_are_found_in_any_form(clean, form):
    same_day = form(clean["index_date"])
    report = audit(clean.assign(seen=same_day))
    assert report.findings == ()
    assert report.examined["temporal"] == 1
    one_late = clean["index_date"].where(clean.index != 5, clean["index_date"] + pd.Timedelta(days=2))
    (finding,) = audit(clean.assign(seen=form(one_late))).findings
    assert (finding.kind, finding.column) == ("temporal", "seen")
    assert finding.statistic == pytest.approx(1 / N)


@pytest.mark.parametrize(
    "form",
    [
        lambda d: d.dt.strftime("%b %Y"),
        lambda d: d.dt.strftime("%m/%Y"),
        lambda d: d.dt.strftime("%Y-%m"),
        lambda d: d.dt.strftime("%G-W%V"),
        lambda d: d.dt.strftime("%G-W%V-%u"),
        lambda d: d.dt.year,
        lambda d: (d - pd.Timestamp(0)).dt.total_seconds().astype(int) * 1000,
    ],
    ids=["month in words", "month", "ISO month", "ISO week", "ISO weekday", "year", "milliseconds"],
)
def test_months_years_and_long_numbers_are_dates(clean, form):
    table = clean.assign(last_year=form(clean["index_date"] - pd.Timedelta(days=400)))
    assert leaks(table) == set()
    assert audit(table).examined["temporal"] == 1
    later = clean.assign(last_year=form(clean["index_date"] + pd.Timedelta(days=400)))
    assert leaks(later) == {("temporal", "last_year")}


def test_days_of_a_spreadsheet_are_dates_where_the_name_says_so(clean):
    serial = (clean["index_date"] - pd.Timestamp("1899-12-30")).dt.days
    assert audit(clean.assign(visit_date=serial)).examined["temporal"] == 1
    assert leaks(clean.assign(visit_date=serial + 30)) == {("temporal", "visit_date")}
    assert audit(clean.assign(charge=serial + 30)).examined["temporal"] == 0


def test_later_on_the_index_day_is_not_after_it(clean):
    assert leaks(clean.assign(seen=clean["index_date"] + pd.Timedelta(hours=9))) == set()


@pytest.mark.parametrize("form", [str, lambda d: d, pd.Timestamp.isoformat], ids=["text", "typed", "ISO"])
def test_zones_are_compared_as_instants(clean, form):
    """23:30 in New York is on the next day in UTC, and 05:00 in Tokyo on the day before."""
    index = pd.Series(pd.Timestamp("2023-05-01T22:00", tz="UTC"), index=clean.index)
    late = pd.Timestamp("2023-05-01T19:00", tz="America/New_York")
    early = pd.Timestamp("2023-05-02T05:00", tz="Asia/Tokyo")
    table = clean.assign(index_date=index)
    assert leaks(table.assign(seen=[form(early)] * N)) == set()
    assert leaks(table.assign(seen=[form(late)] * N)) == {("temporal", "seen")}


def test_a_date_that_cannot_be_read_is_not_taken_for_an_early_one(clean):
    seen = clean["index_date"].dt.strftime("%Y-%m-%d").where(clean.index > 0, "2023-02-31")
    (finding,) = audit(clean.assign(seen=seen)).findings
    assert (finding.kind, finding.column) == ("temporal", "seen")
    assert "cannot be read" in finding.evidence
    assert leaks(clean.assign(seen=seen.where(clean.index > 0, "unknown"))) == set()


def test_a_value_known_from_nobody_knows_when_is_not_known_in_time(clean):
    contract = {"age": known("feature", "recorded"), "severity": known()}
    recorded = (clean["index_date"] - pd.Timedelta(days=1)).where(clean.index > 3)
    assert leaks(clean.assign(recorded=recorded), contract=contract) == {("temporal", "age")}
    assert leaks(clean.assign(recorded=pd.NaT), contract=contract) == {("temporal", "age")}


def test_a_value_known_from_a_date_on_in_short_form(clean):
    recorded = clean.assign(recorded=clean["index_date"] - pd.Timedelta(days=1))
    assert leaks(recorded, contract={"age": "recorded", "severity": "index"}) == set()
    late = clean.assign(recorded=clean["index_date"] + pd.Timedelta(days=1))
    assert ("temporal", "age") in leaks(late, contract={"age": "recorded", "severity": "index"})


def test_where_one_side_tells_no_zone_hours_that_may_be_later_are(clean):
    index = pd.Series(pd.Timestamp("2023-05-01T12:00", tz="UTC"), index=clean.index)
    table = clean.assign(index_date=index)
    assert leaks(table.assign(seen=pd.Timestamp("2023-05-01T01:00"))) == {("temporal", "seen")}
    assert leaks(table.assign(seen=pd.Timestamp("2023-04-30T20:00"))) == set()
