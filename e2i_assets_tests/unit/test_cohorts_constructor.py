"""Cohort construction: members, attrition, nulls, and every way in."""

import dataclasses
import datetime as dt
import json

import ibis
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal
from pydantic import TypeAdapter

from e2i_assets.cohorts import (
    CohortConstructor,
    CohortError,
    CohortResult,
)
from e2i_assets.gates.cohort import COHORT_SIZE, TEMPORAL_WINDOWS, CohortBuilt
from e2i_assets.json_files import to_json
from e2i_assets_tests.unit.cohort_frames import DAY, RULES, config, journeys, observed


def test_attrition_counts_removed_unknown_and_remaining_in_order():
    members, result = CohortConstructor(RULES).construct_cohort(journeys())
    assert members["patient_journey_id"].to_list() == ["j5", "j3"]
    steps = [
        (
            e.criterion_order,
            e.criterion_name,
            e.criterion_type,
            e.removed_count,
            e.null_count,
            e.remaining_count,
        )
        for e in result.eligibility_log
    ]
    assert steps == [
        (1, "age_at_diagnosis", "inclusion", 2, 1, 4),
        (2, "ldh_ratio", "inclusion", 1, 1, 3),
        (3, "pregnant", "exclusion", 1, 1, 2),
        (4, "index_date", "temporal", 0, 0, 2),
        (5, "lookback_days", "temporal", 0, 0, 2),
        (6, "followup_days", "temporal", 0, 0, 2),
    ]
    assert (result.status, result.total_count, result.eligible_count, result.excluded_count) == (
        "success", 6, 2, 4,
    )  # fmt: skip
    assert result.exclusion_rate == pytest.approx(4 / 6)
    assert (result.cohort_id, result.config_hash) == (RULES.cohort_id, RULES.config_hash)


@pytest.mark.parametrize("kind", ["polars", "pandas", "arrow", "parquet", "ibis"])
def test_every_kind_gives_its_own_kind_and_the_same_answer(kind, tmp_path):
    frame = journeys()
    expected, expected_result = CohortConstructor(RULES).construct_cohort(frame)
    given = {"polars": frame, "pandas": frame.to_pandas(), "arrow": frame.to_arrow()}.get(kind)
    if given is None:
        given = tmp_path / "j.parquet"
        frame.write_parquet(given)
        if kind == "ibis":
            given = ibis.duckdb.connect().read_parquet(given, can_have_nan=True)
    members, result = CohortConstructor(RULES).construct_cohort(given)
    assert result == expected_result
    kinds = {"pandas": pd.DataFrame, "arrow": pa.Table, "ibis": ibis.Table}
    assert isinstance(members, kinds.get(kind, pl.DataFrame))
    if kind == "pandas":
        pd.testing.assert_frame_equal(members, given.iloc[[0, 4]])
    else:
        rows = pl.from_arrow(members) if kind == "arrow" else members
        rows = rows if isinstance(rows, pl.DataFrame) else rows.order_by("age_at_diagnosis").to_polars()[::-1]
        assert rows.columns == expected.columns
        assert rows.cast({"region": pl.String}).equals(expected.cast({"region": pl.String}))


@pytest.mark.parametrize("dtype", [object, "boolean"])
def test_unknown_flag_triggers_no_exclusion_whatever_the_pandas_dtype(dtype):
    frame = journeys().to_pandas()
    frame["pregnant"] = frame["pregnant"].astype(dtype)
    members, _ = CohortConstructor(RULES).construct_cohort(frame)
    assert list(members["patient_journey_id"]) == ["j5", "j3"]


@pytest.mark.parametrize(("operator", "value"), [("!=", 40), ("not_in", [40]), ("==", 40)])
def test_all_null_column_satisfies_no_inclusion_and_triggers_no_exclusion(operator, value):
    frame = observed(pl.DataFrame({"patient_journey_id": ["a", "b"], "x": [None, None]}))
    _, included = CohortConstructor(config(inclusion=[("x", operator, value)])).construct_cohort(frame)
    _, excluded = CohortConstructor(config(exclusion=[("x", operator, value)])).construct_cohort(frame)
    assert (included.eligible_count, included.status) == (0, "empty")
    assert excluded.eligible_count == 2
    assert included.eligibility_log[0].null_count == excluded.eligibility_log[0].null_count == 2


