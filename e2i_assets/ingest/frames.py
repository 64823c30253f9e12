"""Whole tables as pandas frames, read by the reader of `data import`: all files of other people come so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from e2i_assets.ingest.attributes import AS_IT_IS, DTYPES
from e2i_assets.ingest.casting import as_text, cast
from e2i_assets.ingest.csv_files import AS_WRITTEN, quoted
from e2i_assets.ingest.errors import SourceError, unreadable
from e2i_assets.ingest.mapping import Reading, TableMapping
from e2i_assets.ingest.opening import UNSAID, FileSource
from e2i_assets.ingest.problems import ROWS_NAMED

if TYPE_CHECKING:
    import pandas as pd

CUSTOMARY = Reading(nulls=("NA", "N/A", "NaN", "nan", "NULL", "null"))
"""Spellings of an empty cell that R, pandas and databases write."""
NUMBERS = ("BIGINT", "DOUBLE")
PANDAS_INDEX = "__index_level_"
"""How pandas calls an index without a name in a Parquet file; it is no column of the table."""


@dataclass(frozen=True)
class _Opened:
    """A file that is open.

    Attributes:
        rows: its columns, of a CSV in the types that their cells have and as they are written.
        types: DuckDB types of its columns.
        spelt: columns of a CSV to whether each of their values is spelt in one way; None without a value.
    """

    source: FileSource
    rows: duckdb.DuckDBPyRelation
    types: dict[str, str]
    spelt: dict[str, bool | None]


def read_frames(
    files: Sequence[str],
    reading: Reading = CUSTOMARY,
    *,
    text: Collection[str] = (),
    declared: Mapping[str, str] | None = None,
) -> list[pd.DataFrame]:
    """CSV or Parquet files that hold rows of one kind, each as a frame with the source's column names.

    A column of a CSV is text unless it is declared, or is numbers or truth values in every file, of which
    none is spelt in two ways (`250.0` and `250.00` are two codes).

    Args:
        text: columns that are text whatever they look like: identifiers.
        declared: column to a key of `attributes.DTYPES`.

    Raises:
        SourceError: a file is missing, empty or damaged, or holds a cell that is not of its declared type.
    """
    opened = [_open(file, reading) for file in files]
    as_written = {name for one in opened for name in one.spelt if not _is_typed(name, opened)}
    as_written |= {*text, *(declared or {})}
    return [_frame(one, reading, as_written, set(text), declared or {}) for one in opened]


def _open(file: str, reading: Reading) -> _Opened:
    source = FileSource(file)
    view = source.open("rows", TableMapping(columns=UNSAID), reading)
    types = view.columns()
    rows = view.connection.cursor().table(view.view)
    written = [name for name in types if AS_WRITTEN + name in rows.columns]
    try:
        # Most columns are written as numbers are by rule, which is known without a look at what is distinct.
        same = [f"bool_and({quoted(n)}::VARCHAR = {quoted(AS_WRITTEN + n)})" for n in written]
        counts = rows.aggregate(", ".join(["count(*)", *same])).fetchall()[0]
        spelt: dict[str, bool | None] = dict(zip(written, counts[1:], strict=True))
        for name in [n for n in written if spelt[n] is False and types[n] in ("DOUBLE", "BOOLEAN")]:
            forms = f"count(DISTINCT {quoted(name)}) = count(DISTINCT {quoted(AS_WRITTEN + name)})"
            spelt[name] = rows.aggregate(forms).fetchall()[0][0]
    except duckdb.Error as error:
        raise unreadable(view.origin, error) from error
    if not counts[0]:
        raise SourceError(f"{view.origin}: has no rows")
    return _Opened(source, rows, types, spelt)


def _is_typed(name: str, opened: Sequence[_Opened]) -> bool:
    """Whether a column is numbers, or truth values, in every CSV that has such, each spelt in one way."""
    typed = [(one.types[name], one.spelt[name]) for one in opened if one.spelt.get(name) is not None]
    kinds = {"number" if dtype in NUMBERS else dtype for dtype, _ in typed}
    return kinds in ({"number"}, {"BOOLEAN"}) and all(spelt for _, spelt in typed)


def _frame(
    one: _Opened, reading: Reading, as_written: set[str], text: set[str], declared: Mapping[str, str]
) -> pd.DataFrame:
    asked = {
        name: AS_WRITTEN + name if name in one.spelt and name in as_written else name
        for name in one.types
        if not name.startswith(PANDAS_INDEX)
    }
    chosen = ", ".join(f"{quoted(form)} AS {quoted(name)}" for name, form in asked.items())
    try:
        rows = one.rows.project(chosen).pl()
    except duckdb.Error as error:
        raise unreadable(one.source.name, error) from error
    one.source.verify()
    wanted = {name: dtype for name, dtype in declared.items() if name in rows.columns and name not in text}
    converted = [as_text(rows.get_column(name)) for name in text & set(rows.columns)]
    converted += [
        _declared(rows.get_column(n), dtype, reading, one.source.name) for n, dtype in wanted.items()
    ]
    return rows.with_columns(converted).to_pandas()


def _declared(cells: pl.Series, dtype: str, reading: Reading, file: str) -> pl.Series:
    done = cast(cells, DTYPES[dtype], AS_IT_IS, reading)
    if done.bad.any():
        rows = (done.bad.arg_true() + 1).head(ROWS_NAMED).to_list()
        more = ", …" if done.bad.sum() > len(rows) else ""
        problem = (
            f"column {cells.name}: {done.rule} ({done.bad.sum()} rows: {', '.join(map(str, rows))}{more})"
        )
        raise SourceError(f"{file}: {problem}; correct the file, or the declared type")
    return done.values
