"""The data dictionary: every column of the contracts, and the clinical attributes of each partition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from e2i_assets.contracts.base import Table, columns, facts_of, key_of
from e2i_assets.contracts.markdown import table
from e2i_assets.contracts.tables import TABLES
from e2i_assets.contracts.variables import Attribute, Column

_TYPES: dict[type[pl.DataType], str] = {
    pl.String: "string",
    pl.Int64: "integer",
    pl.Float64: "number",
    pl.Boolean: "boolean",
    pl.Date: "date",
    pl.Datetime: "timestamp",
}
CUTS = {
    "journey": "the journeys of a brand and indication",
    "journey_hcp": "the HCPs of its journeys",
    "brand": "the rows of its brand",
    None: "no extract of it: it is for KPIs",
}
"""How a table is cut to the rows of a partition, in words."""
LEGEND = (
    "Available: `index` is known on the index date, `outcome` only when the follow-up window has passed, a "
    "column's name from the day in that column on. Timestamps are UTC."
)
"""What the words of the column `available` mean."""
_HEADS = ("column", "type", "unit", "role", "available", "null", "values", "key", "meaning")


def dictionary(attributes: Mapping[str, Mapping[str, Attribute]]) -> dict[str, Any]:
    """The dictionary in plain JSON types: `tables` in loading order, and `attributes` of each partition.

    Args:
        attributes: partition to name to declaration of its clinical attributes.
    """
    return {
        "tables": [_table(name, contract) for name, contract in TABLES.items()],
        "attributes": {
            partition: [_attribute(name, declared) for name, declared in named.items()]
            for partition, named in attributes.items()
        },
    }


def type_name(c: Column) -> str:
    """The type of a column in the words that cohort files use, and `timestamp` (UTC) and `json`."""
    return "json" if c.json else _TYPES[c.dtype.base_type()]


def _table(name: str, contract: type[Table]) -> dict[str, Any]:
    facts = facts_of(contract)
    return {
        "table": name,
        "description": contract.__doc__,
        "key": key_of(contract),
        "partition_by": facts.partition_by,
        "checks": facts.checks,
        "columns": [_column(c) for c in columns(contract)],
    }


def _column(c: Column) -> dict[str, Any]:
    return {
        "column": c.name, "type": type_name(c), "unit": c.unit, "role": c.role,
        "available_at": c.available_at, "nullable": c.nullable, "key": c.key, "unique": c.unique,
        "references": c.references, "allowed": list(c.allowed) if c.allowed else None,
        "low": c.low, "high": c.high, "wanted_when": c.wanted_when, "description": c.description,
    }  # fmt: skip


def _attribute(name: str, declared: Attribute) -> dict[str, Any]:
    # An attribute is a key of a JSON document, where any may be missing.
    return {
        "column": name, "type": declared.dtype, "unit": declared.unit, "role": declared.role,
        "available_at": declared.available_at, "nullable": True, "key": False, "unique": False,
        "references": None, "allowed": None, "low": None, "high": None,
        "wanted_when": None, "description": declared.description,
    }  # fmt: skip


def markdown(document: Mapping[str, Any]) -> str:
    """A dictionary as a Markdown document."""
    parts = ["# Data dictionary", LEGEND]
    for entry in document["tables"]:
        parts.append(
            f"## {entry['table']}\n\n{entry['description']} A partition has {CUTS[entry['partition_by']]}."
        )
        parts.append(_rows(entry["columns"]))
        if entry["checks"]:
            rules = "\n".join(f"- {name}: `{condition}`" for name, condition in entry["checks"].items())
            parts.append(f"Each row must hold:\n\n{rules}")
    for partition, entries in document["attributes"].items():
        parts.append(
            f"## Clinical attributes of {partition}\n\nColumns of its extract of `patient_journeys`."
        )
        parts.append(_rows(entries))
    return "\n\n".join(parts) + "\n"


def _rows(entries: Iterable[Mapping[str, Any]]) -> str:
    return table(_HEADS, map(_cells, entries))


def _cells(entry: Mapping[str, Any]) -> tuple[str, ...]:
    reference = f"→ {entry['references']}" if entry["references"] else ""
    return (
        entry["column"], entry["type"], entry["unit"] or "", entry["role"],
        entry["available_at"] or "not declared", _null(entry), _values(entry),
        "key" if entry["key"] else "unique" if entry["unique"] else reference, entry["description"],
    )  # fmt: skip


def _null(entry: Mapping[str, Any]) -> str:
    if entry["wanted_when"]:
        return f"yes, but wanted when {entry['wanted_when']}"
    return "yes" if entry["nullable"] else "no"


def _values(entry: Mapping[str, Any]) -> str:
    if entry["allowed"]:
        return ", ".join(entry["allowed"])
    bounds = [
        f"{sign} {entry[bound]:g}"
        for sign, bound in (("≥", "low"), ("≤", "high"))
        if entry[bound] is not None
    ]
    return ", ".join(bounds)