def test_windows_are_inclusive_and_missing_dates_are_removed():
    offsets = [(180, 90), (179, 90), (180, 89), (None, 90), (180, None), (365, 365)]
    frame = pl.DataFrame(
        {
            "patient_journey_id": [f"j{i}" for i in range(6)],
            "diagnosis_date": [DAY] * 5 + [None],
            "first_observation_date": [b and DAY - dt.timedelta(days=b) for b, _ in offsets],
            "last_observation_date": [a and DAY + dt.timedelta(days=a) for _, a in offsets],
        }
    )
    members, result = CohortConstructor(config()).construct_cohort(frame)
    assert members["patient_journey_id"].to_list() == ["j0"]
    assert [(e.removed_count, e.null_count) for e in result.eligibility_log] == [(1, 1), (2, 1), (2, 1)]
    times = frame.cast(dict.fromkeys(frame.columns[1:], pl.Datetime))
    assert CohortConstructor(config()).construct_cohort(times)[1] == result


def test_empty_table_is_an_empty_cohort():
    members, result = CohortConstructor(RULES).construct_cohort(journeys().head(0))
    assert (members.height, result.status, result.exclusion_rate) == (0, "empty", 0.0)


def test_rows_come_back_without_a_journey_key_too():
    members, result = CohortConstructor(RULES).construct_cohort(journeys().drop("patient_journey_id"))
    assert members["age_at_diagnosis"].to_list() == [40, 33]
    assert result.eligible_count == 2


def test_missing_columns_are_named_before_anything_runs():
    with pytest.raises(CohortError, match=r"testa_x_v1\.0\.0: .*: pregnant, last_observation_date") as raised:
        CohortConstructor(RULES).construct_cohort(journeys().drop("pregnant", "last_observation_date"))
    assert raised.value.code == "CC_002"


@pytest.mark.parametrize(
    ("criterion", "dtype"),
    [
        (("region", ">=", 18), "string"),
        (("age_at_diagnosis", "==", True), "int64"),
        (("pregnant", "==", 1), "boolean"),
        (("age_at_diagnosis", "contains", "4"), "int64"),
        (("region", ">=", "2020-01-01"), "string"),
        (("diagnosis_date", ">=", 2020), "date"),
        (("codes", "==", "a"), "array"),
        (("huge", "==", 5), "uint64"),
    ],
)
def test_type_mismatch_names_criterion_and_dtype(criterion, dtype):
    frame = journeys().with_columns(
        codes=pl.lit(["a"], dtype=pl.List(pl.String)), huge=pl.lit(2**63, dtype=pl.UInt64)
    )
    with pytest.raises(CohortError, match=rf"{criterion[0]} {criterion[1]} .*{dtype}") as raised:
        CohortConstructor(config(inclusion=[criterion])).construct_cohort(frame)
    assert raised.value.code == "CC_004"


def test_text_on_a_date_column_must_be_a_date():
    with pytest.raises(CohortError, match="needs ISO dates"):
        CohortConstructor(config(exclusion=[("diagnosis_date", "==", "soon")])).construct_cohort(journeys())


@pytest.mark.parametrize("dtype", [pl.Boolean, pl.Datetime("us", "UTC"), pl.Int32])
def test_window_dates_must_be_dates(dtype):
    frame = journeys().with_columns(diagnosis_date=pl.lit(None, dtype=dtype))
    with pytest.raises(CohortError, match=r"CC_005: .*diagnosis_date is "):
        CohortConstructor(RULES).construct_cohort(frame)


@pytest.mark.parametrize("wrong", ["j1", None])
@pytest.mark.parametrize("kind", ["polars", "parquet"])
def test_repeated_or_missing_journey_key_is_refused(wrong, kind, tmp_path):
    frame = journeys().with_columns(
        pl.when(pl.int_range(pl.len()) == 3).then(pl.lit(wrong)).otherwise("patient_journey_id")
        .alias("patient_journey_id")
    )  # fmt: skip
    given = frame
    if kind == "parquet":
        given = tmp_path / "j.parquet"
        frame.write_parquet(given)
    with pytest.raises(CohortError, match=r"CC_004: .*1 rows repeat or lack patient_journey_id"):
        CohortConstructor(RULES).construct_cohort(given)


def test_keys_are_compared_whatever_a_frame_claims_of_their_order():
    rising = journeys().sort("patient_journey_id")
    assert CohortConstructor(RULES).construct_cohort(rising)[1].total_count == rising.height
    repeated = pl.concat([rising, rising]).with_columns(pl.col("patient_journey_id").set_sorted())
    with pytest.raises(CohortError) as refused:
        CohortConstructor(RULES).construct_cohort(repeated)
    assert refused.value.code == "CC_004"


def test_mixed_pandas_column_is_named_without_its_values():
    frame = journeys().to_pandas()
    frame["age_at_diagnosis"] = pd.Series([1, "secret", 3, 4, 5, 6], dtype=object)
    with pytest.raises(CohortError, match="column age_at_diagnosis has no single type") as raised:
        CohortConstructor(RULES).construct_cohort(frame)
    assert "secret" not in str(raised.value)


