"""Contracts: every column says what it means, and no two say the same."""

from __future__ import annotations

import polars as pl
import pytest

from e2i_assets.contracts.base import INDEX, OUTCOME, Column, columns, facts_of, key_of
from e2i_assets.contracts.tables import TABLES

EVERY = [pytest.param(table, c, id=f"{table}.{c.name}") for table in TABLES for c in columns(TABLES[table])]


@pytest.mark.parametrize(("table", "c"), EVERY)
def test_a_column_says_what_it_means(table: str, c: Column) -> None:
    same = [other.name for other in columns(TABLES[table]) if other.description == c.description]
    assert same == [c.name]
    assert len(c.description.split()) >= 3
    assert not c.description.endswith(".")
    assert c.name.replace("_", " ") != c.description.lower()
    if c.dtype in (pl.Int64, pl.Float64):
        assert c.unit, "a number has a unit"


@pytest.mark.parametrize(("table", "c"), EVERY)
def test_availability_is_a_column_or_a_word_and_fits_the_role(table: str, c: Column) -> None:
    dates = {other.name for other in columns(TABLES[table]) if other.role == "time"}
    assert c.available_at in {INDEX, OUTCOME} | dates
    if c.role in ("outcome", "post_outcome"):
        assert c.available_at != INDEX


@pytest.mark.parametrize("table", TABLES)
def test_references_checks_and_times_name_columns_that_exist(table: str) -> None:
    described = columns(TABLES[table])
    names = {c.name for c in described}
    parents = list(TABLES)[: list(TABLES).index(table)]
    for c in described:
        if c.references:
            parent, key = c.references.split(".")
            assert parent in parents, "parents are loaded first"
            assert key == key_of(TABLES[parent])
    facts = facts_of(TABLES[table])
    assert {facts.event_time, facts.ingestion_time} - {None} <= names
    for condition in facts.checks.values():
        assert set(pl.sql_expr(condition).meta.root_names()) <= names
