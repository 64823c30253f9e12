"""Features: only what was known before the index date, described, typed, and never an identifier."""

import datetime as dt
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from e2i_assets.cohorts import Attribute
from e2i_assets.contracts.base import columns
from e2i_assets.contracts.patients import PatientJourneys
from e2i_assets.features import Feature, FeatureError, FeatureSet
from e2i_assets.json_files import to_json
from e2i_assets_tests.unit.feature_frames import (
    ATTRIBUTES,
    INDEX,
    build,
    column,
    event,
    events,
    frame_of,
    hcps,
    members,
)


def test_only_what_is_known_at_the_index_date_becomes_a_feature():
    built = build()
    names = [f.name for f in built.features]
    assert names == list(built.frame.columns[3:])
    assert {"age_at_diagnosis", "diagnosis_code", "academic_hcp", "hcp_engaged", "uas7", "noted"} <= set(
        names
    )
    assert {"hcp_specialty", "hcp_decile"} <= set(names)
    later = {c.name for c in columns(PatientJourneys) if c.role not in ("feature", "treatment")}
    assert not (later | {"relapsed", "later_lab", "hcp_id", "hcp_npi"}) & set(names)


def test_rows_are_sorted_and_values_keep_their_kind():
    built = build()
    assert list(built.frame.columns[:3]) == ["patient_journey_id", "patient_id", "index_date"]
    assert column(built, "patient_journey_id") == ["j1", "j2", "j3", "j4"]
    assert built.frame["index_date"].dt.date.eq(INDEX).all()
    assert column(built, "age_at_diagnosis") == [40, 60, 30, None]
    assert column(built, "academic_hcp") == [0, 1, 1, None]
    assert built.frame["diagnosis_code"].tolist() == ["L50.8", None, "L50.1", "L50.1"]
    assert column(built, "hcp_decile") == [3, 9, 3, None]
    kinds = {f.name: (f.kind, str(built.frame[f.name].dtype)) for f in built.features}
    assert kinds["uas7"] == ("numeric", "float64")
    assert kinds["academic_hcp"] == ("boolean", "float64")
    assert kinds["diagnosis_code"] == ("categorical", "object")


def test_features_carry_unit_description_and_source():
    by_name = {f.name: f for f in build().features}
    assert (by_name["uas7"].unit, by_name["uas7"].description) == ("0-42", "Severity score")
    assert by_name["age_at_diagnosis"].source == "patient_journeys.age_at_diagnosis"
    assert by_name["hcp_decile"].source == "hcp_profiles.decile"
    assert by_name["lab_ldh_last"].source == "treatment_events.value"
    assert all(f.description for f in by_name.values())


def test_events_count_from_the_day_before_the_index_date_back_through_the_lookback():
    built = build()
    assert column(built, "n_lab_test_180d") == [2, 0, 0, 0]
    assert column(built, "days_since_lab_test") == [1, None, None, None]
    assert column(built, "lab_ldh_mean") == [3, None, None, None]
    assert column(built, "lab_ldh_last") == [5, None, None, None]
    assert column(built, "cost_180d") == [20, None, 0, 0]
    assert column(built, "n_adverse_180d") == [None, None, 0, 0]
    assert column(built, "n_consultation_180d") == [0, 1, 0, 0]
    assert not any("only_after" in f.name for f in built.features)
    assert column(build(lookback_days=181), "n_lab_test_181d") == [3, 0, 0, 0]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # costs, adverse flags of one member's consultations; number, cost and adverse events that follow
        ([(10.0, False), (5.0, True)], (2, 15, 1)),
        ([(10.0, True), (None, True)], (2, None, 2)),
        ([(None, None)], (1, None, None)),
        ([(10.0, False), (5.0, None)], (2, 15, None)),
        ([(10.0, True), (-10.0, True)], (1, 0, 1)),
        ([(-10.0, None)], (0, -10, 0)),
        ([(0.0, False)], (1, 0, 0)),
    ],
)
def test_what_is_unknown_is_not_zero_and_a_reversal_is_no_event(rows, expected):
    theirs = [
        event(n, "j1", 3, "consultation", cost=cost, adverse_event_flag=flag)
        for n, (cost, flag) in enumerate(rows)
    ]
    other = event(9, "j2", 3, "consultation", cost=2.0, adverse_event_flag=True)
    once, twice = (build(event_frame=events([*theirs * times, other])) for times in (1, 2))
    for built in (once, twice):
        result = [built.frame[name] for name in ("n_consultation_180d", "cost_180d", "n_adverse_180d")]
        assert tuple(None if pd.isna(v[0]) else v[0] for v in result) == expected
        assert [v[1] for v in result] == [1, 2, 1]
        assert [v[2] for v in result] == [0, 0, 0]


