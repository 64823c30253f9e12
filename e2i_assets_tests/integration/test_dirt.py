"""The manifest of a dirty data set scores what the loader rejects and what the QC report counts."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from e2i_assets.cli.generate import Generated, declared, generate_and_load
from e2i_assets.contracts.base import key_of
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.problems import LoadError
from e2i_assets.ingest.synthetic import GeneratorSpec, generate
from e2i_assets.ingest.synthetic.dirt import FAULTS
from e2i_assets.quality.config import QualityConfig
from e2i_assets.quality.dimensions import grade_table
from e2i_assets.settings import Settings
from e2i_assets.warehouse.records import rejected_rows
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import CONFIG

SPEC = GeneratorSpec(scale="small", dirty=0.04)
CONSEQUENCES = {"parent_rejected"}


def rejected(warehouse: Warehouse) -> pl.DataFrame:
    """Table, row number and rule of every rejected row."""
    stored = rejected_rows.c
    query = sa.select(stored.table_name, stored.row_number, stored.column_name, stored.rule)
    with warehouse.engine.connect() as connection:
        rows = connection.execute(query).all()
    return pl.DataFrame(rows, schema=["table", "row", "column", "rule"], orient="row")


def test_loader_and_quality_find_every_fault(here: Settings, warehouse: Warehouse) -> None:
    made = generate_and_load(here, warehouse, SPEC, show=False)
    rejected_rows = rejected(warehouse)
    the_loader_rejects_what_the_manifest_says(made, rejected_rows)
    quality_counts_what_the_manifest_says(made, rejected_rows)
    assert made.kept is not None
    document = json.loads((Path(made.kept.removeprefix("file://")) / "dirt.json").read_text())
    assert document == made.declared.dirt.to_dicts()


def the_loader_rejects_what_the_manifest_says(made: Generated, given: pl.DataFrame) -> None:
    wrong = made.declared.dirt.filter(found_by="load")
    own = given.filter(~pl.col("rule").is_in(CONSEQUENCES))
    place = ["table", "row"]
    assert wrong.height > 40
    assert set(wrong["kind"]) == {"missing", "duplicate", "impossible"}
    # A faulty row whose journey was rejected may have either as its reason.
    assert wrong.join(given, on=place, how="anti").is_empty()
    assert own.join(wrong, on=place, how="anti").is_empty()


def quality_counts_what_the_manifest_says(made: Generated, given: pl.DataFrame) -> None:
    """On the rows that were loaded; the clean rows of the same keys say what was missing before."""
    config = QualityConfig.from_yaml(CONFIG / "quality.yaml")
    clean, dirty = generate(GeneratorSpec(scale="small")).tables, generate(SPEC).tables
    dirt = made.declared.dirt.join(given, on=["table", "row"], how="anti").filter(found_by="quality")
    loaded = {
        name: frame.with_row_index("row", offset=1)
        .with_columns(pl.col("row").cast(pl.Int64))
        .join(given.filter(table=name), on="row", how="anti")
        .drop("row")
        for name, frame in dirty.items()
    }
    before = {
        name: frame.join(loaded[name], on=key_of(TABLES[name]), how="semi") for name, frame in clean.items()
    }
    for table in ("hcp_profiles", "patient_journeys", "treatment_events", "ml_predictions", "triggers"):
        after, earlier = (
            Counter({(w.dimension, w.what): w.count for w in grade_table(table, tables, config).weaknesses})
            for tables in (loaded, before)
        )
        mine = dirt.filter(table=table)
        expected = Counter(
            {
                ("completeness", column): mine.filter(kind="missing", column=column).height
                for column in mine.filter(kind="missing")["column"].unique()
            }
        )
        expected["timeliness", "not within 30 days of its source"] = mine.filter(kind="late").height
        expected["uniqueness", "same content under another key"] = mine.filter(kind="duplicate").height
        expected["consistency", "patient_of_journey (patient_id)"] = mine.filter(kind="impossible").height
        assert sum(expected.values()) == mine.height
        for what, count in expected.items():
            # A copied row lacks what its original lacked.
            assert 0 <= after[what] - earlier[what] - count <= (5 if what[0] == "completeness" else 0), (
                table, what,
            )  # fmt: skip


def test_dirty_data_replace_clean_ones_whole(here: Settings, warehouse: Warehouse) -> None:
    """No journey of the earlier call stays where its key was rejected: it is another patient."""
    generate_and_load(here, warehouse, GeneratorSpec(scale="small", seed=1), show=False)
    after_clean = generate_and_load(here, warehouse, SPEC, show=False)
    loaded = {name: warehouse.table(name) for name in ("patient_journeys", "treatment_events", "triggers")}
    rejected_rows = rejected(warehouse)
    for name, frame in loaded.items():
        given = (
            generate(SPEC)
            .tables[name]
            .with_row_index("row", offset=1)
            .with_columns(pl.col("row").cast(pl.Int64))
        )
        good = (
            given.join(rejected_rows.filter(table=name), on="row", how="anti")
            .drop("row")
            .sort(key_of(TABLES[name]))
        )
        json_apart = [c for c in frame.columns if c != "clinical_attributes"]
        assert frame.select(json_apart).equals(good.select(json_apart)), name
    assert after_clean.report.rejected["patient_journeys"] > 0
    assert rejected_rows.filter(rule="parent_rejected").height > 0


@pytest.mark.parametrize(("patients", "rate"), [(400, 0.05), (400, 0.5)])
def test_any_rate_is_loaded_and_left_for_the_gates_to_find(
    here: Settings, warehouse: Warehouse, patients: int, rate: float
) -> None:
    spec = GeneratorSpec(scale="small", patients=patients, dirty=rate)
    made = generate_and_load(here, warehouse, spec, show=False)
    the_loader_rejects_what_the_manifest_says(made, rejected(warehouse))
    for table, given in made.report.rows.items():
        faulty = made.declared.dirt.filter(table=table)
        clean = given - faulty.filter(kind="duplicate").height
        assert made.report.rejected[table] <= 0.05 * given
        assert faulty.is_empty() or faulty.height / clean == pytest.approx(rate, rel=0.1)


def test_a_refused_load_keeps_no_truth(
    here: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("e2i_assets.ingest.synthetic.dirt.MOST_BROKEN", 1)
    with pytest.raises(LoadError, match="rows can be loaded, 95% must be"):
        generate_and_load(here, warehouse, GeneratorSpec(patients=400, dirty=0.2), show=False)
    assert {table.rows for table in warehouse.status()} == {0}
    assert declared(here) is None


def test_dirt_is_where_the_manifest_says() -> None:
    clean, dirty = generate(GeneratorSpec(scale="small")), generate(SPEC)
    assert clean.dirt.is_empty()
    assert clean.oracle.equals(dirty.oracle)
    assert {k: v for k, v in clean.truth.items() if k != "dirty"} == {
        k: v for k, v in dirty.truth.items() if k != "dirty"
    }
    assert generate(SPEC).dirt.equals(dirty.dirt)
    assert not generate(GeneratorSpec(scale="small", seed=1, dirty=0.04)).dirt.equals(dirty.dirt)
    assert set(dirty.dirt.select("table", "kind", "column", "found_by").unique().rows()) == {
        (f.table, f.kind, f.column, f.found_by) for f in FAULTS
    }
    assert not dirty.dirt.select("table", "row").is_duplicated().any()
    for name, frame in clean.tables.items():
        mine = dirty.dirt.filter(table=name)
        copies = mine.filter(kind="duplicate")
        spoilt = dirty.tables[name]
        assert spoilt.height == frame.height + copies.height
        assert mine.height == 0 or abs(mine.height / frame.height - 0.04) < 0.01
        keys = spoilt[mine["row"].to_numpy() - 1][key_of(TABLES[name])]
        assert keys.to_list() == mine["key"].to_list()
        untouched = ~pl.int_range(1, frame.height + 1, eager=True).is_in(mine["row"].implode())
        assert frame.filter(untouched).equals(spoilt.head(frame.height).filter(untouched))
