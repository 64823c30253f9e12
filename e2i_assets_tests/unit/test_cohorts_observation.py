"""Observation windows: dates in every form, ends of observation, and definitions without any window."""

import datetime as dt
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from e2i_assets.cohorts import (
    CohortConfig,
    CohortConstructor,
    CohortError,
    Criterion,
    Operator,
)
from e2i_assets.cohorts.flow import flow_picture
from e2i_assets.gates.cohort import COHORT_SIZE, TEMPORAL_WINDOWS, CohortBuilt
from e2i_assets.settings import Settings
from e2i_assets_tests.unit.cohort_frames import RULES, config, journeys

GUIDE = {
    "cohort_name": "Remibrutinib CSU Adult Patients", "brand": "remibrutinib", "indication": "csu",
    "inclusion_criteria": [
        Criterion(field="age_at_diagnosis", operator=Operator.GREATER_EQUAL, value=18),
        Criterion(field="diagnosis_code", operator=Operator.IN, value=["L50.1", "L50.8", "L50.9"]),
        Criterion(field="urticaria_severity_uas7", operator=Operator.GREATER_EQUAL, value=16),
    ],
    "exclusion_criteria": [Criterion(field="active_autoimmune", operator=Operator.EQUAL, value=True)],
}  # fmt: skip
PLAIN = pd.DataFrame(
    {
        "age_at_diagnosis": [20, 17, 40, 30],
        "diagnosis_code": ["L50.1", "L50.8", "L50.9", "L50.9"],
        "urticaria_severity_uas7": [20, 30, 16, 40],
        "active_autoimmune": [False, False, None, True],
        "diagnosis_date": ["2024-01-31", "2024-02-29", "2024-05-05 00:00:00", None],
    }
)


def test_a_plain_frame_without_observation_says_how_to_go_on():
    asked = CohortConstructor(CohortConfig(**GUIDE))
    with pytest.raises(CohortError) as answer:
        asked.construct_cohort(PLAIN)
    assert answer.value.code == "CC_002"
    assert "first_observation_date and last_observation_date" in str(answer.value)
    assert "temporal_requirements: null (None in Python)" in str(answer.value)
    with pytest.raises(CohortError) as answer:
        asked.construct_cohort(PLAIN.drop(columns="diagnosis_code"))
    assert "diagnosis_code, first_observation_date" in str(answer.value)


def test_no_window_is_asked_for_where_there_are_none(tmp_path):
    without = CohortConfig(**GUIDE, temporal_requirements=None)
    assert CohortConfig(**without.model_dump(mode="json")) == without
    bare = PLAIN.drop(columns="diagnosis_date")
    eligible, result = CohortConstructor(without).construct_cohort(bare)
    assert list(eligible.index) == [0, 2]
    assert [entry.criterion_type for entry in result.eligibility_log].count("temporal") == 0
    assert flow_picture(result).startswith(b"\x89PNG")
    members = pl.from_pandas(eligible).with_columns(patient_journey_id=pl.Series(["a", "b"]))
    verdict = TEMPORAL_WINDOWS.verdict(CohortBuilt(members, result, None, 1))
    assert (verdict.passed, verdict.reason) == (True, "not_asked_for")
    assert "temporal_requirements: null" in verdict.message
    assert not TEMPORAL_WINDOWS.verdict(CohortBuilt(members.head(0), result, None, 1)).passed


@pytest.mark.parametrize("kind", ["frame", "path"])
def test_without_criterion_and_window_everybody_is_a_member(kind, tmp_path):
    frame = pl.DataFrame({"patient_journey_id": ["a", "b"]})
    frame.write_parquet(tmp_path / "j.parquet")
    given = frame if kind == "frame" else tmp_path / "j.parquet"
    members, result = CohortConstructor(config(temporal_requirements=None)).construct_cohort(given)
    assert members.height == result.eligible_count == 2
    assert [entry.label for entry in result.eligibility_log] == ["Every journey"]


