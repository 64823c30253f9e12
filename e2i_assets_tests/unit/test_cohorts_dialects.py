"""The SQL that a cohort would send to Spark and to Snowflake: the connection alone decides between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import polars as pl
import pytest
import sqlglot

from e2i_assets.cohorts import CohortConfig, CohortConstructor, parquet
from e2i_assets.cohorts.criteria import rules_of
from e2i_assets.cohorts.events import with_event_counts
from e2i_assets.cohorts.masks import combinations, eligible, with_flags
from e2i_assets_tests.benchmarks.cohort_events import CONFIG
from e2i_assets_tests.benchmarks.cohort_events import write as write_events

DIALECTS = {"pyspark": "spark", "databricks": "databricks", "snowflake": "snowflake"}
"""Ibis's name to SQLGlot's."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("events")
    write_events(folder, journeys=2_000, events=40_000)
    return folder


@pytest.fixture(scope="module")
def connection(folder: Path) -> Any:
    engine = ibis.duckdb.connect()
    for name in ("journeys", "events"):
        engine.create_table(name, engine.read_parquet(folder / f"{name}.parquet"))
    return engine


def plan(config: CohortConfig, connection: Any) -> tuple[Any, Any]:
    """Members and combinations of flags, as a table of a database makes them."""
    journeys = connection.table("journeys")
    counted = with_event_counts(config, journeys, connection.table("events"))
    rules = rules_of(config, counted)
    flagged = with_flags(counted, rules, journeys.columns)
    return eligible(flagged, rules).select(*journeys.columns), combinations(flagged, rules)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_sent_to_another_engine_means_the_same(connection: Any, dialect: str) -> None:
    """Its statement, read in its dialect and run here, gives the members and counts that DuckDB gives."""
    chosen, result = CohortConstructor(CONFIG).construct_cohort(
        connection.table("journeys"), connection.table("events")
    )
    keys = set(chosen.patient_journey_id.to_polars())
    assert 100 < len(keys) < 1_900
    members, flags = plan(CONFIG, connection)
    for table, of in ((members, "members"), (flags, "flags")):
        statement = str(ibis.to_sql(table, dialect=dialect))
        assert "patient_journey_id" in statement
        (here,) = sqlglot.transpile(statement, read=DIALECTS[dialect], write="duckdb")
        rows = pl.DataFrame(connection.con.sql(here).to_arrow_table())
        if of == "members":
            assert set(rows["patient_journey_id"]) == keys
        else:
            counts = rows.select(pl.last()).to_series()
            assert sorted(counts) == sorted(mask.rows for mask in result.masks)
            assert counts.sum() == 2_000


def test_files_tell_how_far_they_are_and_give_what_tables_give(
    folder: Path, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "PAUSE", 0.0001)
    paths, told = [folder / f"{name}.parquet" for name in ("journeys", "events")], list[float]()
    chosen, result = CohortConstructor(CONFIG).construct_cohort(*paths, on_progress=told.append)
    tables = [connection.table(name) for name in ("journeys", "events")]
    of_tables, result_of_tables = CohortConstructor(CONFIG).construct_cohort(*tables)
    assert set(chosen["patient_journey_id"]) == set(of_tables.patient_journey_id.to_polars())
    assert result.eligibility_log == result_of_tables.eligibility_log
    assert told
    assert all(0 <= share <= 100 for share in told)
