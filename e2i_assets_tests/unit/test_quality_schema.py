from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from e2i_assets.contracts.tables import RAW_TABLES, TABLES
from e2i_assets.json_files import to_json
from e2i_assets.quality import SchemaFailure, check_schema
from e2i_assets_tests.unit.quality_frames import ATTRIBUTES, clean_tables, declared


@pytest.fixture(scope="module")
def tables():
    return clean_tables(60)


def failures(tables, name, frame=None, **changed):
    """Failures of one table after replacing it, or some of its columns."""
    frame = tables[name] if frame is None else frame
    frame = frame.with_columns(**changed)
    extra = ATTRIBUTES if name == "patient_journeys" else {}
    result = check_schema(name, frame, extra=extra, tables={**tables, name: frame})
    assert result.ok == (not result.failures)
    return set(result.failures)


def first(column, value, rows=3):
    """The column with `value` in its first rows."""
    return pl.when(pl.int_range(pl.len()) < rows).then(pl.lit(value)).otherwise(pl.col(column))


@pytest.mark.parametrize("name", RAW_TABLES)
def test_clean_tables_keep_their_contracts(tables, name):
    assert failures(tables, name) == set()


@pytest.mark.parametrize("name", RAW_TABLES)
def test_an_empty_table_keeps_its_contract(tables, name):
    frame = tables[name].clear()
    extra = ATTRIBUTES if name == "patient_journeys" else {}
    assert check_schema(name, frame, extra=extra, tables=tables).ok


def test_a_missing_column_is_named_once(tables):
    frame = tables["patient_journeys"].drop("diagnosis_date")
    assert failures(tables, "patient_journeys", frame) == {
        SchemaFailure("diagnosis_date", "missing_column", 60)
    }


def test_a_wrong_type_is_named_once(tables):
    result = failures(tables, "patient_journeys", age_at_diagnosis=pl.col("age_at_diagnosis").cast(pl.String))
    assert result == {SchemaFailure("age_at_diagnosis", "wrong_type", 60)}


def test_a_time_without_its_zone_is_a_wrong_type(tables):
    result = failures(
        tables, "treatment_events", source_timestamp=pl.col("source_timestamp").dt.replace_time_zone(None)
    )
    assert result == {SchemaFailure("source_timestamp", "wrong_type", 180)}


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("triggers", {"trigger_id": first("trigger_id", None)}, SchemaFailure("trigger_id", "null", 3)),
        ("triggers", {"trigger_id": first("trigger_id", "t9", 3)}, SchemaFailure("trigger_id", "duplicate", 4)),
        ("hcp_profiles", {"npi": first("npi", "1", 2)}, SchemaFailure("npi", "duplicate", 2)),
        ("hcp_profiles", {"decile": first("decile", 11)}, SchemaFailure("decile", "high", 3)),
        ("hcp_profiles", {"decile": first("decile", 0)}, SchemaFailure("decile", "low", 3)),
        ("patient_journeys", {"gender": first("gender", "X")}, SchemaFailure("gender", "allowed", 3)),
        ("treatment_events", {"cost": first("cost", np.inf)}, SchemaFailure("cost", "not_finite", 3)),
        ("treatment_events", {"cost": first("cost", np.nan)}, SchemaFailure("cost", "not_finite", 3)),
        ("treatment_events", {"hcp_id": first("hcp_id", "nobody")}, SchemaFailure("hcp_id", "reference", 3)),
        ("triggers", {"zz": pl.lit(1)}, SchemaFailure("zz", "unexpected_column", 60)),
        ("causal_paths", {"brand": first("brand", "Other")}, SchemaFailure("brand", "brand_of_partition", 3)),
        (
            "triggers",
            {"expiration_date": pl.col("trigger_date") - timedelta(days=1)},
            SchemaFailure("triggers", "check:expires_after_sent", 60),
        ),
        (
            "ml_predictions",
            {"patient_id": first("patient_id", "somebody else")},
            SchemaFailure("patient_id", "patient_of_journey", 3),
        ),
    ],
)  # fmt: skip
def test_each_rule_is_found_with_its_count(tables, name, changes, expected):
    assert expected in failures(tables, name, **changes)
    assert len({f.column for f in failures(tables, name, **changes)}) == 1


def test_all_failures_come_at_once(tables):
    result = failures(
        tables,
        "patient_journeys",
        tables["patient_journeys"].drop("brand"),
        gender=first("gender", "X"),
        age_at_diagnosis=first("age_at_diagnosis", 200),
        hcp_id=first("hcp_id", "nobody"),
    )
    assert {(f.column, f.rule) for f in result} == {
        ("brand", "missing_column"), ("gender", "allowed"), ("age_at_diagnosis", "high"), ("hcp_id", "reference"),
    }  # fmt: skip


def test_a_null_breaks_no_condition_and_no_reference(tables):
    nothing = pl.lit(None, dtype=pl.Date)
    assert (
        failures(tables, "triggers", expiration_date=nothing, hcp_id=pl.lit(None, dtype=pl.String)) == set()
    )


def test_an_orphan_is_a_reference_and_not_a_patient_failure(tables):
    result = failures(tables, "triggers", patient_journey_id=first("patient_journey_id", "gone"))
    assert result == {SchemaFailure("patient_journey_id", "reference", 3)}


def test_several_unknown_npi_are_no_duplicates(tables):
    assert tables["hcp_profiles"]["npi"].null_count() > 1
    assert failures(tables, "hcp_profiles") == set()


@pytest.mark.parametrize(
    ("dtype", "cast", "ok"),
    [
        ("integer", pl.Int16, True),
        ("integer", pl.Float64, False),
        ("number", pl.Int64, True),
        ("number", pl.Float32, True),
        ("number", pl.String, False),
        ("string", pl.String, True),
        ("boolean", pl.Int64, False),
    ],
)
def test_attributes_have_their_declared_type(tables, dtype, cast, ok):
    frame = tables["patient_journeys"].with_columns(uas7=pl.col("uas7").cast(cast))
    result = check_schema("patient_journeys", frame, extra={"uas7": declared(dtype)}, tables=tables)
    assert result.ok == ok
    assert ok or result.failures == (SchemaFailure("uas7", "wrong_type", 60),)


def test_a_declared_attribute_must_exist_and_have_values(tables):
    frame = tables["patient_journeys"].drop("uas7").with_columns(ige_level=pl.lit(None))
    failures = check_schema("patient_journeys", frame, extra=ATTRIBUTES).failures
    assert set(failures) == {
        SchemaFailure("uas7", "missing_column", 60),
        SchemaFailure("ige_level", "all_null", 60),
    }


def test_an_undeclared_attribute_of_a_journey_is_no_mistake(tables):
    assert failures(tables, "patient_journeys", menopausal=pl.lit(True)) == set()


def test_no_environment_switches_the_layer_off(tables, monkeypatch):
    from pandera.config import CONFIG, reset_config_context

    monkeypatch.setattr(CONFIG, "validation_enabled", False)
    reset_config_context()
    try:
        assert failures(tables, "patient_journeys", gender=first("gender", "X"))
    finally:
        monkeypatch.undo()
        reset_config_context()


def test_no_value_is_in_the_result(tables):
    result = check_schema(
        "patient_journeys", tables["patient_journeys"].with_columns(gender=first("gender", "Jane Doe"))
    )
    assert not result.ok
    assert "Jane" not in str(to_json(result))


def test_the_contract_itself_is_left_as_it_was(tables):
    check_schema("patient_journeys", tables["patient_journeys"])
    schema = TABLES["patient_journeys"].to_schema()
    assert schema.strict is True
    assert "clinical_attributes" in schema.columns
