"""Mapping files: which source column, or which SQL expression over them, fills which column of ours.

What a mapping says is checked here, against itself and the contracts; reading the source is `sources`' work.
"""

from __future__ import annotations

import codecs
import datetime as dt
import re
import zoneinfo
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from e2i_assets.config_files import ConfigFileError, Lines, parse_yaml, read_yaml
from e2i_assets.contracts.base import column_of, key_of
from e2i_assets.contracts.levels import GENERATED
from e2i_assets.contracts.partition_key import PartitionKey
from e2i_assets.contracts.tables import TABLES
from e2i_assets.contracts.variables import Column, Role
from e2i_assets.errors import E2IError
from e2i_assets.ingest.omop_config import Omop

UNKNOWN = Lines(Path("mapping"), {})


class MappingError(E2IError, ValueError):
    """A mapping that cannot be used; the message names the file, the line, the key and the rule."""

    code = "mapping"
    next_step = "Correct the mapping; `e2i data import SOURCE --mapping FILE --dry-run` reads it again."


def _as_text(value: Any) -> Any:
    """YAML reads a bare number, date or `true` as such; expressions and mapped values are text."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if value is None or isinstance(value, str | dict | list) else str(value)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Reading(_Model):
    """How text of a source is to be read. Nothing of it is guessed.

    Attributes:
        encoding: of CSV files, any that Python knows.
        quote: what may stand around a cell of a CSV file; nothing where it is empty.
        delimiter: of CSV files; the one of `,` `;` `|` and tab that the header has, when left out.
        decimal: the decimal mark of numbers in text.
        nulls: further spellings of an empty cell; `NaN` also empties the not-a-numbers of a Parquet file.
        date_format: how days are written in text (`%d.%m.%Y`); ISO 8601 when left out.
        time_zone: zone of times that name none (`Europe/Berlin`); without it such times are refused.
    """

    encoding: str = "utf-8"
    quote: Literal['"', "'", ""] = '"'
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    nulls: tuple[str, ...] = ()
    date_format: str | None = None
    time_zone: str | None = None

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            # Python's codecs are not all of text (rot13), and not all read in parts (idna).
            decoder = codecs.getincrementaldecoder(value)(errors="replace")
            if decoder.decode("id".encode(value), final=True) == "id":
                return codecs.lookup(value).name
        except (LookupError, ValueError):
            pass
        raise ValueError(f"no such encoding: {value} (utf-8, latin-1, cp1252, utf-16 …)")

    @field_validator("delimiter")
    @classmethod
    def _delimits(cls, value: str | None) -> str | None:
        if value is not None and (value.isalnum() or value in "\"'\r\n."):
            raise ValueError("must be a character that is no letter, digit, quote, point or line end")
        return value

    @field_validator("date_format")
    @classmethod
    def _whole_day(cls, value: str | None) -> str | None:
        day = dt.datetime(1955, 12, 31)
        try:
            if value is None or dt.datetime.strptime(day.strftime(value), value) == day:
                return value
        except ValueError:
            pass
        raise ValueError(
            f"{value} does not hold a whole day; day, month and year of four digits are %d, %m (%b) and %Y"
        )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None and value not in zoneinfo.available_timezones():
            raise ValueError(f"no such time zone: {value} (UTC, Europe/Berlin, America/New_York …)")
        return value


class ColumnMapping(_Model):
    """How one column of ours is filled; the short form is the expression alone.

    Attributes:
        expression: a source column or DuckDB expression (`from` in the file).
        unit: the source's unit. Where it is not ours, `factor` must say how many of ours it is.
        factor: ours = theirs times factor.
        values: the source's value (as text) to ours. A value that is not listed makes its row a bad one.
    """

    expression: str = Field(validation_alias="from", min_length=1)
    unit: str | None = None
    factor: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    values: dict[str, str | None] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, stated: object) -> object:
        return stated if isinstance(stated, dict) else {"from": _as_text(stated)}

    @field_validator("values", mode="before")
    @classmethod
    def _values_as_text(cls, stated: object) -> object:
        return {k: _as_text(v) for k, v in stated.items()} if isinstance(stated, dict) else stated

    @model_validator(mode="after")
    def _one_conversion(self) -> Self:
        if self.factor is not None and self.unit is None:
            raise ValueError("a factor converts from a unit: say the source's `unit`")
        if self.factor is not None and self.values is not None:
            raise ValueError("say either a factor or a value map")
        return self

    @property
    def is_bare(self) -> bool:
        """Whether it takes values as they are."""
        return self.values is None and self.factor is None

    def unit_problem(self, ours: str | None) -> str | None:
        """What is wrong with the stated unit against ours; None when nothing is."""
        if self.unit is None:
            return None
        if ours is None:
            return "has no unit declared; leave `unit` out"
        if self.unit == ours and self.factor not in (None, 1):
            return f"is in {ours} already; a factor would change it"
        if self.unit != ours and self.factor is None:
            return f"is in {ours}, the source in {self.unit}; say `factor` ({ours} in one {self.unit})"
        return None


class AttributeMapping(ColumnMapping):
    """A clinical attribute: a column that the contract does not have.

    Attributes:
        role, available_at: as in a cohort file, which must say the same.
    """

    role: Role = "feature"
    available_at: str | None = None


class TableMapping(_Model):
    """How one table of ours is filled.

    Attributes:
        file: file below the source folder, a glob or a folder of several; the source itself when left out.
        table: table of a source that is a database, `schema.table` or `table`.
        read: how its text is to be read, instead of what the mapping says for all tables.
        key: what makes the keys of a source that has none: a row's content, or its file and line.
        where: expression that must be true of a row; others are not loaded.
        repeat: makes several rows of each of the source, one for each entry; an entry says what its names
            stand for in expressions (`{result: cd4_20, day: 140}`).
        columns: our column to how it is filled. A column that is left out is empty, but
            `ingestion_timestamp` is the time of the load, and `data_source` the mapping's `source`.
        attributes: further clinical attributes (patient_journeys only).
        leave_out: source columns that are not to be carried along.
    """

    file: str | None = None
    table: str | None = None
    read: Reading | None = None
    key: Literal["content", "line"] | None = None
    where: str | None = Field(default=None, min_length=1)
    repeat: tuple[dict[str, Annotated[str, BeforeValidator(_as_text)]], ...] = ()
    columns: dict[str, ColumnMapping] = Field(min_length=1)
    attributes: dict[str, AttributeMapping] = {}
    leave_out: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.file is not None and self.table is not None:
            raise ValueError("say either `file` or `table`")
        if len({frozenset(entry) for entry in self.repeat}) > 1 or not all(self.repeat):
            raise ValueError("the entries of `repeat` must all say the same names")
        return self

    @property
    def expressions(self) -> dict[str, ColumnMapping]:
        """Columns and attributes together."""
        return {**self.columns, **self.attributes}


class Mapping(_Model):
    """A mapping file: where the data come from, and tables of ours or an OMOP CDM's reading.

    Attributes:
        source: name of the source, for the record.
        read: how text is to be read.
        tables: our tables.
        omop: how an OMOP CDM becomes a partition of ours; instead of `tables`.
        lines: where each key stands in the file.
    """

    source: str = Field(min_length=1)
    read: Reading = Reading()
    tables: dict[str, TableMapping] = {}
    omop: Omop | None = None
    lines: Lines = Field(default=UNKNOWN, exclude=True)

    @field_validator("source")
    @classmethod
    def _not_generated(cls, value: str) -> str:
        if value == GENERATED:
            raise ValueError(f"{value} is the name of generated data, which `e2i data generate` replaces")
        return value

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if bool(self.tables) == (self.omop is not None):
            raise ValueError("say either `tables` or `omop`")
        return self

    @classmethod
    def from_yaml(cls, path: Path) -> Self:
        """Read a mapping file.

        Raises:
            MappingError: naming the file, the line, the key and the rule of every mistake.
        """
        try:
            return cls._from_document(*read_yaml(path))
        except ConfigFileError as error:
            raise MappingError(str(error)) from error

    @classmethod
    def from_text(cls, text: str, path: Path) -> Self:
        """Read a mapping from the text of a file.

        Raises:
            MappingError: as `from_yaml`.
        """
        try:
            return cls._from_document(*parse_yaml(text, path))
        except ConfigFileError as error:
            raise MappingError(str(error)) from error

    @classmethod
    def _from_document(cls, document: Any, lines: Lines) -> Self:
        if not isinstance(document, dict):
            raise MappingError(f"{lines.path}:1: must say `source` and `tables`")
        try:
            mapping = cls.model_validate({**document, "lines": lines})
        except ValidationError as error:
            raise MappingError("\n".join(lines.mistakes(error))) from None
        mapping.check()
        return mapping

    def check(self) -> None:
        """Refuse tables, columns and units that no contract has.

        Raises:
            MappingError: naming them.
        """
        mistakes = [m for table, spec in self.tables.items() for m in self._mistakes(table, spec)]
        if mistakes:
            raise MappingError("\n".join(mistakes))

    def error(self, key: Sequence[str], message: str) -> MappingError:
        """A mistake at a key of the file."""
        return MappingError(self.lines.at(key, message))

    def owner(self) -> str:
        """The one source that owns the rows: what `data_source` is filled with, or else `source`.

        Raises:
            MappingError: rows are of several sources, or of one that only they name.
        """
        tables_of = {}
        for table, spec in self.tables.items():
            how = spec.columns.get("data_source")
            stated = _constant(how)
            if how is not None and stated is None:
                message = "must be one constant, so that it is known whose rows are replaced"
                raise self.error(("tables", table, "columns", "data_source"), message)
            tables_of[stated or self.source] = table
        if len(tables_of) > 1:
            raise self.error(("source",), f"rows are of several sources: {', '.join(sorted(tables_of))}")
        return next(iter(tables_of), self.source)

    def partition_key(self) -> PartitionKey | None:
        """Brand and indication of the journeys; None where rows tell them."""
        if self.omop is not None:
            return PartitionKey(self.omop.brand, self.omop.indication)
        stated = self.tables["patient_journeys"].columns if "patient_journeys" in self.tables else {}
        brand, indication = (_constant(stated.get(name)) for name in ("brand", "indication"))
        return PartitionKey(brand, indication) if brand and indication else None

    def may_fill(self, brand: str, indication: str) -> bool:
        """Whether journeys of a partition may come from here; a brand that is stated as such decides."""
        spec = self.tables.get("patient_journeys")
        wanted = {"brand": brand, "indication": indication}
        return spec is not None and all(
            name not in spec.columns or _may_be(spec.columns[name].expression, value)
            for name, value in wanted.items()
        )

    def reading(self, table: str) -> Reading:
        """How the text of a table is to be read."""
        return (self.tables[table].read if table in self.tables else None) or self.read

    def _mistakes(self, table: str, spec: TableMapping) -> list[str]:
        at = ("tables", table)
        if table not in TABLES:
            return [self.lines.at(at, f"no such table; there are {', '.join(TABLES)}")]
        mistakes = []
        contract = TABLES[table].to_schema().columns
        for name, column in spec.columns.items():
            here = (*at, "columns", name)
            if name not in contract:
                mistakes.append(self.lines.at(here, f"{table} has no column {name}"))
                continue
            ours = column_of(TABLES[table], name)
            if problem := column.unit_problem(ours.unit):
                mistakes.append(self.lines.at((*here, "unit"), f"{name} {problem}"))
            for theirs, value in (column.values or {}).items():
                if ours.allowed and value is not None and value not in ours.allowed:
                    message = f"{name} cannot be {value}; it is one of {', '.join(ours.allowed)}"
                    mistakes.append(self.lines.at((*here, "values", theirs), message))
        if spec.key is not None and (own := key_of(TABLES[table])) in spec.columns:
            mistakes.append(self.lines.at((*at, "key"), f"{own} is said already, under `columns`"))
        if (spec.attributes or spec.leave_out) and table != "patient_journeys":
            mistakes.append(self.lines.at(at, "only patient_journeys carries attributes"))
        mistakes += [
            self.lines.at((*at, "attributes", name), f"{name} is a column of {table}; put it under `columns`")
            for name in spec.attributes
            if name in contract
        ]
        return mistakes


def generated_keys(table: str, spec: TableMapping) -> tuple[str, ...]:
    """Columns of ours that a generated key fills: the table's own, and the patient where nobody says who."""
    if spec.key is None:
        return ()
    patient = ("patient_id",) if table == "patient_journeys" and "patient_id" not in spec.columns else ()
    return (key_of(TABLES[table]), *patient)


def must_be_stated(c: Column) -> bool:
    """Whether a mapping must say what fills a column; when a row arrived the load knows."""
    return not c.nullable and c.name != "ingestion_timestamp"


def _constant(how: ColumnMapping | None) -> str | None:
    """The text that a column is filled with in every row; None where rows may differ."""
    stated = re.fullmatch(r"'([^']+)'", how.expression) if how is not None and how.is_bare else None
    return stated.group(1) if stated else None


def _may_be(expression: str, value: str) -> bool:
    """Whether an expression can give a value; one that states values gives no others."""
    stated = [text.replace("''", "'") for text in re.findall(r"'((?:[^']|'')*)'", expression)]
    return not stated or value in stated