def test_criteria_on_events_need_an_index_date():
    event = {
        "name": "seen",
        "where": [{"field": "a", "operator": "==", "value": 1}],
        "within_days": [None, None],
    }
    with pytest.raises(ValueError, match="criteria seen count days from the index date"):
        CohortConfig(**GUIDE | {"exclusion_criteria": [event]}, temporal_requirements=None)


TEXTS = {
    "first_observation_date": ["2022-01-31", "2023-02-28", "2020-02-29T23:59", "2020-01-01"],
    "last_observation_date": ["2024-12-31"] * 4,
}


@pytest.mark.parametrize("kind", ["pandas", "polars", "parquet"])
def test_dates_written_as_iso_text_are_dates(kind, tmp_path):
    texts = PLAIN.assign(**TEXTS)
    dates = texts.assign(
        **{c: pd.to_datetime(texts[c], format="ISO8601") for c in [*TEXTS, "diagnosis_date"]}
    )
    expected = CohortConstructor(CohortConfig(**GUIDE)).construct_cohort(dates)[1]
    assert expected.eligible_count == 2

    def given(frame):
        if kind == "pandas":
            return frame
        pl.from_pandas(frame).write_parquet(tmp_path / "j.parquet")
        return pl.from_pandas(frame) if kind == "polars" else tmp_path / "j.parquet"

    members, result = CohortConstructor(CohortConfig(**GUIDE)).construct_cohort(given(texts))
    assert result == expected
    assert list(members["diagnosis_date"]) == ["2024-01-31", "2024-05-05 00:00:00"]  # as they were given
    for wrong in ("2024-02-30", "01/02/2024", "2024-5-1", "2024-05-01T10:00Z", "2024-05-01 24:00", ""):
        spoilt = texts.assign(last_observation_date=["2024-12-31", wrong, wrong, None])
        with pytest.raises(
            CohortError, match=r"CC_005: .*last_observation_date holds text, and 2 of its rows"
        ):
            CohortConstructor(CohortConfig(**GUIDE)).construct_cohort(given(spoilt))


def test_events_are_dated_by_iso_text_as_well():
    event = {
        "name": "seen",
        "where": [{"field": "kind", "operator": "==", "value": "visit"}],
        "within_days": [-30, -1],
    }
    asked = CohortConstructor(CohortConfig(**GUIDE | {"exclusion_criteria": [event]}))
    frame = PLAIN.assign(**TEXTS, patient_journey_id=["a", "b", "c", "d"])
    events = pd.DataFrame({"patient_journey_id": ["a"], "event_date": ["2024-01-30"], "kind": ["visit"]})
    assert list(asked.construct_cohort(frame, events)[0]["patient_journey_id"]) == ["c"]
    with pytest.raises(CohortError, match="event_date holds text, and 1 of its rows no ISO date"):
        asked.construct_cohort(frame, events.assign(event_date="30.01.2024"))


def open_ended(**columns: list[object]) -> pl.DataFrame:
    """Index dates in May 2024, observed for years on paper, recorded on 1 June."""
    index = [dt.date(2024, 5, 1) + dt.timedelta(days) for days in range(10)]
    return pl.DataFrame(
        {
            "patient_journey_id": [f"j{i}" for i in range(10)],
            "diagnosis_date": index,
            "first_observation_date": [dt.date(2022, 1, 1)] * 10,
            "last_observation_date": [dt.date(9999, 12, 31)] * 10,
            "source_timestamp": [dt.datetime(2024, 6, 1, tzinfo=dt.UTC)] * 10,
            **columns,
        }
    )


def members_of(frame: Any, followup: int, **named: str) -> int:
    config = CohortConfig.model_validate({
        "cohort_name": "c", "brand": "b", "indication": "i", "inclusion_criteria": [],
        "temporal_requirements": {"lookback_days": 90, "followup_days": followup}, **named,
    })  # fmt: skip
    members, _ = CohortConstructor(config).construct_cohort(frame)
    return len(members)


