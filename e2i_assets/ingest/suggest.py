"""Draft a mapping from a source's columns: names, types and how well a sample of their values fits.

A draft names columns, types and shares, never a value of the source. It parses as it stands; what it could
not find out is marked TODO.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from e2i_assets.contracts.base import Column, columns, key_of
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.casting import cast
from e2i_assets.ingest.csv_files import AS_WRITTEN, quoted
from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.mapping import ColumnMapping, Reading, TableMapping
from e2i_assets.ingest.omop import CDM
from e2i_assets.ingest.opening import Opened, Source

SAMPLE = 10_000
"""Rows from which a column is judged."""
FITS = 0.95
"""Share of a sample's cells that must be values of the column that they are suggested for."""
ALIKE = 0.85
"""Similarity (difflib) from which a name counts as a spelling of another."""
DATE_FORMATS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d", "%d-%m-%Y", "%d-%b-%Y")
TODO = "TODO"

ALIASES: dict[str, tuple[str, ...]] = {
    "patient_id": (
        "patient", "patid", "pat_id", "pid", "subject", "subject_id", "usubjid", "subjid", "person_id",
        "patient_number", "patient_no", "mrn", "id",
    ),
    "hcp_id": ("hcp", "physician_id", "provider_id", "prescriber_id", "doctor_id"),
    "diagnosis_code": ("icd10", "icd_10", "icd", "icd_code", "dx_code", "icd10_code"),
    "diagnosis_date": ("dx_date", "date_of_diagnosis", "index_date", "diagnosed", "diagnosed_on"),
    "first_observation_date": ("enrollment_date", "enrolment_date", "observation_start", "start_date"),
    "last_observation_date": ("observation_end", "end_date", "last_contact", "last_visit", "followup_end"),
    "age_at_diagnosis": ("age", "age_years", "age_at_dx"),
    "gender": ("sex",),
    "geographic_region": ("region",),
    "insurance_type": ("payer", "insurance", "payer_type"),
    "disease_severity": ("severity", "severity_score"),
    "comorbidity_count": ("comorbidities", "n_comorbidities"),
    "prior_treatment_count": ("prior_lines", "prior_therapies", "prior_treatments"),
    "treatment_event_id": ("event_id", "record_id"),
    "event_date": ("date", "service_date", "visit_date", "lab_date", "fill_date", "prescription_date"),
    "event_type": ("type", "event"),
    "event_subtype": ("test", "test_name", "lab_test", "drug", "drug_name", "subtype"),
    "value": ("result", "lab_value", "result_value"),
    "duration_days": ("days_supply", "days_of_supply"),
    "cost": ("amount", "paid_amount", "billed_amount"),
    "source_timestamp": ("recorded_at", "updated_at", "modified", "last_modified", "extract_date"),
    "data_source": ("source", "source_system"),
    "years_experience": ("experience", "years_in_practice"),
}  # fmt: skip
"""Names that other people give to our columns."""

WORDS: dict[str, dict[str, str]] = {
    "gender": {"female": "F", "f": "F", "w": "F", "woman": "F", "male": "M", "m": "M", "man": "M"},
}
"""Words of this file, not of a source, that stand for values of ours."""


@dataclass(frozen=True)
class Suggested:
    """One line of a draft.

    Attributes:
        target: our column.
        source: the source's column; None where nothing was found.
        expression: what fills our column.
        values: a value map, of words that this module knows.
        note: what was seen, for a person.
    """

    target: str
    source: str | None
    expression: str
    values: dict[str, str]
    note: str


@dataclass(frozen=True)
class SuggestedTable:
    """How a table of ours could be filled from one of the source.

    Attributes:
        place: `file` or `table`, and its name; None where the source is one file.
        carried: the columns left over.
    """

    table: str
    place: tuple[str, str] | None
    reading: Reading
    columns: tuple[Suggested, ...]
    carried: tuple[str, ...]

    @property
    def found(self) -> int:
        """Columns for which the source has one."""
        return sum(column.source is not None for column in self.columns)


@dataclass(frozen=True)
class Draft:
    """A drafted mapping: its text, and the same as data."""

    text: str
    tables: tuple[SuggestedTable, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "mapping": self.text,
            "tables": [
                {"table": t.table, **dict([t.place] if t.place else []), "carried": list(t.carried),
                 "columns": [asdict(c) for c in t.columns]}
                for t in self.tables
            ],
        }  # fmt: skip


def suggest(source: Source) -> Draft:
    """Draft a mapping for a source.

    Raises:
        SourceError: the source cannot be read, or nothing in it looks like a table of ours.
    """
    given = source.tables()
    if {name.lower() for name in given} >= set(CDM) - {"measurement", "visit_occurrence"}:
        return Draft(_omop_text(source), ())
    best: dict[str, SuggestedTable] = {}
    for name, spec in given.items():
        found = _judged(source, name, spec, "patient_journeys" if len(given) == 1 else None)
        if found and (found.table not in best or best[found.table].found < found.found):
            best[found.table] = found
    if not best:
        raise SourceError(
            f"{source.name}: nothing of it looks like a table of ours (a patient's or an HCP's identifier "
            "and one more column); write the mapping by hand"
        )
    ordered = tuple(best[table] for table in TABLES if table in best)
    used = {table.place for table in ordered}
    left = [name for name, spec in given.items() if _place(spec) not in used]
    return Draft(_text(source, ordered, left), ordered)