def test_what_no_event_of_the_partition_says_is_no_feature():
    rows = [event(1, "j1", 3, "consultation", cost=None), event(2, "j2", 3, "consultation", cost=None)]
    built = build(event_frame=events(rows))
    assert {built.dropped[name] for name in ("cost_180d", "n_adverse_180d")} == {"no member has a value"}
    assert column(built, "n_consultation_180d") == [1, 1, 0, 0]


def test_last_of_a_day_is_the_last_by_its_key_whatever_the_order_of_rows():
    rows = [event(n, "j1", 3, value=float(n), event_subtype="ldh") for n in (2, 9, 5)]
    for order in (rows, rows[::-1]):
        assert column(build(event_frame=events(order)), "lab_ldh_last")[0] == 9


def test_partition_without_events_and_hcps():
    built = build(members(hcp_id=[None] * 4), events([]), hcps([]))
    assert "uas7" in built.frame
    assert built.dropped["hcp_decile"] == "no member has a value"
    assert built.dropped["n_prescription_180d"] == "the same for every member"


def test_useless_columns_are_dropped_with_their_reason():
    dropped = build(exclude=["noted", "hcp_decile"]).dropped
    assert dropped["gender"] == "the same for every member"
    assert dropped["disease_severity"] == "no member has a value"
    assert dropped["lab_date"] == "a date is no feature by itself"
    assert dropped["noted"] == dropped["hcp_decile"] == "excluded"


def test_a_column_that_the_cohort_file_does_not_have_is_no_feature_until_it_has():
    frame = members().with_columns(cd420=pl.Series([1, 2, 3, 4]))
    built = build(frame)
    assert "cd420" not in built.frame
    assert built.dropped["cd420"] == "not in the cohort file"
    for options in (
        {"attributes": {**ATTRIBUTES, "cd420": Attribute(dtype="integer")}},
        {"include": ["cd420"]},
    ):
        (feature,) = [f for f in build(frame, **options).features if f.name == "cd420"]
        assert (feature.role, feature.available_at) == ("feature", None)
        assert not feature.declared
        assert not feature.known_at_index


def test_each_feature_says_whether_somebody_declared_it():
    features = {f.name: f for f in build().features}
    assert {name for name, f in features.items() if not f.known_at_index} == {"noted"}
    assert {name for name, f in features.items() if not f.declared} == {"noted"}
    assert (features["uas7"].role, features["uas7"].available_at) == ("feature", "index")
    assert (features["hcp_engaged"].role, features["hcp_engaged"].available_at) == ("treatment", "index")


def test_a_feature_is_read_as_each_version_wrote_it():
    for feature in build().features:
        stored = to_json(feature)
        assert Feature.from_record(json.loads(json.dumps(stored))) == feature
        text = {name: stored.pop(name) for name in ("role", "available_at")}
        assert Feature.from_record({**stored, "declared": text}) == feature
        assert not Feature.from_record(stored).declared  # the first version wrote neither: nobody has said


