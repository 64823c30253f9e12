"""Whether the cells of an OMOP CDM are what its columns say: SQL would fail on others, or round them."""

from __future__ import annotations

from collections.abc import Collection

import duckdb

from e2i_assets.ingest.databases import Only
from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.omop_tables import NUMBERS

TEXTS = frozenset({
    "concept_name", "vocabulary_id", "concept_code", "relationship_id", "invalid_reason",
})  # fmt: skip
LATER = frozenset({"days_supply", "year_of_birth", "month_of_birth", "day_of_birth", "value_source_value"})
"""Where these are broken a row is rejected when it is loaded; without the others nothing can be counted."""
WHOLE = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT"})
"""DuckDB's types that are whole numbers of at most 64 bits."""
ISO = r"^\d{4}-\d{2}-\d{2}([ T]|$)"


def check_cells(
    sql: duckdb.DuckDBPyConnection, source: str, table: str, columns: Collection[str], only: Only | None
) -> None:
    """Look at the wanted rows of a CDM table that is a view.

    Raises:
        SourceError: naming the table, the column and how many of its cells are no day or number.
    """
    types = sql.execute(f"SELECT lower(name), type FROM pragma_table_info('{table}')").fetchall()
    tests = {name: _broken(name, dtype) for name, dtype in types if name in columns}
    asked = {name: test for name, test in tests.items() if test is not None}
    if not asked:
        return
    counts = ", ".join(
        f"count(*) FILTER ({name} IS NOT NULL AND ({test}))" for name, (test, _) in asked.items()
    )
    where = f" WHERE list_contains({list(only[1])}::BIGINT[], try_cast({only[0]} AS BIGINT))" if only else ""
    counted = sql.execute(f"SELECT {counts} FROM {table}{where}").fetchall()[0]
    for (name, (_, wanted)), count in zip(asked.items(), counted, strict=True):
        if count:
            raise SourceError(f"{source}: {table}, column {name}: {count:,} rows hold no {wanted}")


def _broken(name: str, dtype: str) -> tuple[str, str] | None:
    """SQL that is true of a broken cell, and what it should be; None where the type says that none is."""
    if name in TEXTS or name in LATER:
        return None
    if name.endswith("_date"):
        written = (
            f"regexp_matches({name}::VARCHAR, '{ISO}') AND try_cast({name}::VARCHAR AS DATE) IS NOT NULL"
        )
        return None if dtype.startswith(("DATE", "TIMESTAMP")) else (f"NOT ({written})", "day as 2024-01-31")
    if name in NUMBERS:
        return (f"try_cast({name} AS DOUBLE) IS NULL", "number") if dtype == "VARCHAR" else None
    whole = f"try_cast({name} AS BIGINT)"
    broken = f"{whole} IS NULL OR {whole} <> try_cast({name} AS DOUBLE)"
    return None if dtype in WHOLE else (broken, "whole number")
