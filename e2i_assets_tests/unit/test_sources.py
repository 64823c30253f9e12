"""Other people's files: what is in them arrives as it was, or a message or a refused row says why not."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import polars as pl
import pytest
import yaml

from e2i_assets.contracts.base import columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.load import ROW, Load, Part
from e2i_assets.ingest.mapping import Mapping, MappingError
from e2i_assets.ingest.problems import LoadError
from e2i_assets.ingest.sources import read_source

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
BASE = {
    "patient_journey_id": "'j' || id", "patient_id": "id", "brand": "'Brand'", "indication": "'a'",
    "first_observation_date": "DATE '2024-01-01'", "last_observation_date": "DATE '2024-12-31'",
    "source_timestamp": "TIMESTAMPTZ '2024-01-01 00:00:00+00'",
}  # fmt: skip


def mapped(folder: Path, columns: dict[str, Any], read: dict[str, Any] | None = None, **spec: Any) -> Mapping:
    path = folder / "mapping.yaml"
    table = {"columns": {**BASE, **columns}, **spec}
    path.write_text(
        yaml.safe_dump({"source": "test", "read": read or {}, "tables": {"patient_journeys": table}})
    )
    return Mapping.from_yaml(path)


def given(folder: Path, content: bytes | str, name: str = "people.csv") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read_in(load: Load) -> Part:
    parts = list(load.parts("patient_journeys"))
    refused = [part.refused for part in parts if part.refused is not None]
    return Part(pl.concat([p.frame for p in parts]), pl.concat(refused) if refused else None, parts[0].origin)


def read(
    folder: Path,
    content: bytes | str,
    columns: dict[str, Any],
    how: dict[str, Any] | None = None,
    **spec: Any,
) -> Part:
    return read_in(read_source(given(folder, content), mapped(folder, columns, how, **spec), now=NOW))


def attributes(part: Part) -> list[dict[str, Any]]:
    return [json.loads(document) for document in part.frame["clinical_attributes"]]


def refusals(part: Part) -> dict[int, str]:
    return {} if part.refused is None else dict(part.refused.select("row", "reason").iter_rows())


def test_what_the_mapping_does_not_name_is_carried_along(tmp_path: Path) -> None:
    part = read(
        tmp_path,
        "id,seen,height,name,smoker,score\n1,2024-01-01,190,Ann,true,1.5\n2,2024-02-01,150,Bob,false,\n",
        {"first_observation_date": "seen", "last_observation_date": "seen + 30"},
        attributes={"tall": "height > 180"}, leave_out=["name"],
    )  # fmt: skip
    assert attributes(part) == [
        {"tall": True, "smoker": True, "score": 1.5},
        {"tall": False, "smoker": False, "score": None},
    ]
    assert part.frame["last_observation_date"].to_list() == [dt.date(2024, 1, 31), dt.date(2024, 3, 2)]
    assert part.frame["ingestion_timestamp"].unique().to_list() == [NOW]
    assert part.frame[ROW].to_list() == [1, 2]


def test_columns_that_a_table_cannot_carry_are_told(tmp_path: Path) -> None:
    given(tmp_path, "npi,id,shoe size\n1,h1,40\n", "hcps.csv")
    table = {"columns": {"hcp_id": "id"}}
    text = yaml.safe_dump({"source": "test", "tables": {"hcp_profiles": table}})
    load = read_source(tmp_path / "hcps.csv", Mapping.from_text(text, tmp_path), now=NOW)
    assert [note.rpartition(": ")[2] for note in load.notes] == ["npi, shoe size"]
    assert read_source(given(tmp_path, "id,x\n1,2\n"), mapped(tmp_path, {}), now=NOW).notes == ()


def test_text_that_looks_like_a_number_stays_as_it_is_written(tmp_path: Path) -> None:
    part = read(
        tmp_path,
        "id,code,zip,weight\n007,250.10,01234,1.50\n008,250.2,99999,2\n",
        {"diagnosis_code": "code", "patient_journey_id": "'j' || code"},
    )
    assert part.frame["patient_id"].to_list() == ["007", "008"]
    assert part.frame["diagnosis_code"].to_list() == ["250.10", "250.2"]
    assert part.frame["patient_journey_id"].to_list() == ["j250.10", "j250.2"]
    assert attributes(part) == [{"zip": "01234", "weight": 1.5}, {"zip": "99999", "weight": 2.0}]


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
    ("stated", "content", "said"),
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
    tmp_path: Path, stated: str, content: bytes, said: str
) -> None:
    with pytest.raises(SourceError, match=said) as error:
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
    row = part.refused.filter(pl.col("row") == 7).to_dicts()[0]
    assert (row["key"], row["column"], row["rule"]) == ("j7", "age_at_diagnosis", "wrong_type")
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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,v,V\n1,a,b\n", "has column v twice"),
        ("id,,v\n1,a,b\n", "column 2 has no name"),
        ('id,"v\nw"\n1,2\n', "header has a quote that does not end"),
        ("id,v\n1,secret,c\n", "line 2 has another number of cells"),
        ('id,v\n1,"secret\n2,x\n', "a quote that does not end"),
        ("id,v\n1," + "secret" * 2_000_000 + "\n", "line 2 is longer than"),
        ("id,v\n", "has no rows"),
        ("", "is empty"),
    ],
    ids=["twice", "unnamed", "header-quote", "ragged", "open-quote", "huge", "no-rows", "empty"],
)
def test_a_broken_csv_is_named_without_its_values(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(SourceError, match=said) as error:
        read(tmp_path, content, {})
    assert "people.csv" in str(error.value)
    assert "secret" not in str(error.value)


def test_duplicate_columns_of_a_parquet_file_are_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_arrays([pa.array(["1"]), pa.array([2]), pa.array([3])], names=["id", "v", "v"])
    pq.write_table(table, tmp_path / "people.parquet")
    with pytest.raises(SourceError, match="has column v twice"):
        read_source(tmp_path / "people.parquet", mapped(tmp_path, {}), now=NOW)


def test_the_files_of_a_folder_are_one_table(tmp_path: Path) -> None:
    given(tmp_path, "id,x\n1,5\n2,6\n", "data/a.csv")
    given(tmp_path, "x,id\nseven,3\n8,4\n", "data/b.csv")
    load = read_source(tmp_path, mapped(tmp_path, {}, file="data/*.csv"), now=NOW)
    parts = list(load.parts("patient_journeys"))
    assert [(Path(p.origin or "").name, p.frame[ROW].to_list()) for p in parts] == [
        ("a.csv", [1, 2]),
        ("b.csv", [1, 2]),
    ]
    # One cell of one file is no number, so the column is text in all of them.
    assert [a["x"] for p in parts for a in attributes(p)] == ["5", "6", "seven", "8"]


@pytest.mark.parametrize("kind", ["parquet", "csv", "latin-1"])
def test_folders_that_name_a_value_make_a_column_of_text(tmp_path: Path, kind: str) -> None:
    for zip_code in ("00501", "10 001"):
        folder = tmp_path / "data" / f"zip={zip_code.replace(' ', '%20')}"
        folder.mkdir(parents=True)
        frame = pl.DataFrame({"id": [zip_code[:2]]})
        frame.write_parquet(folder / "a.parquet") if kind == "parquet" else frame.write_csv(folder / "a.csv")
    how = {"encoding": "latin-1"} if kind == "latin-1" else {}
    load = read_source(tmp_path, mapped(tmp_path, {}, how, file="data"), now=NOW)
    assert [a["zip"] for a in attributes(read_in(load))] == ["00501", "10 001"]
    if kind != "parquet":
        given(tmp_path, "id\n3\n", "data/b.csv")
        with pytest.raises(SourceError, match=r"lacks zip|has zip"):
            read_source(tmp_path, mapped(tmp_path, {}, how, file="data"), now=NOW)


def test_a_column_renamed_between_files_is_refused(tmp_path: Path) -> None:
    given(tmp_path, "id,x\n1,5\n", "data/a.csv")
    given(tmp_path, "id,y\n2,6\n", "data/b.csv")
    with pytest.raises(SourceError, match=r"b\.csv: its columns are not those of .*a\.csv: lacks x; has y"):
        read_source(tmp_path, mapped(tmp_path, {}, file="data"), now=NOW)
    for name, value in (("a", 1), ("b", "x")):
        pl.DataFrame({"id": [name], "x": [value]}).write_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(SourceError, match=r"b\.parquet: column x is (large_)?string, and int64 in"):
        read_source(tmp_path, mapped(tmp_path, {}, file="*.parquet"), now=NOW)


def test_a_source_that_disappears_midway_is_an_error(tmp_path: Path) -> None:
    for name in "ab":
        given(tmp_path, "id,x\n" + "".join(f"{name}{i},{i}\n" for i in range(60_000)), f"data/{name}.csv")
    load = read_source(tmp_path, mapped(tmp_path, {}, file="data/*.csv"), now=NOW)
    (tmp_path / "data" / "b.csv").unlink()
    with pytest.raises(SourceError, match=r"b\.csv: cannot be read: is not there"):
        list(load.parts("patient_journeys"))


def test_a_source_that_is_cut_midway_is_an_error(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": [str(i) for i in range(200_000)]})
    frame.write_parquet(tmp_path / "people.parquet", row_group_size=20_000)
    load = read_source(tmp_path / "people.parquet", mapped(tmp_path, {}), now=NOW)
    content = (tmp_path / "people.parquet").read_bytes()
    (tmp_path / "people.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match=r"people\.parquet"):
        list(load.parts("patient_journeys"))


def test_a_half_written_parquet_is_named(tmp_path: Path) -> None:
    pl.DataFrame({"id": ["1"]}).write_parquet(tmp_path / "people.parquet")
    file = tmp_path / "people.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"people\.parquet: cannot be read, the file is damaged"):
        read_source(file, mapped(tmp_path, {}), now=NOW)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_fsspec_url_is_read(tmp_path: Path, kind: str) -> None:
    memory = fsspec.filesystem("memory")
    frame = pl.DataFrame({"id": ["1", "2"], "x": [3, 4]})
    for name in "ab":
        with memory.open(f"/trial-{kind}/{name}.{kind}", "wb") as opened:
            frame.write_csv(opened) if kind == "csv" else frame.write_parquet(opened)
    mapping = mapped(tmp_path, {}, file=f"*.{kind}")
    load = read_source(f"memory://trial-{kind}", mapping, now=NOW)
    assert [a["x"] for a in attributes(read_in(load))] == [3, 4, 3, 4]
    url = (tmp_path / "people.csv").as_uri()
    given(tmp_path, "id,x\n1,5\n")
    assert attributes(read_in(read_source(url, mapped(tmp_path, {}), now=NOW))) == [{"x": 5}]
    with pytest.raises(SourceError, match="no such file"):
        read_source("memory://nowhere", mapping, now=NOW)
    with pytest.raises(SourceError, match="Protocol not known: nonesuch"):
        read_source("nonesuch://x", mapping, now=NOW)


def test_a_large_source_is_read_in_parts(tmp_path: Path) -> None:
    pl.DataFrame({"id": [str(i) for i in range(120_000)]}).write_parquet(tmp_path / "people.parquet")
    load = read_source(tmp_path / "people.parquet", mapped(tmp_path, {}), now=NOW)
    heights = [part.frame.height for part in load.parts("patient_journeys")]
    assert sum(heights) == 120_000
    assert max(heights) <= 50_000


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


def test_text_may_depend_on_a_number(tmp_path: Path) -> None:
    part = read(tmp_path, "id,n,dose\n1,1,1.50\n2,2,2\n", {
        "patient_id": "'p' || id",
        "diagnosis_code": "CASE WHEN n > 1 THEN 'many' ELSE 'one' END",
        "data_source": "CASE WHEN dose::DOUBLE > 1.6 THEN 'high' ELSE dose END",
    })  # fmt: skip
    assert part.frame["diagnosis_code"].to_list() == ["one", "many"]
    assert part.frame["data_source"].to_list() == ["1.50", "high"]


def test_rows_name_their_source(tmp_path: Path) -> None:
    assert read(tmp_path, "id\n1\n", {}).frame["data_source"].to_list() == ["test"]
    names = [c.name for c in columns(TABLES["hcp_profiles"]) if c.name != "data_source"]
    path = given(tmp_path, ",".join(names) + "\nh1" + "," * (len(names) - 1), "hcp_profiles.csv")
    (part,) = read_source(path, None, now=NOW).parts("hcp_profiles")
    assert part.frame["data_source"].to_list() == [str(path)]


def test_a_folder_named_for_our_tables_needs_no_mapping(tmp_path: Path) -> None:
    names = [c.name for c in columns(TABLES["hcp_profiles"])]
    cells = {"hcp_id": "h1", "decile": "3"}
    rows = [names, [cells.get(name, "") for name in names]]
    given(tmp_path, "\n".join(",".join(row) for row in rows), "hcp_profiles.csv")
    load = read_source(tmp_path, None, now=NOW)
    assert next(load.parts("hcp_profiles")).frame["decile"].to_list() == [3]
    given(tmp_path, "hcp_id,shoe_size\nh1,3\n", "hcp_profiles.csv")
    with pytest.raises(LoadError, match="column shoe_size: is not in the contract"):
        read_source(tmp_path, None, now=NOW)
    (tmp_path / "hcp_profiles.csv").rename(tmp_path / "unknown.csv")
    with pytest.raises(SourceError, match="nothing is named for a table of ours"):
        read_source(tmp_path, None, now=NOW)


def test_a_mistake_in_a_file_of_another_encoding_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as error:
        read(tmp_path, "id,stadt\n1,Köln,x\n".encode("cp1252"), {}, {"encoding": "cp1252"})
    assert (
        str(error.value) == f"{tmp_path / 'people.csv'}: line 2 has another number of cells than the header"
    )


def test_a_file_without_quotes_is_read_as_it_is(tmp_path: Path) -> None:
    """As the vocabulary files of an OMOP CDM are: tabs, and quotes that mean nothing."""
    text = 'id\tname\n1\t5" needle\n2\t"x\n'
    assert attributes(read(tmp_path, text, {}, {"quote": ""})) == [{"name": '5" needle'}, {"name": '"x'}]
    with pytest.raises(SourceError, match=r"people\.csv: line \d"):
        read(tmp_path, text, {})


def test_a_column_to_leave_out_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(
        MappingError, match=r"mapping\.yaml:\d+: .*leave_out\.0: .*people\.csv has no column Name"
    ):
        read(tmp_path, "id,name\n1,Ann\n", {}, leave_out=["Name"])


def test_nothing_is_carried_beside_an_object_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"clinical_attributes: is one object already.*: x"):
        read(tmp_path, "id,held,x\n1,{},2\n", {"clinical_attributes": "held"})


def test_mapped_attributes_have_the_types_of_their_values(tmp_path: Path) -> None:
    maps = {"a": {"1": "true", "2": "false"}, "b": {"1": 10, "2": 20}, "c": {"1": "007", "2": "x"}}
    made = {name: {"from": "v", "values": values} for name, values in maps.items()}
    part = read(tmp_path, "id,v\n1,1\n2,2\n", {}, attributes=made)
    assert attributes(part) == [{"a": True, "b": 10, "c": "007"}, {"a": False, "b": 20, "c": "x"}]


def test_a_cell_of_ten_megabytes_is_refused_as_in_a_csv(tmp_path: Path) -> None:
    notes = ["x" * 2_000_000, "x" * 10_000_000, None]
    pl.DataFrame({"id": ["1", "2", "3"], "note": notes}).write_parquet(tmp_path / "people.parquet")
    part = read_in(read_source(tmp_path / "people.parquet", mapped(tmp_path, {}), now=NOW))
    assert [len(held.get("note") or "") for held in attributes(part)] == [2_000_000, 0]
    assert part.refused is not None
    assert part.refused.select("row", "column", "rule", "reason").rows() == [
        (2, "note", "too_long", "must be at most 2,000,000 bytes")
    ]


def test_an_expression_that_cannot_be_bound_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(
        MappingError, match=r"mapping\.yaml:\d+: tables\.patient_journeys\.columns\.patient_id"
    ):
        read(tmp_path, "id\n1\n", {"patient_id": "nowhere"})
    with pytest.raises(MappingError, match=r"mapping\.yaml:\d+: .*attributes\.tall.*is not SQL"):
        read(tmp_path, "id\n1\n", {}, attributes={"tall": "height >"})


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
    assert part.refused["column"].to_list() == ["age_at_diagnosis"]
    assert json.loads(part.refused["content"][0])["patient_id"] == "p1"


def test_without_a_mapping_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    """Filled by silence it would be emptied in rows that are loaded already, even where it may be null."""
    given(tmp_path, "hcp_id,npi\nh1,1\n", "hcp_profiles.csv")
    with pytest.raises(LoadError, match="hcp_profiles, column decile: is missing"):
        read_source(tmp_path, None, now=NOW)


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
