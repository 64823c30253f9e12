"""Another PostgreSQL as a source: read in one read-only transaction, written to never."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import adbc_driver_manager as adbc
import polars as pl
import psycopg
import pytest

from e2i_assets.addresses import without_secrets
from e2i_assets.ingest.databases import connect_read_only
from e2i_assets.ingest.drafts import suggest
from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.mapping import Mapping, MappingError
from e2i_assets.ingest.opening import open_source
from e2i_assets.ingest.sources import read_source
from e2i_assets.ingest.suggest import SAMPLE

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
TEXT = """
source: hospital
tables:
  patient_journeys:
    table: clinic.people
    columns:
      patient_journey_id: "'j' || id"
      patient_id: id
      brand: "'Brand'"
      indication: "'a'"
      age_at_diagnosis: age
      disease_severity: severity
      first_observation_date: seen
      last_observation_date: seen
      source_timestamp: recorded
"""


@pytest.fixture
def hospital(server: str) -> Iterator[str]:
    name = f"hospital_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        url = server.replace("/postgres?", f"/{name}?").split("&options")[0].split("?options")[0]
        with psycopg.connect(url) as connection:
            connection.execute("CREATE SCHEMA clinic")
            connection.execute(
                "CREATE TABLE clinic.people AS SELECT i::text AS id, "
                "lpad(i::text, 32, '0')::uuid AS registry, '{1,2}'::int[] AS codes, 20 + i % 60 AS age, 3.5::numeric AS severity, "
                "date '2024-01-01' + i % 300 AS seen, timestamptz '2024-12-01 08:00+02' AS recorded, "
                "i % 2 = 0 AS smoker FROM generate_series(1, 60000) i"
            )
            connection.execute("CREATE SEQUENCE clinic.counter")
        yield url
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def executed(cursor: Any, statement: str) -> list[tuple[Any, ...]]:
    cursor.execute(statement)
    return cursor.fetchall()


def test_its_tables_arrive_in_parts(hospital: str, tmp_path: Path) -> None:
    load = read_source(hospital, Mapping.from_text(TEXT, tmp_path), now=NOW)
    parts = list(load.parts("patient_journeys"))
    assert len(parts) > 1
    frame = pl.concat(part.frame for part in parts)
    assert frame.height == frame["patient_id"].n_unique() == 60_000
    first = frame.filter(patient_id="1").to_dicts()[0]
    assert (first["age_at_diagnosis"], first["disease_severity"]) == (21, 3.5)
    assert first["source_timestamp"] == dt.datetime(2024, 12, 1, 6, tzinfo=dt.UTC)
    assert json.loads(first["clinical_attributes"]) == {
        "registry": "00000000-0000-0000-0000-000000000001", "codes": "{1,2}", "smoker": False,
    }  # fmt: skip


def test_a_number_of_any_digits_is_a_number_where_that_loses_nothing(hospital: str, tmp_path: Path) -> None:
    with psycopg.connect(hospital) as connection:
        connection.execute(
            "CREATE TABLE clinic.odd AS SELECT i::numeric AS id, 20 + i AS age, 3.50 AS severity, "
            "timestamptz '2024-12-01Z' AS recorded, date '2024-01-01' AS seen, i / 4.0 AS dose, "
            "i * 1e30 + 0.5 AS long, CASE WHEN i = 2 THEN date 'infinity' END AS until, "
            "CASE WHEN i = 3 THEN timestamptz '-infinity' END AS since FROM generate_series(1, 3) i"
        )
    load = read_source(hospital, Mapping.from_text(TEXT.replace(".people", ".odd"), tmp_path), now=NOW)
    (part,) = load.parts("patient_journeys")
    assert part.frame.select("patient_id", "disease_severity").rows() == [("1", 3.5)]
    assert json.loads(part.frame["clinical_attributes"][0]) == {
        "dose": 0.25, "long": "1000000000000000000000000000000.5", "until": None, "since": None,
    }  # fmt: skip
    assert part.refused is not None
    assert part.refused.select("row_number", "column_name", "reason").rows() == [
        (2, "until", "must be in the years 1 to 9999"), (3, "since", "must be in the years 1 to 9999"),
    ]  # fmt: skip


def test_columns_that_differ_in_case_alone_are_refused(hospital: str, tmp_path: Path) -> None:
    with psycopg.connect(hospital) as connection:
        connection.execute('ALTER TABLE clinic.people ADD "Age" int')
    with pytest.raises(SourceError, match=r"clinic\.people has columns age that differ in case alone"):
        read_source(hospital, Mapping.from_text(TEXT, tmp_path), now=NOW)


def test_a_reader_who_may_write_nothing_suffices(hospital: str, tmp_path: Path) -> None:
    role = f"reader_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(hospital) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute(f"GRANT USAGE ON SCHEMA clinic TO {role}; GRANT SELECT ON clinic.people TO {role}")
    try:
        load = read_source(as_user(hospital, role), Mapping.from_text(TEXT, tmp_path), now=NOW)
        assert sum(part.frame.height for part in load.parts("patient_journeys")) == 60_000
        del load
    finally:
        with psycopg.connect(hospital) as connection:
            connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def as_user(url: str, role: str) -> str:
    names = psycopg.conninfo.conninfo_to_dict(url)
    return f"postgresql://{role}@/{names['dbname']}?host={names['host']}"


def test_a_draft_is_made_from_a_sample(hospital: str, tmp_path: Path) -> None:
    source = open_source(hospital)
    mapping = Mapping.from_text(suggest(source, NOW.date()).text, tmp_path)
    assert mapping.tables["patient_journeys"].table == "clinic.people"
    assert mapping.tables["patient_journeys"].columns["age_at_diagnosis"].expression == "age"
    assert source.connection.execute('SELECT count(*) FROM "suggest people"').fetchall() == [(SAMPLE,)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO clinic.people (id) VALUES ('x')",
        "UPDATE clinic.people SET age = 0",
        "DELETE FROM clinic.people",
        "TRUNCATE clinic.people",
        "DROP TABLE clinic.people",
        "CREATE TABLE clinic.mine (x int)",
        "SELECT nextval('clinic.counter')",
    ],
)
def test_nothing_can_be_written_there(hospital: str, statement: str) -> None:
    """The very session that the importer opens; the user may do all of this otherwise."""
    with connect_read_only(hospital) as connection, connection.cursor() as cursor:
        with pytest.raises(adbc.Error, match="read-only transaction"):
            executed(cursor, statement)
        connection.rollback()
    with psycopg.connect(hospital) as connection:
        connection.execute(statement)
        connection.rollback()


def test_a_server_that_goes_away_midway_is_an_error(
    hospital: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that is open is cut off when the copy of the first table begins."""
    from e2i_assets.ingest import databases

    provide = databases.Postgres.provide

    def cut_off(self: databases.Postgres, *given: object) -> None:
        with psycopg.connect(hospital, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        provide(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(databases.Postgres, "provide", cut_off)
    with pytest.raises(SourceError, match="does not answer or refuses"):
        read_source(hospital, Mapping.from_text(TEXT, tmp_path), now=NOW)


def test_what_is_not_there_is_named_without_the_password(tmp_path: Path) -> None:
    url = "postgresql://someone:topsecret@127.0.0.1:1/none"
    assert without_secrets(url) == "postgresql://someone@127.0.0.1:1/none"
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:1/none: the database does not answer") as error:
        read_source(url, Mapping.from_text(TEXT, tmp_path), now=NOW)
    assert "topsecret" not in str(error.value)


def test_a_table_that_is_not_there_is_named(hospital: str, tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r":5: .*\.table: .*has no table clinic\.patients"):
        read_source(hospital, Mapping.from_text(TEXT.replace(".people", ".patients"), tmp_path), now=NOW)
    with pytest.raises(MappingError, match="is a database; name what fills patient_journeys with `table:`"):
        read_source(
            hospital, Mapping.from_text(TEXT.replace("table: clinic.people", "file: x"), tmp_path), now=NOW
        )