def test_moments_with_and_without_zone_in_one_column_are_refused():
    frame = journeys().to_pandas()
    for unit in ("us", "ns"):
        day = pd.Timestamp("2023-06-01").as_unit(unit)
        mixed = pd.Series([day, day.tz_localize("Asia/Tokyo"), *[day] * 4], dtype=object)
        with pytest.raises(CohortError, match=r"CC_004: column diagnosis_date has no single type"):
            CohortConstructor(RULES).construct_cohort(frame.assign(diagnosis_date=mixed))


def test_whole_numbers_beyond_2_to_the_53_are_compared_exactly_or_refused():
    huge = journeys().with_columns(age_at_diagnosis=pl.lit(2**53 + 1))
    one = config(inclusion=[("age_at_diagnosis", "==", float(2**53))])
    assert CohortConstructor(one).construct_cohort(huge)[1].eligible_count == 0
    mixed = config(inclusion=[("age_at_diagnosis", "in", [2**53 + 1, 0.5])])
    for frame in (huge, huge.cast({"age_at_diagnosis": pl.Float64})):
        with pytest.raises(CohortError, match=r"CC_004: .*cannot be compared exactly"):
            CohortConstructor(mixed).construct_cohort(frame)


@pytest.mark.parametrize("dtype", [pl.Int128, pl.Object])
def test_types_that_engines_do_not_share_are_refused(dtype):
    frame = journeys().with_columns(pl.Series("age_at_diagnosis", [1] * 6, dtype=dtype))
    with pytest.raises(CohortError, match="CC_004: column age_at_diagnosis has no single type"):
        CohortConstructor(RULES).construct_cohort(frame)


def test_a_lazy_frame_gives_a_lazy_one():
    members, result = CohortConstructor(RULES).construct_cohort(journeys().lazy())
    eager, same = CohortConstructor(RULES).construct_cohort(journeys())
    assert isinstance(members, pl.LazyFrame)
    assert_frame_equal(members.collect(), eager)
    assert result == same
    with pytest.raises(CohortError, match="the lazy frame cannot be collected"):
        CohortConstructor(RULES).construct_cohort(journeys().lazy().select("nowhere"))


def test_a_folder_and_a_glob_are_one_table(tmp_path):
    whole, result = CohortConstructor(RULES).construct_cohort(journeys())
    journeys().head(2).write_parquet(tmp_path / "a.parquet")
    # As pandas writes it: no type where all is null.
    journeys().tail(4).with_columns(pregnant=None).write_parquet(tmp_path / "b.parquet")
    untyped = pl.concat([journeys().head(2), journeys().tail(4).with_columns(pregnant=None)])
    _, expected = CohortConstructor(RULES).construct_cohort(untyped)
    for path in (tmp_path, tmp_path / "*.parquet"):
        assert CohortConstructor(RULES).construct_cohort(path)[1] == expected
    journeys().tail(4).write_parquet(tmp_path / "b.parquet")
    members, again = CohortConstructor(RULES).construct_cohort(tmp_path)
    assert again == result
    assert_frame_equal(members, whole.cast({"region": pl.String}))
    with pytest.raises(CohortError, match=r"no such file"):
        CohortConstructor(RULES).construct_cohort(tmp_path / "c*.parquet")


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.with_columns(pl.col("age_at_diagnosis") + 0.6),
        lambda frame: frame.drop("age_at_diagnosis"),
    ],
)
def test_files_that_differ_are_refused_instead_of_cast(tmp_path, change):
    journeys().head(2).write_parquet(tmp_path / "a.parquet")
    change(journeys().tail(4)).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(CohortError, match=r"CC_004: .*differ in the columns age_at_diagnosis;"):
        CohortConstructor(RULES).construct_cohort(tmp_path)


def test_a_duckdb_table_that_hides_nan_is_refused(tmp_path):
    journeys().write_parquet(tmp_path / "j.parquet")
    engine = ibis.duckdb.connect()
    hidden = engine.read_parquet(tmp_path / "j.parquet")
    engine.raw_sql(f"CREATE VIEW outer_one AS SELECT * FROM {hidden.get_name()}")
    for table in (hidden, hidden.filter(hidden.age_at_diagnosis > 0), engine.table("outer_one")):
        with pytest.raises(CohortError, match=r"CC_004: .*can_have_nan=True"):
            CohortConstructor(RULES).construct_cohort(table)
    whole_numbers = config(inclusion=[("age_at_diagnosis", ">=", 18)])
    assert CohortConstructor(whole_numbers).construct_cohort(hidden)[1].eligible_count == 4
    seen = engine.read_parquet(tmp_path / "j.parquet", can_have_nan=True)
    assert (
        CohortConstructor(RULES).construct_cohort(seen)[1]
        == CohortConstructor(RULES).construct_cohort(journeys())[1]
    )