@pytest.mark.parametrize("name", ["Unnamed: 0", "Unnamed: 0.1", "index"])
def test_row_numbers_of_pandas_are_no_feature_even_when_declared(name):
    frame = members().with_columns(pl.Series(name, [2, 0, 3, 1]))
    built = build(frame, attributes={**ATTRIBUTES, name: Attribute(dtype="integer", available_at="index")})
    assert name not in built.frame
    assert built.dropped[name] == "row numbers that pandas wrote"


def test_an_index_that_does_not_count_the_rows_is_a_column_like_any_other():
    frame = members().with_columns(index=pl.Series([2, 0, 7, 1]))
    assert "index" in build(frame, attributes={**ATTRIBUTES, "index": Attribute(dtype="integer")}).frame


def test_a_value_beside_gaps_is_kept():
    assert column(build(members(gender=["F", None, "F", "F"])), "gender") == [None, "F", "F", "F"]


def test_include_forces_a_column_in_for_the_gate_to_judge():
    built = build(include=["days_to_treatment", "relapsed", "later_lab"])
    assert column(built, "days_to_treatment") == [None, 40, 5, None]
    assert column(built, "relapsed") == [1, None, 0, 1]
    assert column(built, "later_lab") == [2, 4, 1, 3]


def test_outcomes_stand_apart_in_the_same_order():
    outcomes = build().outcomes
    later = ["discontinued", "trx_followup", "lifetime_value"]
    assert list(outcomes.columns) == ["patient_journey_id", "treatment_initiated", *later, "relapsed"]
    assert outcomes[later].isna().all(axis=None)
    assert outcomes["patient_journey_id"].tolist() == ["j1", "j2", "j3", "j4"]
    np.testing.assert_array_equal(outcomes["treatment_initiated"], [np.nan, 1, 1, 0])
    np.testing.assert_array_equal(outcomes["relapsed"], [1, np.nan, 0, 1])


def test_an_outcome_may_be_a_class_by_name():
    named = Attribute(dtype="string", role="outcome", available_at="outcome")
    frame = members().with_columns(noted=pl.Series(["x", None, "y", "x"]))
    made = build(member_frame=frame, attributes={**ATTRIBUTES, "noted": named})
    assert made.outcomes["noted"].tolist() == [None, "x", "x", "y"]
    assert "noted" not in {f.name for f in made.features}


def with_text(rows, levels):
    ids = [f"j{i:03d}" for i in range(rows)]
    frame = frame_of(PatientJourneys, patient_journey_id=ids, patient_id=ids, diagnosis_date=[INDEX] * rows)
    return frame.with_columns(
        uas7=pl.int_range(rows), remark=pl.Series([f"t{i % levels}" for i in range(rows)])
    )


def test_text_of_many_levels_is_a_feature_unless_it_identifies_members():
    assert "remark" in build(with_text(60, 50), events([])).frame
    assert "remark" in build(with_text(400, 180), events([])).frame
    for rows, levels in ((25, 25), (60, 60), (60, 59)):
        built = build(with_text(rows, levels), events([]))
        assert "remark" not in built.frame
        assert built.dropped["remark"].startswith("identifies members: ")
    sparse = with_text(60, 60).with_columns(remark=pl.when(pl.int_range(60) < 30).then("remark"))
    assert "remark" in build(sparse, events([])).dropped


