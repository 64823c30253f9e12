"""Other people's files: what is in them arrives as it was, or a message or a refused row says why not."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import fsspec
import polars as pl
import pytest
import yaml

from e2i_assets.contracts.base import columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.load import ROW
from e2i_assets.ingest.mapping import Mapping, MappingError
from e2i_assets.ingest.problems import LoadError
from e2i_assets.ingest.sources import read_source
from e2i_assets_tests.unit.source_frames import NOW, attributes, given, mapped, read, read_in


def test_what_the_mapping_does_not_name_is_carried_along(tmp_path: Path) -> None:
    part = read(
        tmp_path,
        "id,seen,height,name,smoker,score\n1,2024-01-01,190,Ann,true,1.5\n2,2024-02-01,150,Bob,false,\n",
        {"first_observation_date": "seen", "last_observation_date": "seen + 30"},
        attributes={"tall": "height > 180"}, leave_out=["name"],
    )  # fmt: skip
    assert attributes(part) == [
        {"tall": True, "smoker": "true", "score": "1.5"},
        {"tall": False, "smoker": "false", "score": None},
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


def test_columns_of_ours_that_a_mapping_does_not_fill_are_not_collected(tmp_path: Path) -> None:
    given(tmp_path, "id,age,day\n1,40,2024-01-01\n")
    stamp = "TIMESTAMPTZ '2025-01-01 00:00:00+00'"
    event = {
        "treatment_event_id": "id", "patient_journey_id": "id", "patient_id": "id", "event_date": "day",
        "event_type": "'lab_test'", "source_timestamp": stamp, "cost": "NULL",
    }  # fmt: skip
    document = (
        mapped(tmp_path, {"age_at_diagnosis": "age"}).tables["patient_journeys"].model_dump(by_alias=True)
    )
    tables = {
        "patient_journeys": {"file": "people.csv", "columns": document["columns"]},
        "treatment_events": {"file": "people.csv", "columns": event},
    }
    text = yaml.safe_dump({"source": "test", "tables": tables})
    absent = read_source(tmp_path, Mapping.from_text(text, tmp_path), now=NOW).not_collected
    assert {"gender", "hcp_id", "treatment_initiated"} <= set(absent["patient_journeys"])
    filled = {"age_at_diagnosis", "patient_id", "data_source", "ingestion_timestamp", "clinical_attributes"}
    assert filled.isdisjoint(absent["patient_journeys"])
    assert sorted(absent["treatment_events"]) == [
        "adverse_event_flag", "brand", "cost", "discontinuation_flag", "duration_days", "event_subtype", "hcp_id",
        "value",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
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
def test_a_broken_csv_is_named_without_its_values(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(SourceError, match=message) as error:
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
        MappingError, match=r"mapping\.yaml:\d+: .*leave_out\[0\]: .*people\.csv has no column Name"
    ):
        read(tmp_path, "id,name\n1,Ann\n", {}, leave_out=["Name"])


def test_nothing_is_carried_beside_an_object_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"clinical_attributes: is one object already.*: x"):
        read(tmp_path, "id,held,x\n1,{},2\n", {"clinical_attributes": "held"})


def test_an_expression_that_cannot_be_bound_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(
        MappingError, match=r"mapping\.yaml:\d+: tables\.patient_journeys\.columns\.patient_id"
    ):
        read(tmp_path, "id\n1\n", {"patient_id": "nowhere"})
    with pytest.raises(MappingError, match=r"mapping\.yaml:\d+: .*attributes\.tall.*is not SQL"):
        read(tmp_path, "id\n1\n", {}, attributes={"tall": "height >"})


def test_without_a_mapping_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    """Filled by silence it would be emptied in rows that are loaded already, even where it may be null."""
    given(tmp_path, "hcp_id,npi\nh1,1\n", "hcp_profiles.csv")
    with pytest.raises(LoadError, match="hcp_profiles, column decile: is missing"):
        read_source(tmp_path, None, now=NOW)
