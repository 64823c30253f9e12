"""JSON schemas in words: what a key of a configuration file may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
_PLAIN = {
    "string": "text",
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "null": "null",
}
_FORMATS = {"date": "day (`2025-12-31`)", "path": "path", "password": "text, kept secret"}
_BOUNDS = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))


def words(schema: Schema, links: Mapping[str, str]) -> str:
    """What a value may be, as Markdown for a table's cell.

    Args:
        links: name of a definition to its Markdown link.
    """
    if "$ref" in schema:
        return links[schema["$ref"].rpartition("/")[2]]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(words(one, links) for one in schema[several]))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    match schema.get("type"):
        case "array":
            return _list(schema, links)
        case "object":
            return _mapping(schema, links)
        case None:
            return "any value"
    plain = _FORMATS.get(schema.get("format", ""), _PLAIN[schema["type"]])
    bounds = [f"{sign} {schema[bound]:,g}" for bound, sign in _BOUNDS if bound in schema]
    return f"{plain} {' and '.join(bounds)}".strip()


def _list(schema: Schema, links: Mapping[str, str]) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(words(one, links) for one in schema['prefixItems'])}]"
    least = f" (at least {schema['minItems']})" if schema.get("minItems") else ""
    return f"list of {words(schema['items'], links)}{least}"


def _mapping(schema: Schema, links: Mapping[str, str]) -> str:
    keys = schema.get("propertyNames", {})
    values = schema.get("additionalProperties", {})
    named = words(keys, links) if "enum" in keys or "$ref" in keys else "name"
    return f"mapping of {named} to {words(values if isinstance(values, dict) else {}, links)}"