def _place(spec: TableMapping) -> tuple[str, str] | None:
    return ("table", spec.table) if spec.table else ("file", spec.file) if spec.file else None


def _judged(source: Source, name: str, spec: TableMapping, otherwise: str | None) -> SuggestedTable | None:
    """The table of ours that a table of the source looks most like; `otherwise` when it looks like none."""
    opened, reading = _opened(source, name, spec)
    given = list(opened.columns())
    matched = {table: _matches(table, given) for table in TABLES}
    scores = {
        table: len(m) + 2 * (table in _plain(name)) for table, m in matched.items() if _usable(table, m)
    }
    table = max(scores, key=lambda t: scores[t], default=otherwise)
    if table is None:
        return None
    sample = opened.connection.cursor().table(opened.view).limit(SAMPLE).pl()
    reading = _reading(table, matched[table], sample, reading)
    found = (_column(table, c, matched[table], sample, reading) for c in columns(TABLES[table]))
    carried = [n for n in given if n not in matched[table].values()] if table == "patient_journeys" else []
    return SuggestedTable(table, _place(spec), reading, tuple(c for c in found if c), tuple(carried))


def _usable(table: str, matched: dict[str, str]) -> bool:
    """Whether the match names who it is about, and something else."""
    known = TABLES[table].to_schema().columns
    return len(matched) > 1 and ("patient_id" if "patient_id" in known else key_of(TABLES[table])) in matched


def _opened(source: Source, name: str, spec: TableMapping) -> tuple[Opened, Reading]:
    try:
        return source.open(f"suggest {name}", spec, Reading(), most=SAMPLE), Reading()
    except SourceError as error:
        signs = {"is UTF-16": "utf-16", "not UTF-8": "cp1252"}
        guess = next((encoding for sign, encoding in signs.items() if sign in str(error)), None)
        if guess is None:
            raise
        reading = Reading(encoding=guess)
        return source.open(f"suggest {name} in {guess}", spec, reading, most=SAMPLE), reading


def _matches(table: str, given: list[str]) -> dict[str, str]:
    """Our column to the source's: the same name first, then one that others give it, then a misspelling."""
    free = {_plain(name): name for name in given}
    found: dict[str, str] = {}
    wanted = [c.name for c in columns(TABLES[table])]
    for names in ((lambda c: (c,)), (lambda c: ALIASES.get(c, ()))):
        for column in wanted:
            hit = next((n for n in names(column) if n in free), None)
            if column not in found and hit is not None:
                found[column] = free.pop(hit)
    for column in wanted:
        close = difflib.get_close_matches(column, list(free), n=1, cutoff=ALIKE)
        if column not in found and close:
            found[column] = free.pop(close[0])
    return found


