"""Mapping files: which source column, or which SQL expression over them, fills which column of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from e2i_assets.contracts.tables import TABLES


class MappingError(ValueError):
    """A mapping that cannot be used; the message names the file, the key and the rule."""


class TableMapping(BaseModel):
    """How one table of ours is filled.

    Attributes:
        file: file below the source folder (a glob may name several); the source itself when left out.
        columns: our column to a DuckDB expression over the source's columns. A column that is left out is
            empty, and `ingestion_timestamp` is the time of the load.
        attributes: further clinical attributes to expressions (patient_journeys only).
        leave_out: source columns that are not to be carried along.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str | None = None
    columns: dict[str, str] = Field(min_length=1)
    attributes: dict[str, str] = {}
    leave_out: tuple[str, ...] = ()

    @field_validator("columns", "attributes", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        """YAML reads a bare number or date as such; an expression is text."""
        return {k: str(v) for k, v in value.items()} if isinstance(value, dict) else value


class Mapping(BaseModel):
    """A mapping file: tables of ours, and where the data come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(min_length=1)
    tables: dict[str, TableMapping] = Field(min_length=1)

    @classmethod
    def from_yaml(cls, path: Path) -> Self:
        """Read a mapping file.

        Raises:
            MappingError: naming the file, the key and the rule of every mistake.
        """
        try:
            mapping = cls.model_validate(yaml.safe_load(path.read_text()))
        except yaml.YAMLError as error:
            raise MappingError(f"{path}: {error}") from error
        except ValidationError as error:
            mistakes = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise MappingError(f"{path}: {mistakes}") from None
        mapping.check(path)
        return mapping

    def check(self, path: Path) -> None:
        """Refuse tables and columns that no contract has.

        Raises:
            MappingError: naming them.
        """
        for table, spec in self.tables.items():
            if table not in TABLES:
                raise MappingError(f"{path}: tables.{table}: no such table; there are {', '.join(TABLES)}")
            known = TABLES[table].to_schema().columns
            unknown = [name for name in spec.columns if name not in known]
            if unknown:
                raise MappingError(
                    f"{path}: tables.{table}.columns: {table} has no column {', '.join(unknown)}"
                )
            if (spec.attributes or spec.leave_out) and table != "patient_journeys":
                raise MappingError(f"{path}: tables.{table}: only patient_journeys carries attributes")
