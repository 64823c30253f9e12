"""How domain results look in Dagit: schemas, tables, charts. Counts and figures, never a patient's row."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
import polars as pl

from e2i_assets.contracts import markdown
from e2i_assets.contracts.base import columns, facts_of
from e2i_assets.contracts.dictionary import type_name
from e2i_assets.contracts.tables import TABLES
from e2i_assets.contracts.variables import INDEX, OUTCOME, Attribute, Column, Feature
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.resources.store import Published
from e2i_assets.stages.display import plain

PICTURE = re.compile(r"!\[\]\(data:image/png;base64,(?P<png>[\w+/=]+)\)")


def image(png: bytes) -> dg.MetadataValue:
    """A picture, kept small because Dagster stores it in its event log."""
    return dg.MetadataValue.md(f"![](data:image/png;base64,{base64.b64encode(png).decode()})")


def pictures(published: Published) -> dict[str, bytes]:
    """The pictures that Dagit shows of a published version, by their name there."""
    metadata = dg.deserialize_value(published.display, dict)["metadata"]
    texts = {n: value.md_str for n, value in metadata.items() if isinstance(value, dg.MarkdownMetadataValue)}
    drawn = {name: PICTURE.fullmatch(text) for name, text in texts.items() if text}
    return {name: base64.b64decode(match["png"]) for name, match in drawn.items() if match}


def interval(ends: tuple[float, float] | None, problem: Problem, metric: str) -> str:
    """A 95 % interval of a metric in words; empty where there is none."""
    return " to ".join(problem.figure(metric, end) for end in ends) if ends else ""


def table(rows: Iterable[Mapping[str, Any]]) -> dg.MetadataValue:
    """A table of plain figures; `none` when it has no rows."""
    records = [dg.TableRecord({k: plain(v) for k, v in row.items()}) for row in rows]
    return dg.MetadataValue.table(records) if records else dg.MetadataValue.text("none")


def contract_schema(name: str) -> dg.TableSchema:
    """Schema of a table as its contract states it, for the asset's definition."""
    return _schema(name, [_contract_column(c) for c in columns(TABLES[name])])


def raw_schema(name: str, frame: pl.DataFrame, declared: Mapping[str, Attribute]) -> dg.TableSchema:
    """Schema of an extract: what the contract says, and `declared` of the clinical attributes beyond it."""
    described = {c.name: c for c in columns(TABLES[name])}
    return _schema(
        name,
        [
            _contract_column(described[column])
            if column in described
            else _attribute_column(column, str(dtype), declared.get(column))
            for column, dtype in frame.schema.items()
        ],
    )


def _schema(name: str, described: Sequence[dg.TableColumn]) -> dg.TableSchema:
    checks = [f"{rule}: {condition}" for rule, condition in facts_of(TABLES[name]).checks.items()]
    return dg.TableSchema(described, constraints=dg.TableConstraints(other=checks) if checks else None)


def _contract_column(c: Column) -> dg.TableColumn:
    limits = [f"{word} {bound:g}" for word, bound in (("≥", c.low), ("≤", c.high)) if bound is not None]
    other = [
        *(["primary key"] if c.key else []),
        *([f"one of {', '.join(c.allowed)}"] if c.allowed else []),
        *limits,
        *([f"references {c.references}"] if c.references else []),
        *([f"wanted when {c.wanted_when}"] if c.wanted_when else []),
    ]
    return _column(
        c.name,
        type_name(c),
        f"{c.meaning}. Role {c.role}, {_known(c.available_at)}.",
        dg.TableColumnConstraints(nullable=c.nullable, unique=c.unique, other=other),
    )


def _attribute_column(name: str, dtype: str, declared: Attribute | None) -> dg.TableColumn:
    if declared is None:
        return _column(name, dtype, "Clinical attribute that the cohort file does not declare")
    known = _known(declared.available_at)
    description = f"{declared.meaning}. Clinical attribute. Role {declared.role}, {known}."
    return _column(name, declared.dtype, description)


def _column(
    name: str, dtype: str, description: str, constraints: dg.TableColumnConstraints | None = None
) -> dg.TableColumn:
    """A column, of which Dagit takes the description, and nothing else, for Markdown."""
    return dg.TableColumn(name, dtype, markdown.plain(description), constraints=constraints)


def _known(available_at: str | None) -> str:
    if available_at is None:
        return "nobody has said when it is known"
    words = {INDEX: "known on the index date", OUTCOME: "known only after the follow-up window"}
    return words.get(available_at, f"known from {available_at} on")


def feature_schema(features: Iterable[Feature]) -> dg.TableSchema:
    """Schema of a feature set."""
    return dg.TableSchema([_column(f.name, f.kind, f"{f.meaning}. From {f.source}.") for f in features])
