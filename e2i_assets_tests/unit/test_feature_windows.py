"""Declared windows of events, and that nothing from the index date on is in any feature."""

import datetime as dt
from functools import cache

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2i_assets.cohorts.event_windows import EventWindows, Statistic
from e2i_assets.contracts.patients import PatientJourneys
from e2i_assets.features import FeatureError, FeatureSet
from e2i_assets_tests.unit.feature_frames import (
    EVENTS,
    INDEX,
    build,
    column,
    event,
    events,
    frame_of,
    members,
)

EVERYTHING = EventWindows(windows=(30, 90, 180), statistics=tuple(Statistic))


VISITS = [
    event(1, "j1", 1, value=5.0, event_subtype="ldh"),
    event(2, "j1", 15, value=3.0, event_subtype="ldh"),
    event(3, "j1", 16, value=4.0, event_subtype="crp"),
    event(4, "j1", 31, value=1.0, event_subtype="ldh", cost=-10.0),
    event(5, "j1", 61, value=2.0, event_subtype="ldh"),
    event(6, "j1", 61, value=2.0, event_subtype="ldh"),
    event(7, "j2", 90, value=7.0, event_subtype="ldh"),
    event(8, "j2", 91, value=9.0, event_subtype=None, cost=None),
    event(9, "j3", 100, "consultation"),
]


@cache
def visited() -> FeatureSet:
    return build(event_frame=events(VISITS), event_windows=[EVERYTHING])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("n_lab_test_30d", [3, 0, 0, 0]),
        ("n_lab_test_90d", [5, 1, 0, 0]),
        ("n_lab_test_180d", [5, 2, 0, 0]),
        ("days_since_lab_test_30d", [1, None, None, None]),
        ("days_since_lab_test_90d", [1, 90, None, None]),
        ("days_since_first_lab_test_30d", [16, None, None, None]),
        ("days_since_first_lab_test_90d", [61, 90, None, None]),
        ("mean_gap_lab_test_30d", [7.5, None, None, None]),
        ("mean_gap_lab_test_90d", [20, None, None, None]),
        ("mean_gap_lab_test_180d", [20, 1, None, None]),
        ("longest_gap_lab_test_90d", [45, None, None, None]),
        ("trend_lab_test_30d", [1, 0, 0, 0]),
        ("trend_lab_test_90d", [1, -1, 0, 0]),
        ("kinds_lab_test_30d", [2, 0, 0, 0]),
        ("kinds_lab_test_180d", [2, None, 0, 0]),
        ("cost_lab_test_90d", [40, 10, 0, 0]),
        ("cost_lab_test_180d", [40, None, 0, 0]),
        ("lab_ldh_last_30d", [5, None, None, None]),
        ("lab_ldh_last_90d", [5, 7, None, None]),
        ("lab_ldh_mean_90d", [3, 7, None, None]),
        ("lab_ldh_trend_30d", [30 * 2 / 14, None, None, None]),
        ("lab_ldh_trend_90d", [30 * 120 / 2_907, None, None, None]),
        ("n_consultation_180d", [0, 0, 1, 0]),
    ],
)
def test_declared_windows_tell_what_they_say_and_no_more_than_is_known(name, expected):
    built = visited()
    assert column(built, name) == [None if v is None else pytest.approx(v) for v in expected]
    (feature,) = [f for f in built.features if f.name == name]
    assert feature.available_at == "index"
    assert feature.description


def test_declared_windows_add_to_what_is_told_by_default():
    plain, more = build(event_frame=events(VISITS)), visited()
    assert set(plain.frame) < set(more.frame)
    pd.testing.assert_frame_equal(more.frame[list(plain.frame)], plain.frame)


def test_who_was_observed_for_fewer_days_than_a_window_is_unknown_in_it_and_not_zero():
    starts = {"j1": 400, "j2": 90, "j3": 30, "j4": None}
    member_frame = members(
        first_observation_date=[
            None if starts[j] is None else INDEX - dt.timedelta(days=starts[j])
            for j in ("j3", "j1", "j4", "j2")
        ]
    )
    built = build(member_frame, events(VISITS), event_windows=[EVERYTHING])
    assert column(built, "n_lab_test_30d") == [3, 0, 0, 0]
    assert column(built, "n_lab_test_90d") == [5, 1, None, 0]
    assert column(built, "n_lab_test_180d") == [5, None, None, 0]
    assert column(built, "trend_lab_test_90d") == [1, -1, None, 0]
    assert column(built, "days_since_first_lab_test_180d") == [61, None, None, None]
    # What came last was seen, whatever was before.
    assert column(built, "days_since_lab_test_180d") == [1, 90, None, None]
    assert column(built, "lab_ldh_last_180d") == [5, 7, None, None]


def test_what_a_window_tells_of_few_patients_is_no_feature_and_its_count_is():
    ids = [f"p{i}" for i in range(400)]
    frame = frame_of(PatientJourneys, patient_journey_id=ids, patient_id=ids, diagnosis_date=[INDEX] * 400)
    frame = frame.with_columns(uas7=pl.int_range(400) % 9)
    gap = EventWindows(
        event_types=("consultation",), windows=(30,), statistics=("count", "recency", "mean_gap")
    )
    happened = [event(i, f"p{i}", 3, "consultation") for i in range(9)]
    happened += [event(100 + i, f"p{i}", 9, "consultation") for i in range(7)]
    built = build(frame, events(happened), minimum_cell_count=5, event_windows=[gap])
    assert {"n_consultation_30d", "days_since_consultation_30d"} <= set(built.frame)
    assert built.dropped["mean_gap_consultation_30d"] == "known of fewer than 8 patients"


def test_a_window_beyond_the_lookback_is_refused():
    with pytest.raises(FeatureError, match="event_windows: 180 days are longer than the lookback of 100"):
        build(lookback_days=100, event_windows=[EVERYTHING])


LATER = st.builds(
    lambda journey, after, kind, test, value, flag: event(
        0, journey, -after, kind, event_subtype=test, value=value, adverse_event_flag=flag, cost=value
    ),
    st.sampled_from(["j1", "j2", "j3", "j4"]),
    st.integers(0, 400),
    st.sampled_from(["lab_test", "prescription", "hospitalization"]),
    st.sampled_from(["ldh", "new_test", None]),
    st.none() | st.floats(0, 1e6),
    st.none() | st.booleans(),
)


STAGES = st.sampled_from([None, "diagnosis", "maintenance"])


SOME_WINDOWS = EventWindows(
    event_types=("lab_test", "hospitalization"), windows=(90,), statistics=tuple(Statistic)
)


@cache
def known_before() -> FeatureSet:
    return build(event_windows=[SOME_WINDOWS])


@given(
    later=st.lists(LATER, max_size=6),
    days=st.lists(st.none() | st.integers(0, 90), min_size=4, max_size=4),
    stages=st.lists(STAGES, min_size=4, max_size=4),
    started=st.lists(st.none() | st.booleans(), min_size=4, max_size=4),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_nothing_from_the_index_date_on_changes_the_features(later, days, stages, started):
    numbered = [{**row, "treatment_event_id": f"x{i}"} for i, row in enumerate(later)]
    before = [row for row in EVENTS if row["event_date"] < INDEX]
    changed = build(
        members(days_to_treatment=days, journey_stage=stages, treatment_initiated=started),
        events(before + numbered),
        event_windows=[SOME_WINDOWS],
    )
    expected = known_before()
    pd.testing.assert_frame_equal(changed.frame, expected.frame)
    assert changed.features == expected.features
