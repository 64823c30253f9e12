"""Cells of other people's files: each arrives as it was, or its row is refused with a reason."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from e2i_assets.cohorts.config import Attribute
from e2i_assets.ingest.attributes import AttributeMismatch, expand
from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.mapping import MappingError
from e2i_assets.ingest.sources import read_source
from e2i_assets_tests.unit.source_frames import NOW, attributes, mapped, read, read_in, refusals


def test_text_that_looks_like_a_number_stays_as_it_is_written(tmp_path: Path) -> None:
    part = read(
        tmp_path,
        "id,code,zip,weight\n007,250.10,01234,1.50\n008,250.2,99999,2\n",
        {"diagnosis_code": "code", "patient_journey_id": "'j' || code"},
    )
    assert part.frame["patient_id"].to_list() == ["007", "008"]
    assert part.frame["diagnosis_code"].to_list() == ["250.10", "250.2"]
    assert part.frame["patient_journey_id"].to_list() == ["j250.10", "j250.2"]
    assert attributes(part) == [{"zip": "01234", "weight": "1.50"}, {"zip": "99999", "weight": "2"}]


@pytest.mark.parametrize(
    ("stated", "content"),
    [
        ("utf-8", "﻿id,stadt\n1,Köln\n".encode()),
        ("utf-16", "id,stadt\n1,Köln\n".encode("utf-16")),
        ("latin-1", "id,stadt\n1,Köln\n".encode("latin-1")),
        ("cp1252", "id,stadt\n1,Köln\n".encode("cp1252")),
    ],
    ids=["utf-8-bom", "utf-16", "latin-1", "cp1252"],
)
def test_a_stated_encoding_is_read(tmp_path: Path, stated: str, content: bytes) -> None:
    part = read(tmp_path, content, {}, {"encoding": stated})
    assert attributes(part) == [{"stadt": "Köln"}]
    assert part.origin == str(tmp_path / "people.csv")


@pytest.mark.parametrize(
    ("stated", "content", "message"),
    [
        ("utf-8", "id,stadt\n1,Köln\n".encode("latin-1"), "line 2 is not UTF-8; say"),
        ("utf-8", "id,größe\n1,2\n".encode("latin-1"), "header is not UTF-8; say"),
        ("utf-8", "id,stadt\n1,Köln\n".encode("utf-16"), "is UTF-16; say"),
        ("utf-8", "id,stadt\n1,Koeln\n".encode("utf-16-le"), "NUL bytes; is it UTF-16"),
        ("latin-1", "id,stadt\n1,Köln\n".encode(), "is UTF-8, not iso8859-1"),
        ("latin-1", "id,stadt\n1,„Köln“\n".encode("cp1252"), "no letters in iso8859-1; is it cp1252"),
        ("utf-16", "id,stadt\n1,Köln\nx".encode(), "is not utf-16"),
    ],
    ids=[
        "latin-1",
        "latin-1-header",
        "utf-16",
        "utf-16-without-bom",
        "utf-8-as-latin-1",
        "cp1252-as-latin-1",
        "utf-8-as-utf-16",
    ],
)
def test_a_wrong_encoding_is_refused_and_never_mojibake(
    tmp_path: Path, stated: str, content: bytes, message: str
) -> None:
    with pytest.raises(SourceError, match=message) as error:
        read(tmp_path, content, {}, {"encoding": stated})
    assert "people.csv" in str(error.value)
    assert "Köln" not in str(error.value)


def test_decimal_commas_are_read_when_stated_and_refused_otherwise(tmp_path: Path) -> None:
    text = "id;das28;alter\n1;3,5;40\n2;4;41\n3;1.234,5;42\n4;1,2,3;43\n"
    severity = {"disease_severity": "das28"}
    part = read(tmp_path, text, severity, {"decimal": ","})
    assert part.frame["disease_severity"].to_list() == [3.5, 4.0]
    assert set(refusals(part)) == {3, 4}
    part = read(tmp_path, text, severity)
    assert part.frame["disease_severity"].to_list() == [4.0]
    assert "decimal point" in refusals(part)[1]


def test_a_day_is_read_in_the_stated_format_only(tmp_path: Path) -> None:
    text = "id,dx\n1,2024-02-01\n2,01/02/2024\n3,13/02/2024\n4,2024-02-30\n5,24-02-01\n6,2024-02-01 00:00:00\n7,\n"
    iso = read(tmp_path, text, {"diagnosis_date": "dx"})
    assert iso.frame["diagnosis_date"].to_list() == [dt.date(2024, 2, 1), dt.date(2024, 2, 1), None]
    assert set(refusals(iso)) == {2, 3, 4, 5}
    assert "date_format" in refusals(iso)[2]
    german = read(tmp_path, text, {"diagnosis_date": "dx"}, {"date_format": "%d/%m/%Y"})
    assert german.frame["diagnosis_date"].to_list() == [dt.date(2024, 2, 1), dt.date(2024, 2, 13), None]


def test_times_need_a_zone(tmp_path: Path) -> None:
    text = (
        "id,t\n1,2024-01-31T23:30:00-05:00\n2,2024-01-31 08:00:00Z\n3,2024-01-31 08:00:00\n"
        "4,2024-03-31 02:30:00\n5,2024-10-27 02:30:00\n6,2024-01-31\n7,2024-01-31 08:00:00.25+0100\n"
    )
    part = read(tmp_path, text, {"source_timestamp": "t"})
    assert set(refusals(part)) == {3, 4, 5}
    assert "time_zone" in refusals(part)[3]
    part = read(tmp_path, text, {"source_timestamp": "t"}, {"time_zone": "Europe/Berlin"})
    # The clock jumps over the one and shows the other twice.
    assert set(refusals(part)) == {4, 5}
    assert [t.isoformat() for t in part.frame["source_timestamp"]] == [
        "2024-02-01T04:30:00+00:00", "2024-01-31T08:00:00+00:00", "2024-01-31T07:00:00+00:00",
        "2024-01-30T23:00:00+00:00", "2024-01-31T07:00:00.250000+00:00",
    ]  # fmt: skip


def test_a_time_of_a_parquet_file_becomes_a_day_only_where_that_loses_nothing(tmp_path: Path) -> None:
    times = [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 23, 30)]
    frame = pl.DataFrame({"id": ["1", "2"], "t": times})
    frame.write_parquet(tmp_path / "people.parquet")
    mapping = mapped(tmp_path, {"diagnosis_date": "t"})
    part = read_in(read_source(tmp_path / "people.parquet", mapping, now=NOW))
    assert part.frame["diagnosis_date"].to_list() == [dt.date(2024, 1, 1)]
    assert set(refusals(part)) == {2}
    frame.with_columns(pl.col("t").dt.replace_time_zone("UTC")).write_parquet(tmp_path / "people.parquet")
    part = read_in(read_source(tmp_path / "people.parquet", mapping, now=NOW))
    assert "time_zone" in refusals(part)[1]
    mapping = mapped(tmp_path, {"diagnosis_date": "t"}, {"time_zone": "Asia/Tokyo"})
    assert set(refusals(read_in(read_source(tmp_path / "people.parquet", mapping, now=NOW)))) == {1, 2}


def test_integers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    text = "id,age\n1,40\n2,9223372036854775808\n3,99999999999999999999999\n4,40.5\n5,41.0\n6,1e3\n7,forty\n"
    part = read(tmp_path, text, {"age_at_diagnosis": "age"})
    assert part.frame["age_at_diagnosis"].to_list() == [40, 41]
    assert set(refusals(part)) == {2, 3, 4, 6, 7}
    assert part.refused is not None
    row = part.refused.filter(pl.col("row_number") == 7).to_dicts()[0]
    assert (row["key"], row["column_name"], row["rule"]) == ("j7", "age_at_diagnosis", "wrong_type")
    assert json.loads(row["content"])["age_at_diagnosis"] == "forty"
    frame = pl.DataFrame({"id": [1, 2], "age": pl.Series([2**63, 40], dtype=pl.UInt64)})
    frame.write_parquet(tmp_path / "people.parquet")
    mapping = mapped(tmp_path, {"age_at_diagnosis": "age", "patient_journey_id": "id::VARCHAR"})
    assert set(refusals(read_in(read_source(tmp_path / "people.parquet", mapping, now=NOW)))) == {1}


def test_numbers_of_a_parquet_file_that_json_cannot_hold_are_refused(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": ["1", "2", "3"], "x": [1.5, float("nan"), float("inf")]})
    frame.write_parquet(tmp_path / "people.parquet")
    source = tmp_path / "people.parquet"
    assert set(refusals(read_in(read_source(source, mapped(tmp_path, {}), now=NOW)))) == {2, 3}
    part = read_in(read_source(source, mapped(tmp_path, {}, {"nulls": ["NaN"]}), now=NOW))
    assert attributes(part) == [{"x": 1.5}, {"x": None}]


def test_value_maps_and_units(tmp_path: Path) -> None:
    columns = {
        "gender": {"from": "sex", "values": {"1": "M", "2": "F", "9": None}},
        "age_at_diagnosis": {"from": "months", "unit": "months", "factor": 1 / 12},
        "disease_severity": {"from": "percent", "unit": "percent", "factor": 0.1},
    }
    text = "id,sex,months,percent\n1,1,480,35\n2,2,600,\n3,9,480,50\n4,3,480,50\n5,,485,50\n"
    part = read(
        tmp_path,
        text,
        columns,
        attributes={"married": {"from": "sex", "values": {"1": "yes", "2": "no", "9": "no"}}},
    )
    assert part.frame["gender"].to_list() == ["M", "F", None]
    assert part.frame["age_at_diagnosis"].to_list() == [40, 50, 40]
    assert part.frame["disease_severity"].to_list() == [3.5, None, 5.0]
    assert refusals(part) == {
        4: "is a value that the value map does not have",
        5: "must be Int64, a whole number in digits alone",
    }
    assert attributes(part)[0] == {"married": "yes"}


@pytest.mark.parametrize("value", ["2", "yes", "0.5"])
def test_only_true_and_false_are_truth_values(tmp_path: Path, value: str) -> None:
    part = read(tmp_path, f"id,x\n1,1\n2,false\n3,{value}\n", {"academic_hcp": "x"})
    assert part.frame["academic_hcp"].to_list() == [True, False]
    assert set(refusals(part)) == {3}


def test_text_may_depend_on_a_number(tmp_path: Path) -> None:
    part = read(tmp_path, "id,n,dose\n1,1,1.50\n2,2,2\n", {
        "patient_id": "'p' || id",
        "diagnosis_code": "CASE WHEN n > 1 THEN 'many' ELSE 'one' END",
        "data_source": "CASE WHEN dose::DOUBLE > 1.6 THEN 'high' ELSE dose END",
    })  # fmt: skip
    assert part.frame["diagnosis_code"].to_list() == ["one", "many"]
    assert part.frame["data_source"].to_list() == ["1.50", "high"]


@pytest.mark.parametrize(
    "expression",
    [
        "age::INTEGER + 1",
        "strptime(age, '%Y')::DATE",
        "(age || '0')::DECIMAL",
        "id::BIGINT * 9223372036854775807",
    ],
)
def test_an_expression_that_fails_on_a_value_names_its_line_and_not_the_value(
    tmp_path: Path, expression: str
) -> None:
    with pytest.raises(MappingError, match=r"mapping\.yaml:\d+: .*age_at_diagnosis: .*does not fit") as error:
        read(tmp_path, "id,age\n1,2020\n2,secret\n", {"age_at_diagnosis": expression})
    assert "secret" not in str(error.value)


def test_mapped_attributes_have_the_types_of_their_values(tmp_path: Path) -> None:
    maps = {"a": {"1": "true", "2": "false"}, "b": {"1": 10, "2": 20}, "c": {"1": "007", "2": "x"}}
    made = {name: {"from": "v", "values": values} for name, values in maps.items()}
    part = read(tmp_path, "id,v\n1,1\n2,2\n", {}, attributes=made)
    assert attributes(part) == [{"a": True, "b": 10, "c": "007"}, {"a": False, "b": 20, "c": "x"}]


NO_NUMBERS = {
    "list": [[61]],
    "struct": [{"years": 61}],
    "bytes": [b"\xff"],
}


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("how", ["age", {"from": "age", "values": {"old": "61"}}])
def test_a_parquet_column_of_another_type_makes_rows_refused(tmp_path: Path, kind: str, how: Any) -> None:
    pl.DataFrame({"id": ["p1"], "age": NO_NUMBERS[kind]}).write_parquet(tmp_path / "people.parquet")
    mapping = mapped(tmp_path, {"age_at_diagnosis": how})
    part = read_in(read_source(tmp_path / "people.parquet", mapping, now=NOW))
    assert part.refused is not None
    assert part.refused["column_name"].to_list() == ["age_at_diagnosis"]
    assert json.loads(part.refused["content"][0])["patient_id"] == "p1"


@pytest.mark.parametrize("columns", [{"age_at_diagnosis": "until - since"}, {}])
def test_a_span_of_time_is_no_number(tmp_path: Path, columns: dict[str, str]) -> None:
    path = tmp_path / "clinic.duckdb"
    with duckdb.connect(str(path)) as clinic:
        clinic.sql(
            "CREATE TABLE people AS SELECT 'p1' AS id, TIMESTAMP '2024-01-01' AS since, "
            "TIMESTAMP '2024-03-02' AS until, until - since AS span"
        )
    mapping = mapped(tmp_path, columns, table="people")
    with pytest.raises(MappingError, match=r"mapping\.yaml.*INTERVAL; make it a number"):
        read_source(path, mapping, now=NOW)


def test_a_cell_of_ten_megabytes_is_refused_as_in_a_csv(tmp_path: Path) -> None:
    notes = ["x" * 2_000_000, "x" * 10_000_000, None]
    pl.DataFrame({"id": ["1", "2", "3"], "note": notes}).write_parquet(tmp_path / "people.parquet")
    part = read_in(read_source(tmp_path / "people.parquet", mapped(tmp_path, {}), now=NOW))
    assert [len(content.get("note") or "") for content in attributes(part)] == [2_000_000, 0]
    assert part.refused is not None
    assert part.refused.select("row_number", "column_name", "rule", "reason").rows() == [
        (2, "note", "too_long", "must be at most 2,000,000 bytes")
    ]


CODES = {"icd9": ["250.00", "250.0", "401.9"], "plate": ["1E2", "100", "1e2"], "zip": ["007", "7", "70"]}


@pytest.mark.parametrize("kind", ["csv", "parquet", "gz", "semicolons"])
def test_an_attribute_is_what_is_declared_and_else_what_is_written(tmp_path: Path, kind: str) -> None:
    frame = pl.DataFrame(
        {"id": ["1", "2", "3"], **CODES, "n": ["1", "2.5", "3.5"], "m": ["1.0", "2.5", None]}
    )
    path = tmp_path / ("people.parquet" if kind == "parquet" else "people.csv")
    frame.write_parquet(path) if kind == "parquet" else frame.write_csv(
        path, separator=";" if kind == "semicolons" else ","
    )
    if kind == "gz":
        path = path.with_suffix(".csv.gz")
        path.write_bytes(gzip.compress(frame.write_csv().encode()))
    part = read_in(read_source(path, mapped(tmp_path, {}, attributes={"dx": "icd9"}), now=NOW))
    content = part.frame.select("clinical_attributes")
    result = expand(content, {})
    assert result.select("dx", "plate", "zip").to_dict(as_series=False) == {
        "dx": CODES["icd9"], "plate": CODES["plate"], "zip": CODES["zip"],
    }  # fmt: skip
    # Not every value of `n` is written as one rule writes numbers.
    assert result.select("m", "n").to_dict(as_series=False) == {
        "m": [1.0, 2.5, None], "n": ["1", "2.5", "3.5"],
    }  # fmt: skip
    declared = expand(content, {name: Attribute(dtype="number") for name in ("dx", "plate", "n")})
    assert declared.select("dx", "plate", "n").rows() == [
        (250.0, 100.0, 1.0),
        (250.0, 100.0, 2.5),
        (401.9, 100.0, 3.5),
    ]
    with pytest.raises(
        AttributeMismatch, match=r"clinical attribute n: 2 values are not .* integer .*digits"
    ):
        expand(content, {"n": Attribute(dtype="integer")})


def test_an_attribute_is_what_it_was_when_other_rows_are_not(tmp_path: Path) -> None:
    """A later delivery decides nothing about the spelling of an earlier one."""
    first = read(tmp_path, "id,code\n1,5\n2,6\n", {}).frame
    later = read(tmp_path, "id,code\n3,250.00\n4,true\n", {}).frame
    content = pl.concat([first, later]).select("clinical_attributes")
    assert expand(content, {})["code"].to_list() == ["5", "6", "250.00", "true"]
    assert expand(content, {"code": Attribute(dtype="string")})["code"].to_list() == [
        "5",
        "6",
        "250.00",
        "true",
    ]


def test_a_cell_that_is_used_as_text_is_text_as_written(tmp_path: Path) -> None:
    part = read(tmp_path, "id,dose\n1,1.50\n2,1.5\n3,2\n", {}, attributes={
        "label": "'d' || dose", "is_150": "dose = '1.50'", "twice": "dose * 2", "given": {"from": "dose"},
    })  # fmt: skip
    assert attributes(part) == [
        {"label": "d1.50", "is_150": True, "twice": 3.0, "given": "1.50"},
        {"label": "d1.5", "is_150": False, "twice": 3.0, "given": "1.5"},
        {"label": "d2", "is_150": False, "twice": 4.0, "given": "2"},
    ]
