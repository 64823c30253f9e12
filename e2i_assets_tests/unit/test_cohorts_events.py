"""Criteria on events: windows, nulls, and what cannot be counted."""

import datetime as dt
import tempfile
from pathlib import Path

import ibis
import polars as pl
import pytest
import yaml

from e2i_assets.cohorts import CohortConfig, CohortConstructor, CohortError, EventCriterion

INDEX = dt.date(2023, 6, 1)
TWO_SCRIPTS = {
    "name": "two prescriptions",
    "where": [{"field": "event_type", "operator": "==", "value": "prescription"}],
    "within_days": [-365, -1],
    "at_least": 2,
    "clinical_rationale": "Therapy was tried.",
}


def config(inclusion=(), exclusion=()):
    return CohortConfig(
        cohort_name="Test", brand="Testa", indication="x", inclusion_criteria=inclusion,
        exclusion_criteria=exclusion, temporal_requirements={"lookback_days": 0, "followup_days": 0},
    )  # fmt: skip


def journeys(*keys, index=INDEX):
    dates = ("diagnosis_date", "first_observation_date", "last_observation_date")
    return pl.DataFrame(
        {"patient_journey_id": keys, **{name: [index] * len(keys) for name in dates}},
        schema_overrides=dict.fromkeys(dates, pl.Date),
    )


def events(*rows):
    """Rows of journey, days from the index date, and kind."""
    return pl.DataFrame(
        [(key, None if days is None else INDEX + dt.timedelta(days=days), kind) for key, days, kind in rows],
        schema={"patient_journey_id": pl.String, "event_date": pl.Date, "event_type": pl.String},
        orient="row",
    )


SCRIPT = "prescription"


def test_events_are_counted_inside_the_window_with_both_ends():
    given = events(
        ("in", -365, SCRIPT), ("in", -1, SCRIPT),
        ("early", -366, SCRIPT), ("early", -1, SCRIPT),
        ("late", 0, SCRIPT), ("late", -1, SCRIPT),
        ("other", -5, "lab_test"), ("other", -6, SCRIPT),
    )  # fmt: skip
    members, result = CohortConstructor(config([TWO_SCRIPTS])).construct_cohort(
        journeys("none", "early", "in", "late", "other"), given
    )
    assert members["patient_journey_id"].to_list() == ["in"]
    entry = result.eligibility_log[0]
    assert (entry.criterion_name, entry.operator, entry.value) == ("two prescriptions", "at_least", 2)
    assert (entry.removed_count, entry.null_count, entry.clinical_rationale) == (4, 0, "Therapy was tried.")
    assert entry.condition == "events >= 2 in days [-365, -1] with event_type == prescription"


def test_an_event_delivered_twice_counts_once_and_a_reversal_for_none(tmp_path):
    frame = journeys("twice", "two", "reversed")
    given = events(
        ("twice", -5, SCRIPT), ("twice", -5, SCRIPT), ("two", -5, SCRIPT), ("two", -5, SCRIPT),
        ("reversed", -5, SCRIPT), ("reversed", -5, SCRIPT),
    ).with_columns(
        treatment_event_id=pl.Series(["e1", "e1", "e2", "e3", "e4", "e5"]),
        cost=pl.Series([None, None, 1.0, 0.0, 9.0, -9.0]),
    )  # fmt: skip
    asked = CohortConstructor(config([TWO_SCRIPTS]))
    other = given.with_columns(event_date=pl.Series([INDEX - dt.timedelta(days=d) for d in range(1, 7)]))
    engine = ibis.duckdb.connect()
    paths = [tmp_path / name for name in ("journeys", "given", "other")]
    for path, table in zip(paths, (frame, given, other), strict=True):
        table.write_parquet(path)
    tables = [engine.read_parquet(path, can_have_nan=True) for path in paths]
    for ours, theirs, conflicting in ((frame, given, other), paths, tables):
        _, result = asked.construct_cohort(ours, theirs)
        assert result.eligible_count == 1
        with pytest.raises(CohortError, match=r"CC_004: .*1 rows repeat or lack treatment_event_id"):
            asked.construct_cohort(ours, conflicting)
    members, _ = asked.construct_cohort(frame, given)
    assert members["patient_journey_id"].to_list() == ["two"]
    unnamed = given.with_columns(treatment_event_id=pl.Series(["e1", "e1", "e2", None, "e4", "e5"]))
    with pytest.raises(CohortError, match="lack treatment_event_id"):
        asked.construct_cohort(frame, unnamed)


def test_an_event_that_might_count_leaves_the_journey_without_a_value():
    given = events(
        ("undated", -3, SCRIPT), ("undated", None, SCRIPT),
        ("unnamed", -3, SCRIPT), ("unnamed", -4, None),
        ("outside", -3, SCRIPT), ("outside", 9, None),
    )  # fmt: skip
    frame = journeys("undated", "unnamed", "outside")
    _, included = CohortConstructor(config([TWO_SCRIPTS])).construct_cohort(frame, given)
    remaining, excluded = CohortConstructor(config(exclusion=[TWO_SCRIPTS])).construct_cohort(frame, given)
    assert (included.eligible_count, included.eligibility_log[0].null_count) == (0, 2)
    assert (remaining.height, excluded.eligibility_log[0].null_count) == (3, 2)


