"""Pages of configuration files, from the pydantic models that read them: every key with what it may hold."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter

from e2i_assets.contracts.markdown import Written, code, table
from e2i_assets_tests.site.docstrings import attributes_of, text_of
from e2i_assets_tests.site.schema import Schema, words

HEADS = ("key", "may be", "default", "meaning")


def sections(model: type, title: str, *, depth: int = 2, known: Sequence[type] = ()) -> str:
    """A section for the model, and one for each model that its keys hold.

    Args:
        known: models that have a section on the page already.
    """
    document = TypeAdapter(model).json_schema()
    parts = {kind.__name__: kind for kind in models_in(model)}
    links = {
        name: f"[{_title(name)}](#{_anchor(name)})" for name in document.get("$defs", {}) if name in parts
    }
    inlined = {name: one for name, one in document.get("$defs", {}).items() if name not in parts}
    links |= {name: words(one, links) for name, one in inlined.items()}
    written = [_section(model, document, title, _anchor(model.__name__), links, depth)]
    for name, kind in parts.items():
        if kind is not model and kind not in known:
            written.append(
                _section(kind, document["$defs"][name], _title(name), _anchor(name), links, depth + 1)
            )
    return "\n".join(written)


def undescribed(model: type) -> list[str]:
    """Keys of a model, and of those it holds, that no docstring tells the meaning of."""
    return [
        f"{kind.__name__}.{name}"
        for kind in (model, *models_in(model))
        for name in _fields(kind)
        if name not in attributes_of(kind)
    ]


def _section(kind: type, schema: Schema, title: str, anchor: str, links: dict[str, str], depth: int) -> str:
    head = f"{'#' * depth} {title} {{ #{anchor} }}\n\n{text_of(kind)}\n"
    if "properties" not in schema:
        return f"{head}\nIt is a {words(schema, links)}.\n"
    meanings = attributes_of(kind)
    rows = []
    for name, key in _fields(kind).items():
        may_be = schema["properties"][key]
        default = Written("**required**") if key in schema.get("required", ()) else _default(may_be)
        meaning = meanings.get(name, "").replace("|", "\\|")
        rows.append((code(key), Written(words(may_be, links)), default, Written(meaning)))
    return f"{head}\n{table(HEADS, rows)}\n"


def _default(schema: Schema) -> str:
    value = schema.get("default")
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, dict):  # of a model, whose section has them
        return "its defaults"
    return code(json.dumps(value, ensure_ascii=False) if isinstance(value, list | bool) else str(value))


def _fields(kind: Any) -> dict[str, str]:
    """Name of each field that a file may state, to its key there."""
    if dataclasses.is_dataclass(kind):
        return {field.name: field.name for field in dataclasses.fields(kind)}
    return {
        name: str(field.validation_alias or name)
        for name, field in kind.model_fields.items()
        if not field.exclude
    }


def models_in(kind: Any) -> Iterator[type]:
    """Models that the keys of a model hold, each once, in the order of the file."""
    seen: dict[type, None] = {}

    def walk(annotation: Any) -> None:
        if isinstance(annotation, type) and not typing.get_args(annotation):
            is_model = issubclass(annotation, BaseModel) or hasattr(annotation, "__pydantic_fields__")
            if is_model and annotation not in seen:
                seen[annotation] = None
                hints = typing.get_type_hints(annotation, include_extras=True)
                for name in _fields(annotation):
                    walk(hints[name])
        for part in typing.get_args(annotation):
            walk(part)

    walk(kind)
    return iter(seen)


def _title(name: str) -> str:
    """`TemporalRequirements` as words."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip().capitalize()


def _anchor(name: str) -> str:
    return _title(name).replace(" ", "-").lower()
