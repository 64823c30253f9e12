"""What a cohort can be made of, behind one face: an Ibis table to compute on, and a way to hand rows back.

Frames in memory run on Polars; a Parquet file runs on DuckDB, which need not hold it; an Ibis table runs
where it lives and stays there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from e2i_assets.cohorts.attrition import FAILED
from e2i_assets.cohorts.errors import CohortError

if TYPE_CHECKING:
    import ibis.expr.types as ir

JOURNEY_KEY = "patient_journey_id"
ROW = "__row__"


class Source(Protocol):
    """Rows to choose from."""

    @property
    def table(self) -> ir.Table:
        """The columns that rules read, at least."""

    @property
    def keep(self) -> Sequence[str]:
        """Columns that must stay beside the masks, so that `members` can find the rows."""

    def repeated_keys(self) -> int:
        """Rows whose journey key is null or was there before; 0 without such a column."""

    def fetch(self, expression: ir.Table) -> pl.DataFrame:
        """Compute an expression on `table` and bring the result here."""

    def held(self, masked: ir.Table) -> ir.Table:
        """The masked table, computed once where that is cheaper than computing it twice."""

    def members(self, masked: ir.Table) -> Any:
        """Rows without a failed rule, by journey key where there is one, in the kind that was given."""


@dataclass(frozen=True)
class FrameSource:
    """A frame in memory; only the columns that rules read are converted, rows are taken from the original."""

    frame: pl.DataFrame | pd.DataFrame | pa.Table
    columns: Sequence[str]

    @cached_property
    def table(self) -> ir.Table:
        """The read columns and the row number, on Polars."""
        import ibis

        narrow = pl.DataFrame([_series(self.frame, name) for name in self.columns])
        return ibis.polars.connect().create_table("journeys", narrow.with_row_index(ROW))

    @property
    def keep(self) -> Sequence[str]:
        """Row number, and the key by which members are sorted."""
        return [ROW, *(name for name in self.columns if name == JOURNEY_KEY)]

    def repeated_keys(self) -> int:
        """Distinct hashes prove distinct keys at a fraction of the cost of counting the keys themselves."""
        if JOURNEY_KEY not in self.columns:
            return 0
        keys = _series(self.frame, JOURNEY_KEY)
        hashes = np.sort(keys.hash().to_numpy())
        if not keys.null_count() and not (hashes[1:] == hashes[:-1]).any():
            return 0
        return len(keys) - keys.drop_nulls().n_unique()

    def fetch(self, expression: ir.Table) -> pl.DataFrame:
        """The streaming engine counts masks three times as fast as Ibis' default one."""
        return expression.to_polars(engine="streaming")

    def held(self, masked: ir.Table) -> ir.Table:
        """Masks and row numbers in memory: a few bytes per row."""
        return masked.get_backend().create_table("masked", self.fetch(masked))

    def members(self, masked: ir.Table) -> Any:
        """Members in the kind of the frame, its dtypes untouched."""
        chosen = masked.filter(masked[FAILED] == 0).order_by(self.keep[-1]).select(ROW)
        rows = self.fetch(chosen)[ROW]
        if isinstance(self.frame, pd.DataFrame):
            return self.frame.iloc[rows.to_numpy()]
        return self.frame.take(rows.to_arrow()) if isinstance(self.frame, pa.Table) else self.frame[rows]


@dataclass(frozen=True)
class TableSource:
    """A table in a database or a file; nothing but the counts leaves it until members are asked for."""

    table: ir.Table
    collect: bool

    @property
    def keep(self) -> Sequence[str]:
        """Every column: members are a selection of the same expression."""
        return self.table.columns

    def repeated_keys(self) -> int:
        """Counted where the table lives."""
        if JOURNEY_KEY not in self.table.columns:
            return 0
        counted = self.table.aggregate(rows=self.table.count(), keys=self.table[JOURNEY_KEY].nunique())
        rows, keys = self.fetch(counted).row(0)
        return rows - keys

    def fetch(self, expression: ir.Table) -> pl.DataFrame:
        """Computed where the table lives."""
        return expression.to_polars()

    def held(self, masked: ir.Table) -> ir.Table:
        """The expression as it is; the rows may be too many to keep twice."""
        return masked

    def members(self, masked: ir.Table) -> Any:
        """Members as an Ibis table, or as a Polars frame when `collect`."""
        chosen = masked.filter(masked[FAILED] == 0).select(*self.table.columns)
        if JOURNEY_KEY in self.table.columns:
            chosen = chosen.order_by(JOURNEY_KEY)
        return self.fetch(chosen) if self.collect else chosen


def open_source(data: Any, required: Sequence[str], cohort_id: str) -> Source:
    """Find out what was given and check that the required columns are there.

    Raises:
        CohortError: CC_002 for missing columns, CC_004 for anything that is no table of journeys.
    """
    if isinstance(data, pl.DataFrame | pd.DataFrame | pa.Table):
        names = list(data.column_names if isinstance(data, pa.Table) else data.columns)
        _require(required, names, cohort_id)
        key = [JOURNEY_KEY] if JOURNEY_KEY in names else []
        return FrameSource(data, list(dict.fromkeys([*required, *key])))
    if isinstance(data, str | Path):
        source = TableSource(_parquet(Path(data)), collect=True)
    else:
        source = TableSource(_ibis_table(data), collect=False)
    _require(required, list(source.table.columns), cohort_id)
    return source


def _require(required: Sequence[str], names: list[Any], cohort_id: str) -> None:
    if missing := [name for name in required if name not in names]:
        raise CohortError(
            "CC_002",
            f"{cohort_id}: columns missing from the journeys: {', '.join(missing)}; add them to the extract "
            "or take their rules out of the definition",
        )
    if repeated := sorted({name for name in required if names.count(name) > 1}):
        raise CohortError("CC_004", f"{cohort_id}: columns that appear twice: {', '.join(repeated)}")


def _series(frame: pl.DataFrame | pd.DataFrame | pa.Table, name: str) -> pl.Series:
    """One column as Polars; the converter's own message would show values, so only the column is named."""
    try:
        column = frame[name]
        if isinstance(column, pd.Series):
            # Nothing but nulls says nothing about the type; the converter would call it text.
            untyped = column.dtype == object and column.isna().all()
            return pl.Series(name, [None] * len(column)) if untyped else pl.from_pandas(column).alias(name)
        return column if isinstance(column, pl.Series) else pl.Series(name, column)
    except (pa.ArrowException, pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise CohortError(
            "CC_004",
            f"column {name} has no single type that can be compared ({type(error).__name__}): convert it",
        ) from None


def _parquet(path: Path) -> ir.Table:
    import duckdb
    import ibis

    if not path.exists():
        raise CohortError("CC_004", f"{path}: no such file")
    engine = ibis.duckdb.connect()
    try:
        # Parquet statistics leave NaN out, and DuckDB trusts them to say that there is none unless told.
        return engine.read_parquet(path, can_have_nan=True)
    except duckdb.Error as error:
        raise CohortError("CC_004", f"{path}: not a readable Parquet file ({type(error).__name__})") from None


def _ibis_table(data: Any) -> ir.Table:
    import ibis.expr.types as ir

    if not isinstance(data, ir.Table):
        raise CohortError(
            "CC_004",
            f"journeys must be a Polars, pandas, Arrow or Ibis table or a Parquet path, not "
            f"{type(data).__name__}",
        )
    return data
