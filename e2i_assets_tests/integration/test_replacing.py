"""Generated data replace generated data, whole, and nothing that came from elsewhere."""

from __future__ import annotations

import datetime as dt
from functools import cache

import polars as pl
import pytest
import sqlalchemy as sa

from e2i_assets.cli.generate import generate_and_load
from e2i_assets.contracts.base import columns, key_of
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.load import Load
from e2i_assets.ingest.synthetic import PARTITIONS, GeneratorSpec, generate
from e2i_assets.settings import Settings
from e2i_assets.warehouse.migrations.versions import v0007_source_of_every_row
from e2i_assets.warehouse.warehouse import Warehouse

LARGE = GeneratorSpec(patients=800, seed=1)
SMALL = GeneratorSpec(scale="small", patients=400, seed=2)
KNOWN = {(partition.brand, partition.indication) for partition in PARTITIONS}
NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)


def frame(table: str, **values: object) -> pl.DataFrame:
    """One row."""
    return pl.DataFrame(
        [pl.Series(c.name, [values.get(c.name)], dtype=c.dtype) for c in columns(TABLES[table])]
    )


def stored(warehouse: Warehouse, table: str) -> pl.DataFrame:
    return warehouse.table(table).drop("clinical_attributes", strict=False)


@cache
def tables(spec: GeneratorSpec) -> dict[str, pl.DataFrame]:
    return generate(spec).tables


def given(spec: GeneratorSpec, table: str) -> pl.DataFrame:
    made = tables(spec)[table].drop("clinical_attributes", strict=False)
    return made.sort(key_of(TABLES[table]))


def test_a_smaller_set_leaves_nothing_of_a_larger_one(here: Settings, warehouse: Warehouse) -> None:
    generate_and_load(here, warehouse, LARGE, show=False)
    rehearsed = generate_and_load(here, warehouse, SMALL, dry_run=True, show=False)
    done = generate_and_load(here, warehouse, SMALL, show=False)
    for table in TABLES:
        assert stored(warehouse, table).equals(given(SMALL, table)), table
        assert done.report.changed[table] >= given(LARGE, table).height, table
    assert rehearsed.report.changed == done.report.changed
    assert generate_and_load(here, warehouse, SMALL, show=False).report.load_id is None


def test_another_sources_rows_stay_with_what_they_refer_to(here: Settings, warehouse: Warehouse) -> None:
    generate_and_load(here, warehouse, LARGE, show=False)
    last = given(LARGE, "hcp_profiles")["hcp_id"][-1]
    theirs = {
        "hcp_profiles": frame("hcp_profiles", hcp_id="theirs", data_source="crm"),
        "patient_journeys": frame(
            "patient_journeys", patient_journey_id="theirs", patient_id="p", hcp_id=last,
            brand="Remibrutinib", indication="csu", first_observation_date=NOW.date(),
            last_observation_date=NOW.date(), source_timestamp=NOW, ingestion_timestamp=NOW,
        ),
        "causal_paths": frame(
            "causal_paths", path_id="theirs", brand="Kisqali", discovery_date=NOW.date(), source_node="a",
            target_node="b",
        ),
    }  # fmt: skip
    warehouse.load(Load(theirs, "crm"), KNOWN)
    generate_and_load(here, warehouse, SMALL, show=False)
    for table in TABLES:
        key = key_of(TABLES[table])
        more = set(stored(warehouse, table)[key]) - set(given(SMALL, table)[key])
        assert more == {"hcp_profiles": {last, "theirs"}}.get(table, {"theirs"} if table in theirs else set())


@pytest.mark.parametrize("seed", [3, 4])
def test_no_two_data_sets_give_an_identifier_to_different_hcps(seed: int) -> None:
    one, other = (
        generate(GeneratorSpec(scale=scale, patients=400, seed=s)).tables["hcp_profiles"]
        for scale, s in (("small", seed), ("full", seed + 100))
    )
    assert one["npi"].str.contains(r"^1\d{9}$").all()
    assert one["npi"].n_unique() == one.height
    assert one["npi"].str.slice(3).equals(other["npi"].str.slice(3))
    assert not one["npi"].equals(other["npi"])


def test_a_correction_of_any_column_is_loaded(here: Settings, warehouse: Warehouse) -> None:
    generate_and_load(here, warehouse, SMALL, show=False)
    changes = {
        "causal_paths": pl.lit("another").alias("method_used"),
        "business_metrics": pl.lit(7, pl.Int64).alias("sample_size"),
        "ml_predictions": pl.lit("v9").alias("model_version"),
        "hcp_profiles": pl.lit("elsewhere").alias("specialty"),
    }
    for table, change in changes.items():
        corrected = given(SMALL, table).with_columns(change)
        report = warehouse.load(Load({table: corrected}, "correction"), KNOWN)
        assert report.changed == {table: corrected.height}
        assert stored(warehouse, table).equals(corrected)


@pytest.mark.parametrize(("truth", "expected"), [("'{}'", "synthetic"), ("NULL", None)])
def test_an_upgrade_knows_generated_rows_where_all_are(
    here: Settings, warehouse: Warehouse, truth: str, expected: str | None
) -> None:
    """A load without a declared truth, of a release before the column, may have brought any of the rows."""
    generate_and_load(here, warehouse, SMALL, show=False)
    with warehouse.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE e2i.hcp_profiles SET data_source = NULL")
        connection.exec_driver_sql(
            "INSERT INTO e2i.ml_load_batches (source, rows, truth) "
            f"""VALUES ('crm', '{{"hcp_profiles": 1}}', {truth})"""
        )
        connection.exec_driver_sql(v0007_source_of_every_row.GENERATED.format(table="hcp_profiles"))
        result = connection.scalars(sa.text("SELECT DISTINCT data_source FROM e2i.hcp_profiles")).all()
    assert result == [expected]