def test_an_open_side_reaches_as_far_as_the_events_do_but_needs_an_index_date():
    ever = TWO_SCRIPTS | {"within_days": [None, None], "at_least": 1}
    given = events(("a", -9000, SCRIPT), ("b", 9000, SCRIPT), ("c", None, SCRIPT))
    _, result = CohortConstructor(config([ever])).construct_cohort(journeys("a", "b", "c", "d"), given)
    assert result.eligible_count == 3
    _, undated = CohortConstructor(config(exclusion=[ever])).construct_cohort(
        journeys("a", "b", index=None), given
    )
    assert [(e.removed_count, e.null_count) for e in undated.eligibility_log[:2]] == [(0, 2), (2, 2)]


def test_keys_of_any_integer_width_meet_and_keys_of_two_kinds_are_refused():
    whole = journeys("1", "2").with_columns(pl.col("patient_journey_id").cast(pl.Int32))
    given = events(("1", -5, SCRIPT), ("1", -6, SCRIPT))
    asked = CohortConstructor(config([TWO_SCRIPTS]))
    narrow = given.with_columns(pl.col("patient_journey_id").cast(pl.UInt8))
    assert asked.construct_cohort(whole, narrow)[0]["patient_journey_id"].to_list() == [1]
    with pytest.raises(
        CohortError, match=r"CC_004: .*patient_journey_id is int32 in the journeys and string"
    ):
        asked.construct_cohort(whole, given)


def test_events_must_be_there_complete_and_where_the_journeys_are():
    asked = CohortConstructor(config([TWO_SCRIPTS]))
    frame, given = journeys("a"), events(("a", -5, SCRIPT))
    with pytest.raises(CohortError, match=r"CC_002: .*no events were given, but two prescriptions counts"):
        asked.construct_cohort(frame)
    with pytest.raises(CohortError, match=r"CC_002: .*missing from the events: event_type"):
        asked.construct_cohort(frame, given.drop("event_type"))
    with pytest.raises(CohortError, match=r"CC_002: .*missing from the journeys: patient_journey_id"):
        asked.construct_cohort(frame.drop("patient_journey_id"), given)
    zoned = given.with_columns(pl.col("event_date").cast(pl.Datetime("us", "UTC")))
    with pytest.raises(CohortError, match=r"CC_005: .*event_date is timestamp"):
        asked.construct_cohort(frame, zoned)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journeys.parquet"
        frame.write_parquet(path)
        with pytest.raises(CohortError, match="CC_004: events must be a Parquet path"):
            asked.construct_cohort(path, given)
        one, other = ibis.duckdb.connect(), ibis.duckdb.connect()
        with pytest.raises(CohortError, match="events must be an Ibis table of the same connection"):
            asked.construct_cohort(one.read_parquet(path), other.read_parquet(path))
    with pytest.raises(CohortError, match="events must be a frame"):
        asked.construct_cohort(frame, "events.parquet")


def test_a_definition_without_criteria_on_events_reads_none():
    members, _ = CohortConstructor(config()).construct_cohort(journeys("a"), "not even there")
    assert members.height == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"within_days": [-1, -365]},
            r"exclusion_criteria\[0\]: within_days takes the first day, then the last",
        ),
        ({"within_days": [-1]}, r"exclusion_criteria\[0\]\.within_days"),
        ({"at_least": -1}, r"exclusion_criteria\[0\]\.at_least: "),
        ({"at_least": 0}, r"exclusion_criteria\[0\]: at_least 0 is met by everybody"),
        ({"at_most": 1}, r"exclusion_criteria\[0\]: at_least must not be more than at_most"),
        ({"where": []}, r"exclusion_criteria\[0\]\.where: "),
        (
            {"where": [{"field": "a", "operator": "~", "value": 1}]},
            r"where\[0\]\.operator: Input should be '=='",
        ),
        ({"window": [0, 1]}, r"exclusion_criteria\[0\]\.window: no such key"),
    ],
)
def test_mistakes_in_yaml_are_named(tmp_path, change, message):
    content = {
        "cohort_name": "T", "brand": "T", "indication": "x", "inclusion_criteria": [],
        "exclusion_criteria": [TWO_SCRIPTS | change],
    }  # fmt: skip
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(CohortError, match=rf"broken\.yaml:\d+: .*{message}"):
        CohortConfig.from_yaml(path)


def test_a_definition_in_python_is_the_one_in_yaml(tmp_path):
    in_python = config([EventCriterion(**TWO_SCRIPTS)])
    path = tmp_path / "same.yaml"
    path.write_text(yaml.safe_dump(in_python.model_dump(mode="json")))
    assert CohortConfig.from_yaml(path) == in_python
    assert CohortConfig.from_yaml(path).config_hash == in_python.config_hash
    earlier = config([TWO_SCRIPTS | {"within_days": [-180, -1]}])
    assert earlier.config_hash != in_python.config_hash
