"""Read other people's files, CSV or Parquet, as tables of ours."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import sqlglot
from sqlglot import exp

from e2i_assets.contracts.base import columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest import attributes
from e2i_assets.ingest.loader import Load
from e2i_assets.ingest.mapping import Mapping, MappingError, TableMapping
from e2i_assets.ingest.problems import ROWS_NAMED, LoadError, Problem

READERS: dict[str, Callable[[str], duckdb.DuckDBPyRelation]] = {
    ".csv": lambda file: duckdb.read_csv(file, sample_size=-1),
    ".parquet": duckdb.read_parquet,
}


class SourceError(ValueError):
    """A source that cannot be read; the message names the file and why."""


def read_source(source: Path, mapping: Mapping | None, *, now: dt.datetime) -> Load:
    """Read a file or folder as a load.

    Args:
        mapping: how columns become ours; without one each file is named for its table and has its columns.
        now: what `ingestion_timestamp` is where the mapping does not say.

    Raises:
        SourceError: a file is missing, empty or damaged.
        MappingError: an expression that cannot be evaluated.
        LoadError: values that are not of the column's type.
    """
    if mapping is None:
        mapping = _by_name(source)
    tables, origins = {}, {}
    for table, spec in mapping.tables.items():
        file = _file(source, spec)
        origins[table] = str(file)
        tables[table] = _read_table(table, file, spec, now)
    return Load(tables, source=mapping.source, origins=origins)


def _by_name(source: Path) -> Mapping:
    """A folder whose files are named for our tables and have our columns."""
    files = [source] if source.is_file() else sorted(source.glob("*"))
    found = {file.stem: file for file in files if file.suffix in READERS and file.stem in TABLES}
    if not found:
        raise SourceError(
            f"{source}: no file named for a table ({', '.join(TABLES)}), .csv or .parquet; "
            "give a mapping file with --mapping"
        )
    specs = {}
    for table, file in found.items():
        given = _relation(file).columns
        unknown = [name for name in given if name not in TABLES[table].to_schema().columns]
        if unknown:
            raise LoadError(
                [Problem(str(file), table, name, "is not in the contract", 0) for name in unknown]
            )
        specs[table] = TableMapping(
            file=file.name if source.is_dir() else None, columns={n: f'"{n}"' for n in given}
        )
    missing = [
        Problem(str(found[table]), table, c.name, "is missing", 0)
        for table, spec in specs.items()
        for c in columns(TABLES[table])
        if c.name not in spec.columns and not c.nullable
    ]
    if missing:
        raise LoadError(missing)
    return Mapping(source=str(source), tables=specs)


def _file(source: Path, spec: TableMapping) -> Path:
    file = source / spec.file if spec.file and source.is_dir() else source
    if not file.exists():
        raise SourceError(f"{file}: no such file")
    if file.is_dir():
        raise SourceError(f"{file}: is a folder; name the file of the table in the mapping (`file:`)")
    return file


def _relation(file: Path) -> duckdb.DuckDBPyRelation:
    if file.suffix not in READERS:
        raise SourceError(f"{file}: must be .csv or .parquet")
    if file.stat().st_size == 0:
        raise SourceError(f"{file}: is empty")
    try:
        return READERS[file.suffix](str(file))
    except duckdb.Error as error:
        raise SourceError(
            f"{file}: cannot be read, the file is damaged or not {file.suffix}: {_first(error)}"
        ) from error


def _read_table(table: str, file: Path, spec: TableMapping, now: dt.datetime) -> pl.DataFrame:
    relation = _relation(file)
    carried = _carried(relation, spec) if table == "patient_journeys" else []
    expressions = {**spec.columns, **spec.attributes, **{name: f'"{name}"' for name in carried}}
    frame = _evaluate(relation, file, table, expressions)
    if frame.is_empty():
        raise SourceError(f"{file}: has no rows")
    names = [*spec.attributes, *carried]
    if names:
        frame = frame.with_columns(attributes.fold(frame, names)).drop(names)
    return _as_contract(table, frame, str(file), now)


def _carried(relation: duckdb.DuckDBPyRelation, spec: TableMapping) -> list[str]:
    """Source columns that no expression names and that are not left out."""
    used = {
        column.name
        for expression in [*spec.columns.values(), *spec.attributes.values()]
        for column in _parsed(expression).find_all(exp.Column)
    }
    return [name for name in relation.columns if name not in used and name not in spec.leave_out]


def _parsed(expression: str) -> exp.Expr:
    try:
        return sqlglot.parse_one(expression, dialect="duckdb")
    except sqlglot.errors.ParseError as error:
        raise MappingError(f"expression {expression!r} is not SQL: {_first(error)}") from error


def _evaluate(
    relation: duckdb.DuckDBPyRelation, file: Path, table: str, expressions: dict[str, str]
) -> pl.DataFrame:
    selected = ", ".join(f'({expression}) AS "{name}"' for name, expression in expressions.items())
    try:
        return relation.project(selected).pl()
    except duckdb.ConversionException as error:
        # The library quotes the value that it could not convert; it may be a patient's.
        raise SourceError(f"{file}: table {table}: a value does not fit the expression's type") from error
    except duckdb.BinderException as error:
        raise MappingError(f"{file}: table {table}: {_first(error)}") from error
    except duckdb.Error as error:
        raise SourceError(f"{file}: cannot be read, the file is damaged: {type(error).__name__}") from error


def _as_contract(table: str, frame: pl.DataFrame, origin: str, now: dt.datetime) -> pl.DataFrame:
    series, problems = [], []
    for c in columns(TABLES[table]):
        if c.name not in frame.columns:
            default = now if c.name == "ingestion_timestamp" else None
            series.append(pl.Series(c.name, [default] * frame.height, dtype=c.dtype))
            continue
        values = frame.get_column(c.name)
        cast = _cast(values, c.dtype)
        lost = values.is_not_null() & cast.is_null()
        if lost.any():
            rows = tuple(int(i) + 1 for i in lost.arg_true().head(ROWS_NAMED))
            problems.append(Problem(origin, table, c.name, f"must be {c.dtype}", int(lost.sum()), rows))
        series.append(cast)
    if problems:
        raise LoadError(problems)
    return pl.DataFrame(series)


def _cast(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    if values.dtype == pl.Boolean and dtype.is_numeric():
        return pl.Series(values.name, [None] * len(values), dtype=dtype)
    if (
        isinstance(dtype, pl.Datetime)
        and isinstance(values.dtype, pl.Datetime)
        and not values.dtype.time_zone
    ):
        return values.dt.replace_time_zone("UTC").cast(dtype)
    cast = values.cast(dtype, strict=False)
    if values.dtype.is_float() and dtype.is_integer():
        return cast.set((cast.cast(pl.Float64) != values).fill_null(value=False), None)
    return cast


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