def _plain(name: str) -> str:
    """`DateOfBirth`, `date-of-birth` and `DATE OF BIRTH` are one name."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")


def _cells(sample: pl.DataFrame, name: str) -> pl.Series:
    """A column as it is written, where the source is text."""
    return sample.get_column(AS_WRITTEN + name if AS_WRITTEN + name in sample.columns else name)


def _reading(table: str, matched: dict[str, str], sample: pl.DataFrame, reading: Reading) -> Reading:
    """The decimal mark and the day format that the sample has, where only one fits."""
    wanted = {c.name: c.dtype for c in columns(TABLES[table])}

    def fits(dtype: type[pl.DataType], how: Reading) -> bool:
        cells = [_cells(sample, name) for ours, name in matched.items() if wanted[ours] == dtype]
        return bool(cells) and all(_share(c, dtype(), how) >= FITS for c in cells)

    comma = reading.model_copy(update={"decimal": ","})
    if not fits(pl.Float64, reading) and fits(pl.Float64, comma):
        reading = comma
    if not fits(pl.Date, reading):
        tried = [reading.model_copy(update={"date_format": f}) for f in DATE_FORMATS]
        fitting = [how for how in tried if fits(pl.Date, how)]
        if len(fitting) == 1:
            return fitting[0]
    return reading


def _share(cells: pl.Series, dtype: pl.DataType, reading: Reading) -> float:
    """Share of the cells that are values of the type; 1 where there are none."""
    held = len(cells) - cells.null_count()
    bad = cast(cells, dtype, ColumnMapping.model_validate("x"), reading).bad
    return 1 - int(bad.sum()) / held if held else 1.0


def _column(
    table: str, c: Column, matched: dict[str, str], sample: pl.DataFrame, reading: Reading
) -> Suggested | None:
    name = matched.get(c.name)
    if name is None:
        return _missing(table, c, matched)
    cells = _cells(sample, name)
    seen = f"{cells.dtype}, {cells.null_count() / max(len(cells), 1):.0%} empty, {cells.n_unique()} distinct"
    values: dict[str, str] = {}
    if c.allowed:
        values, unknown = _value_map(c, cells)
        if unknown:
            seen += f"; {TODO}: `values:` must say what {unknown} of its values are ({', '.join(c.allowed)})"
    elif (share := _share(cells, c.dtype, reading)) < FITS:
        seen += f"; {TODO}: only {share:.0%} are {_kind(c)}{_hint(c)}"
    if c.unit:
        seen += f"; ours is in {c.unit}"
    return Suggested(c.name, name, _identifier(name), values, seen)


def _kind(c: Column) -> str:
    """What the cells of a column are, for a person."""
    names = {pl.Int64: "whole numbers", pl.Float64: "numbers", pl.Boolean: "true or false", pl.Date: "days"}
    return names.get(c.dtype.base_type(), "times with a zone")


def _hint(c: Column) -> str:
    if c.dtype == pl.Date:
        return ", say `read: {date_format: …}`"
    if isinstance(c.dtype, pl.Datetime):
        return ", say `read: {time_zone: …}`"
    return ""


OBSERVED = ("first_observation_date", "last_observation_date")
"""May be empty, and is needed wherever a cohort asks for lookback or follow-up."""


def _missing(table: str, c: Column, matched: dict[str, str]) -> Suggested | None:
    """What stands for a column that is needed and that the source does not have."""
    if c.name in OBSERVED:
        said = f"{TODO}: {c.description}; NULL only where the cohort asks for no window"
        return Suggested(c.name, None, "NULL", {}, said)
    if c.nullable or c.name == "ingestion_timestamp":
        return None
    if c.name == "patient_journey_id" and "patient_id" in matched:
        expression = f"'j_' || {_identifier(matched['patient_id'])}"
        return Suggested(c.name, None, expression, {}, "one journey for each patient")
    if c.dtype == pl.String:
        return Suggested(c.name, None, f"'{TODO}'", {}, f"{TODO}: {c.description}")
    return Suggested(c.name, None, "NULL", {}, f"{TODO}: {c.description}")


def _value_map(c: Column, cells: pl.Series) -> tuple[dict[str, str], int]:
    """A map of spellings that this module knows, if one is needed, and how many values it does not know."""
    known = {**WORDS.get(c.name, {}), **{value.lower(): value for value in c.allowed or ()}}
    given = set(cells.cast(pl.String, strict=False).drop_nulls().unique())
    if given <= set(c.allowed or ()):
        return {}, 0
    found = {value: known[value.lower()] for value in sorted(given) if value.lower() in known}
    return found, len(given) - len(found)


def _identifier(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else quoted(name)


def _text(source: Source, tables: tuple[SuggestedTable, ...], left: list[str]) -> str:
    lines = [
        "# A draft: check each line, and what is marked TODO. Left of the colon our column, right of it a",
        "# column of the source or a DuckDB expression over them.",
        "source: TODO",
        "tables:",
    ]
    for table in tables:
        lines.append(f"  {table.table}:")
        if table.place:
            lines.append(f"    {table.place[0]}: {_scalar(table.place[1])}")
        stated = table.reading.model_dump(exclude_defaults=True)
        if stated:
            lines.append(f"    read: {json.dumps(stated, ensure_ascii=False)}  # a guess")
        lines.append("    columns:")
        lines += [line for column in table.columns for line in _lines(column)]
        if table.carried:
            lines.append(
                f"    # Carried along as clinical attributes: {', '.join(map(_scalar, table.carried))}."
            )
            lines.append("    # `attributes:` states their role; `leave_out:` keeps some from the warehouse.")
    if left:
        lines.append(f"# Not mapped: {', '.join(map(_scalar, left))}.")
    return "\n".join(lines) + "\n"


def _lines(column: Suggested) -> list[str]:
    if not column.values:
        return [f"      {column.target}: {_scalar(column.expression)}  # {column.note}"]
    values = ", ".join(f"{_scalar(theirs)}: {ours}" for theirs, ours in column.values.items())
    return [
        f"      {column.target}:  # {column.note}",
        f"        from: {_scalar(column.expression)}",
        f"        values: {{{values}}}",
    ]


def _scalar(text: str) -> str:
    """Text as YAML: plain where that is safe, else quoted on one line."""
    safe = re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*", text) and text.lower() not in {
        "true", "false", "yes", "no", "on", "off", "null", "y", "n",
    }  # fmt: skip
    return text if safe else json.dumps(text, ensure_ascii=False)


def _omop_text(source: Source) -> str:
    return f"""\
# The source is an OMOP CDM: state the programme and its concept sets (TODO); -1 stands for a concept id.
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
