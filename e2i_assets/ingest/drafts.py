"""Write down how a source could be loaded: mapping, cohort and scope file, as drafts for a person.

A draft names columns, types and shares, never a value of the source. It loads as it stands; what a person
must decide is marked TODO: the target, each column's role and when it is known, the partition's name.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from e2i_assets.contracts.levels import GENERATED
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.omop import CDM, prefix_of
from e2i_assets.ingest.opening import Source
from e2i_assets.ingest.suggest import NOW, TODO, Suggested, SuggestedTable, identifier, tables

INDICATION = "study"
FOLLOWUP = ("diagnosis_date", "first_observation_date", "last_observation_date")
"""Columns without which a cohort cannot ask for an index date with observation around it."""

ASKED = {
    "binary_classification": ("boolean", "{min_auc: 0.60}", ()),
    "regression": ("number", "{min_r2: 0.10}", ()),
    "multiclass_classification": ("string", "{min_f1: 0.50}", (f"classes: [{TODO}, {TODO} 2, {TODO} 3]",)),
}
"""Problem types, the likeliest first: what an outcome of theirs is declared as, a criterion, and what else a
scope of it says."""
MOST_CLASSES = 10
"""Numbers of more values are measured, of fewer they may name classes."""


@dataclass(frozen=True)
class Draft:
    """Drafted files.

    Attributes:
        text: the mapping.
        tables: the same as data.
        cohort, scope: name without ending, and text; None of an OMOP CDM.
    """

    text: str
    tables: tuple[SuggestedTable, ...]
    cohort: tuple[str, str] | None = None
    scope: tuple[str, str] | None = None

    def document(self) -> dict[str, Any]:
        """The files by what they are, and the tables as data, as plain JSON types."""
        return {
            "mapping": self.text,
            "cohort": self.cohort[1] if self.cohort else None,
            "scope": self.scope[1] if self.scope else None,
            "tables": [
                {"table": t.table, **dict([t.place] if t.place else []), "key": t.key,
                 "carried": list(t.carried), "columns": [asdict(c) for c in t.columns]}
                for t in self.tables
            ],
        }  # fmt: skip


def suggest(source: Source, today: dt.date) -> Draft:
    """Draft the files for a source.

    Args:
        today: stands for when the source recorded rows that do not say so.

    Raises:
        SourceError: the source cannot be read, or nothing in it looks like a table of ours.
    """
    if {name.lower() for name in source.tables()} >= set(CDM) - {"measurement", "visit_occurrence", "death"}:
        return Draft(_omop(), ())
    name = _name(source)
    suggested, left = tables(source, prefix_of(name))
    journeys = next(one for one in suggested if one.table == "patient_journeys")
    cohort, scope = f"{name}_{INDICATION}", f"{name}_outcome"
    return Draft(
        _mapping(name, suggested, left, today),
        suggested,
        (cohort, _cohort(name, cohort, scope, journeys, suggested)),
        (scope, _scope(scope, journeys)),
    )


def _name(source: Source) -> str:
    """A name for the source, of small letters, digits and underscores."""
    stem = PurePosixPath(source.name.rstrip("/").split("?")[0]).name.split(".")[0]
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_") or "source"
    return f"s_{name}" if not name[0].isalpha() or name == GENERATED else name


def _mapping(name: str, suggested: Sequence[SuggestedTable], left: Sequence[str], today: dt.date) -> str:
    lines = [
        f"# A draft: check each line, and what is marked {TODO}. Left of the colon our column, right of it a",
        "# column of the source or a DuckDB expression over them.",
        f"source: {scalar(name)}",
        "tables:",
    ]
    for one in suggested:
        lines += _table(name, one, today)
    if left:
        lines.append(f"# Not mapped: {', '.join(map(scalar, left))}.")
    return "\n".join(lines) + "\n"


def _table(name: str, one: SuggestedTable, today: dt.date) -> list[str]:
    lines = [f"  {one.table}:"]
    if one.place:
        lines.append(f"    {one.place[0]}: {scalar(one.place[1])}")
    if stated := one.reading.model_dump(exclude_defaults=True):
        lines.append(f"    read: {json.dumps(stated, ensure_ascii=False)}  # a guess")
    if one.several and one.table == "patient_journeys":
        lines.append(
            f"    # {TODO}: there are several rows of a patient, and each is a journey; `where:` chooses."
        )
    if one.key:
        other = "by content, for rows that move from delivery to delivery" if one.key == "line" else ""
        lines.append(f"    key: {one.key}" + (f"  # or content: {other}" if other else ""))
    lines.append("    columns:")
    if one.table == "patient_journeys":
        stated = {"brand": name, "indication": INDICATION}
        lines += [
            f"      {ours}: \"'{value}'\"  # {TODO}: as in the cohort file" for ours, value in stated.items()
        ]
    lines += [text for column in one.columns for text in _column(column, today)]
    if one.carried:
        lines.append(f"    # Carried along as clinical attributes: {', '.join(map(scalar, one.carried))}.")
        lines.append("    # `leave_out:` keeps some of them from the warehouse.")
    if one.left_out:
        lines.append(f"    leave_out: [{', '.join(map(scalar, one.left_out))}]  # row numbers")
    if taken := _taken(one):
        lines.append("    attributes:")
        lines += [f"      {scalar(ours)}: {scalar(identifier(theirs))}" for theirs, ours in taken.items()]
    return lines


def _taken(one: SuggestedTable) -> dict[str, str]:
    """Carried columns that have the name of a column of ours, to a name of their own."""
    ours = {name.lower() for name in TABLES[one.table].to_schema().columns}
    return {name: f"{name}_as_given" for name in one.carried if name.lower() in ours}


def _column(column: Suggested, today: dt.date) -> list[str]:
    note = f"  # {column.note}"
    if column.expression == NOW:
        return [f"      {column.target}: TIMESTAMPTZ '{today} 00:00:00+00'{note}"]
    if not column.fits:
        return [f"      # {column.target}: {scalar(column.expression)}{note}"]
    if not column.values:
        return [f"      {column.target}: {scalar(column.expression)}{note}"]
    values = ", ".join(f"{scalar(theirs)}: {ours}" for theirs, ours in column.values.items())
    return [
        f"      {column.target}:{note}",
        f"        from: {scalar(column.expression)}",
        f"        values: {{{values}}}",
    ]


def _cohort(
    name: str, key: str, scope: str, journeys: SuggestedTable, suggested: Sequence[SuggestedTable]
) -> str:
    targets = {column.target for column in journeys.columns if column.fits}
    window = "null  # no index date: no window is asked for"
    if set(FOLLOWUP) <= targets:
        window = (
            f"{{lookback_days: 0, followup_days: 90, index_date_field: diagnosis_date}}  # {TODO}: the days"
        )
    lines = [
        f"# A draft: check each line, and what is marked {TODO}; then copy it to config/cohorts/{key}.yaml.",
        f"cohort_name: {scalar(key)}  # {TODO}: in words",
        f"brand: {scalar(name)}  # {TODO}: as in the mapping",
        f"indication: {INDICATION}  # {TODO}: as in the mapping",
        f"scopes: [{scope}]",
        f"required_tables: [{', '.join(one.table for one in suggested)}]",
        f"refresh: none  # {TODO}: leave it out where new data will come",
        "inclusion_criteria: []",
        f"temporal_requirements: {window}",
        f"# {TODO} of each: `role: outcome, available_at: outcome` of the outcome, `role: post_outcome,",
        "# available_at: outcome` of what is known only afterwards, `role: treatment` of a treatment, and",
        "# `available_at: index` of what is known on the index date.",
        "attributes:" if journeys.carried else "attributes: {}",
    ]
    taken = _taken(journeys)
    lines += [
        f"  {scalar(taken.get(column, column))}: {{dtype: {holds}}}"
        for column, holds in journeys.carried.items()
    ]
    return "\n".join(lines) + "\n"


def _scope(name: str, journeys: SuggestedTable) -> str:
    """A scope of the first problem type that a column of the source could be the outcome of."""
    fitting = {problem_type: _outcomes(journeys, problem_type) for problem_type in ASKED}
    drafted = next((problem_type for problem_type, names in fitting.items() if names), next(iter(ASKED)))
    _, criteria, more = ASKED[drafted]
    return "\n".join([
        f"# A draft: check each line, and what is marked {TODO}; then copy it to config/scopes/{name}.yaml.",
        f"name: {name}",
        f"description: {TODO}",
        f"problem_type: {drafted}  # {TODO}: as the outcome asks for",
        f"# {TODO}: the attribute with the outcome, and its `dtype` in the cohort file. It could be one of:",
        *(
            f"# {problem_type}, `dtype: {ASKED[problem_type][0]}`: {', '.join(names) or 'none'}"
            for problem_type, names in fitting.items()
        ),
        f"target: {TODO}",
        *more,
        f"success_criteria: {criteria}  # {TODO}",
    ]) + "\n"  # fmt: skip


def _outcomes(journeys: SuggestedTable, problem_type: str) -> list[str]:
    """The attributes that could be the outcome of such a scope, by how many values they have."""
    taken = _taken(journeys)
    values = {
        column: (count, journeys.carried[column] in ("integer", "number"))
        for column, count in journeys.distinct.items()
        if journeys.carried[column] != "date"
    }
    fits: dict[str, Callable[[int, bool], bool]] = {
        "binary_classification": lambda count, is_number: count == 2,
        "regression": lambda count, is_number: is_number and count > MOST_CLASSES,
        "multiclass_classification": lambda count, is_number: 2 < count <= MOST_CLASSES,
    }
    return [scalar(taken.get(column, column)) for column, of in values.items() if fits[problem_type](*of)]


def scalar(text: str) -> str:
    """Text as YAML: plain where that is safe, else quoted on one line."""
    safe = re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*", text) and text.lower() not in {
        "true", "false", "yes", "no", "on", "off", "null", "y", "n",
    }  # fmt: skip
    return text if safe else json.dumps(text, ensure_ascii=False)


def _omop() -> str:
    return f"""\
# The source is an OMOP CDM: state the partition and its concept sets (TODO); -1 stands for a concept id.
source: {TODO}
omop:
  # schema: cdm                 # where the source is a database with several
  brand: {TODO}
  indication: {TODO}
  as_of: 1970-01-01             # {TODO}: day of the CDM's release
  concept_sets:                 # with their descendants
    disease: {{concepts: [-1]}}
    brand_drug: {{concepts: [-1]}}
  index: disease                # a person's first record of it is the diagnosis
  treatment: brand_drug         # its first exposure from then on is the initiation
  followup_days: 90
"""