def test_a_file_keeps_the_columns_that_ibis_has_no_type_for(tmp_path):
    frame = journeys().with_columns(
        seen=pl.lit(DAY).cast(pl.Datetime("ns", "UTC")), empty=pl.lit(None), pregnant=pl.lit(None)
    )
    frame.write_parquet(tmp_path / "j.parquet")
    members, result = CohortConstructor(RULES).construct_cohort(tmp_path / "j.parquet")
    expected, same = CohortConstructor(RULES).construct_cohort(frame)
    assert result == same
    assert_frame_equal(members, expected.cast({"region": pl.String}))


def test_columns_that_appear_twice_are_refused():
    frame = journeys().to_pandas()
    for column in ("pregnant", "patient_journey_id"):
        twice = pd.concat([frame, frame[[column]]], axis=1)
        with pytest.raises(CohortError, match=f"appear twice: {column}"):
            CohortConstructor(RULES).construct_cohort(twice)


def test_unusable_paths_and_objects_are_refused(tmp_path):
    half = tmp_path / "half.parquet"
    journeys().write_parquet(half)
    half.write_bytes(half.read_bytes()[:-20])
    with pytest.raises(CohortError, match=r"half\.parquet: not a readable Parquet file"):
        CohortConstructor(RULES).construct_cohort(half)
    with pytest.raises(CohortError, match=r"absent\.parquet: no such file"):
        CohortConstructor(RULES).construct_cohort(tmp_path / "absent.parquet")
    with pytest.raises(CohortError, match="not list"):
        CohortConstructor(RULES).construct_cohort([{"age_at_diagnosis": 18}])


def test_result_survives_json_and_reads_as_a_table():
    _, result = CohortConstructor(RULES).construct_cohort(journeys())
    text = json.dumps(to_json(result))
    assert TypeAdapter(CohortResult).validate_python(json.loads(text)) == result
    table = result.attrition_markdown().splitlines()
    assert len(table) == 3 + len(result.eligibility_log)
    assert table[3] == "| 1 | age_at_diagnosis | inclusion | `age_at_diagnosis >= 18` | 2 | 1 | 4 | 2 |"
    entry = dataclasses.replace(result.eligibility_log[0], description="a|b\nc")
    row = dataclasses.replace(result, eligibility_log=(entry,)).attrition_markdown().splitlines()[3]
    assert row.startswith("| 1 | a\\|b c |")


# With the three windows, at and beyond what 16, 32 and 64 bits hold.
@pytest.mark.parametrize("criteria", [12, 13, 28, 29, 60])
def test_any_number_of_rules_is_counted(criteria, tmp_path):
    many = config(inclusion=[("age_at_diagnosis", ">", n) for n in range(criteria)])
    frame = journeys()
    members, result = CohortConstructor(many).construct_cohort(frame)
    ages = frame["age_at_diagnosis"].to_list()
    for n, entry in enumerate(result.eligibility_log[:criteria]):
        assert entry.remaining_count == sum(age is not None and age > n for age in ages)
    assert sorted(mask.unknown for mask in result.masks)[-2:] == [0, 2**criteria - 1]
    frame.write_parquet(tmp_path / "j.parquet")
    assert CohortConstructor(many).construct_cohort(tmp_path / "j.parquet")[1] == result
    assert len(members) == result.eligible_count > 0


@pytest.mark.parametrize(
    ("spoil", "size", "windows"),
    [
        (lambda members: members, "ok", "ok"),
        (lambda members: members.drop("diagnosis_date"), "ok", "missing_column"),
        (lambda members: members.cast({"diagnosis_date": pl.String}), "ok", "not_a_date"),
        (lambda members: members.with_columns(patient_journey_id=None), "count_mismatch", "ok"),
        (lambda members: members.with_columns(patient_journey_id=pl.lit("j5")), "count_mismatch", "ok"),
        (lambda members: members.head(1), "count_mismatch", "ok"),
        (lambda members: members.with_columns(first_observation_date=DAY), "ok", "outside_window"),
        (lambda members: members.cast({"last_observation_date": pl.Datetime("ms")}), "ok", "ok"),
    ],
)
def test_gates_judge_the_members_again(spoil, size, windows):
    members, result = CohortConstructor(RULES).construct_cohort(journeys())
    built = CohortBuilt(spoil(members), result, RULES.temporal_requirements, 2)
    assert COHORT_SIZE.verdict(built).reason == size
    assert TEMPORAL_WINDOWS.verdict(built).reason == windows