def test_a_kind_of_event_that_few_patients_have_is_no_feature():
    ids = [f"p{i}" for i in range(8)]
    frame = frame_of(PatientJourneys, patient_journey_id=ids, patient_id=ids, diagnosis_date=[INDEX] * 8)
    frame = frame.with_columns(uas7=pl.int_range(8))
    happened = [event(i, f"p{i}", 3, value=1.0 + i, event_subtype="ldh") for i in range(5)]
    happened += [event(10 + i, f"p{i}", 3, value=1.0 + i, event_subtype="rare_marker") for i in range(4)]
    happened += [event(20 + i, "p0", 3 + i, value=1.0 + i, event_subtype="rare_marker") for i in range(9)]
    happened += [event(30 + i, f"p{i}", 3, "consultation", event_subtype="cardiology") for i in range(5)]
    happened += [event(40 + i, f"p{i}", 9, "consultation", event_subtype="cardiology") for i in range(2)]
    built = build(
        frame, events(happened), minimum_cell_count=5,
        event_subtypes={"consultation": ["cardiology", "urology"], "lab_test": ["ldh"]},
    )  # fmt: skip
    assert "lab_ldh_mean" in built.frame
    assert not any("rare_marker" in name for name in [*built.frame, *built.dropped])
    assert column(built, "n_consultation_cardiology_180d") == [2, 2, 1, 1, 1, 0, 0, 0]
    assert column(built, "n_lab_test_ldh_180d") == [1, 1, 1, 1, 1, 0, 0, 0]
    assert built.dropped["n_consultation_urology_180d"] == "fewer than 5 patients have one"
    assert built.dropped["lab_* (1)"] == "fewer than 5 patients have one"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"include": ["horoscope"]}, "include: horoscope: no such column"),
        ({"exclude": ["horoscope"]}, "exclude: horoscope: no such column"),
        ({"include": ["lab_date"]}, "lab_date: a column of type Date cannot be a feature"),
        ({"member_frame": members(diagnosis_date=[INDEX, None, INDEX, INDEX])}, "diagnosis_date: empty for some"),
        ({"member_frame": pl.concat([members(), members()])}, "patient_journey_id: 4 rows repeat it"),
        ({"member_frame": members(patient_journey_id=["j1", "j2", None, "j4"])}, "patient_journey_id: 1 rows"),
        ({"hcp_frame": hcps(["h1", "h1"])}, "hcp_id: 1 rows repeat it"),
        ({"event_frame": events([event(1, "j1", 3), event(1, "j1", 4)])}, "treatment_event_id: 1 rows repeat it"),
        ({"event_frame": events([event(1, "j1", 3), event(1, "j2", 3)])}, "treatment_event_id: 1 rows repeat it"),
        ({"event_frame": events([event(1, None, 3)])}, "patient_journey_id: empty in some rows"),
        ({"hcp_frame": hcps(["h1"])}, "hcp_id: 1 HCPs of members are not in hcp_profiles"),
        ({"member_frame": members().with_columns(hcp_decile=pl.lit(1))}, "hcp_decile: two features of one name"),
        ({"member_frame": members().with_columns(codes=pl.lit(["a"]))}, r"codes: a column of type List"),
        ({"member_frame": members().with_columns(clinical_attributes=pl.lit("{}"))}, "expand the JSON"),
        (
            {
                "member_frame": members().with_columns(noted=pl.lit(dt.date(2025, 1, 1))),
                "attributes": {**ATTRIBUTES, "noted": Attribute(dtype="date", role="outcome", available_at="outcome")},
            },
            "noted: an outcome must be a number, a boolean or a class by name",
        ),
    ],
)  # fmt: skip
def test_refusals_name_the_column_and_the_rule(options, message):
    with pytest.raises(FeatureError, match=message):
        build(**options)


def test_saved_twice_gives_equal_bytes_and_loads_as_it_was(tmp_path):
    shuffled = (
        members().sample(fraction=1, shuffle=True, seed=3),
        events().sample(fraction=1, shuffle=True, seed=4),
    )
    built = build()
    for folder, one in (("a", built), ("b", build(*shuffled))):
        (tmp_path / folder).mkdir()
        one.save(tmp_path / folder)
    names = ["features.json", "features.parquet", "outcomes.parquet"]
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    loaded = FeatureSet.load(tmp_path / "a")
    pd.testing.assert_frame_equal(loaded.frame, built.frame)
    pd.testing.assert_frame_equal(loaded.outcomes, built.outcomes)
    assert loaded.features == built.features
    assert loaded.dropped == built.dropped