@pytest.mark.parametrize(("followup", "expected"), [(90, 0), (30, 3), (27, 6), (0, 10)])
@pytest.mark.parametrize("kind", ["polars", "pandas", "text", "parquet", "other zone", "date"])
def test_nobody_is_observed_after_the_day_of_the_record(
    tmp_path: Path, kind: str, followup: int, expected: int
) -> None:
    """1 June and the day after, which a clock east of UTC may call the same: 31 days after 2 May."""
    frame: Any = open_ended()
    if kind == "pandas":
        frame = frame.to_pandas()
    elif kind == "text":
        frame = frame.with_columns(pl.col("source_timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    elif kind == "date":
        frame = frame.with_columns(pl.col("source_timestamp").dt.date())
    elif kind == "other zone":
        frame = frame.with_columns(pl.col("source_timestamp").dt.convert_time_zone("Asia/Tokyo"))
    elif kind == "parquet":
        frame.write_parquet(tmp_path / "journeys.parquet")
        frame = tmp_path / "journeys.parquet"
    assert members_of(frame, followup) == expected


def test_a_record_without_its_time_limits_nothing() -> None:
    unknown = open_ended(source_timestamp=[None] * 10, last_observation_date=[dt.date(2025, 1, 1)] * 10)
    assert members_of(unknown, 90) == 10
    assert members_of(unknown.drop("source_timestamp"), 90) == 10


@pytest.mark.parametrize(("followup", "expected"), [(90, 0), (30, 2), (0, 10)])
def test_nobody_is_observed_after_today_where_no_record_is_dated(
    monkeypatch: pytest.MonkeyPatch, followup: int, expected: int
) -> None:
    monkeypatch.setattr("e2i_assets.settings.settings", lambda: Settings(as_of=dt.date(2024, 6, 1)))
    undated = open_ended(source_timestamp=[None] * 10)
    assert members_of(undated, followup) == expected
    assert members_of(undated.drop("source_timestamp"), followup) == expected


def test_a_time_of_record_that_is_no_date_is_refused_without_its_value() -> None:
    with pytest.raises(
        CohortError, match=r"CC_005.*source_timestamp holds text, and 10 of its rows"
    ) as refused:
        members_of(open_ended(source_timestamp=["yesterday"] * 10), 90)
    assert "yesterday" not in str(refused.value)


def test_observation_ends_with_death_where_the_definition_names_it() -> None:
    """Dead before the index date, on it, within the follow-up, after it; and alive."""
    died = [dt.date(2024, 4, 1), dt.date(2024, 5, 2), dt.date(2024, 5, 22), dt.date(2024, 5, 30)]
    frame = open_ended(died=[*died, *[None] * 6])
    assert members_of(frame, 20) == 10
    assert members_of(frame, 20, death_date_field="died") == 7
    assert members_of(frame, 0, death_date_field="died") == 9


@pytest.mark.parametrize(
    ("rows", "minimum", "advice"),
    [
        (journeys(), 100, "the rule that alone keeps most out"),
        (
            journeys().filter(pl.col("patient_journey_id") == "j5"),
            100,
            "Every journey is eligible: load more",
        ),
        (journeys().filter(pl.col("patient_journey_id") == "j6"), 1, "the rule that alone keeps most out"),
    ],
)
def test_a_small_cohort_has_the_advice_that_fits(rows, minimum, advice):
    members, result = CohortConstructor(RULES).construct_cohort(rows)
    built = CohortBuilt(members, result, RULES.temporal_requirements, minimum)
    refused = COHORT_SIZE.verdict(built)
    assert (refused.reason, advice in refused.next_step) == ("cohort_too_small", True)
    windows = TEMPORAL_WINDOWS.verdict(built)
    assert windows.passed or "nobody is left" in windows.next_step
