"""What a database has of what indicators ask for: tables and views, columns, types, whether rows exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from e2i_assets.kpis.kpi import Kpi


@dataclass(frozen=True)
class Relation:
    """A table or view that is there.

    Attributes:
        kind: `table`, `view` or `materialized view`.
        columns: column to type, as PostgreSQL calls it.
        has_rows: whether it has any; None where a view cannot say.
    """

    kind: str
    columns: Mapping[str, str]
    has_rows: bool | None


Catalogue = Mapping[str, Relation]
"""Name of a table or view to what it is."""


def missing(kpi: Kpi, catalogue: Catalogue) -> Iterator[str]:
    """What an indicator asks for and the database does not have, in words."""
    for table, columns in kpi.columns.items():
        relation = catalogue.get(table)
        if relation is None:
            yield f"table {table}"
            continue
        for name, wanted in columns.items():
            actual = relation.columns.get(name)
            if actual is None:
                yield f"column {table}.{name}"
            elif actual != wanted:
                yield f"column {table}.{name} as {wanted} (it is {actual})"


def empty(kpi: Kpi, catalogue: Catalogue) -> list[str]:
    """The tables and views of an indicator that have no rows."""
    return [table for table in kpi.columns if table in catalogue and catalogue[table].has_rows is False]
