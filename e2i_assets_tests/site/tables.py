"""The page of the tables, from their contracts: what `e2i data dictionary` prints, in fewer and wider columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from e2i_assets.contracts.dictionary import CUTS, LEGEND, dictionary
from e2i_assets.contracts.markdown import code, plain, table

HEADS = ("column", "meaning", "type", "role", "available", "values, keys")


def tables_page() -> str:
    """Every table with its columns, and the rules that a row must hold."""
    document = dictionary({})
    head = f"# Tables\n\nWhat `e2i data dictionary` prints, with the clinical attributes of each partition. {LEGEND}"
    return "\n\n".join([head, *map(_section, document["tables"])]) + "\n"


def _section(entry: Mapping[str, Any]) -> str:
    text = f"{plain(entry['description'])} A partition has {CUTS[entry['partition_by']]}."
    parts = [f"## {entry['table']}", text, table(HEADS, map(_row, entry["columns"]))]
    if entry["checks"]:
        rules = "\n".join(f"- {name}: `{condition}`" for name, condition in entry["checks"].items())
        parts.append(f"Each row must hold:\n\n{rules}")
    return "\n\n".join(parts)


def _row(c: Mapping[str, Any]) -> tuple[str, ...]:
    meaning = c["description"] + (f" ({c['unit']})" if c["unit"] else "")
    wanted = f"wanted when {c['wanted_when']}" if c["wanted_when"] else ""
    null = wanted or ("" if c["nullable"] else "never null")
    bounds = [f"{sign} {c[bound]:g}" for sign, bound in (("≥", "low"), ("≤", "high")) if c[bound] is not None]
    key = (
        "key" if c["key"] else "unique" if c["unique"] else f"→ {c['references']}" if c["references"] else ""
    )
    values = ", ".join(c["allowed"] or bounds)
    facts = "; ".join(filter(None, [key, values, null]))
    return code(c["column"]), meaning, c["type"], c["role"], c["available_at"], facts
