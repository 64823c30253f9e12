"""Parquet files as one table of DuckDB: no value becomes another one on the way in or out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from e2i_assets.cohorts.errors import CohortError

if TYPE_CHECKING:
    import ibis.expr.types as ir

PAUSE = 0.2
"""Seconds between two looks at how far a statement is."""
UNTYPED = '"NULL"'
"""DuckDB's type of a column that was written without one, as pandas does when all is null."""
DIFFERING = f"""
    SELECT DISTINCT name
    FROM (SELECT DISTINCT file_name, name, duckdb_type FROM parquet_schema($path))
    GROUP BY name
    HAVING count(DISTINCT duckdb_type) FILTER (duckdb_type <> '{UNTYPED}') > 1
        OR count(DISTINCT file_name) < (SELECT count(DISTINCT file_name) FROM parquet_schema($path))
"""


def open_parquet(engine: Any, path: Path) -> ir.Table:
    """The table in a file, or in all files of a folder or a glob, which must agree in columns and types.

    Raises:
        CohortError: CC_004, there is no such file, it cannot be read, or files differ.
    """
    import duckdb

    if not path.exists() and not engine.con.execute("FROM glob($path)", {"path": str(path)}).fetchone():
        raise CohortError("CC_004", f"{path}: no such file")
    try:
        # Parquet statistics leave NaN out, and DuckDB trusts them to say that there is none unless told.
        table = engine.read_parquet(path, can_have_nan=True, union_by_name=True)
        uneven = {name for (name,) in engine.con.execute(DIFFERING, {"path": str(path)}).fetchall()}
    except duckdb.Error as error:
        raise CohortError("CC_004", f"{path}: not a readable Parquet file ({type(error).__name__})") from None
    # DuckDB would cast to one type, with rounding, and fill a missing column with nulls.
    if differing := [name for name in table.columns if name in uneven]:
        raise CohortError(
            "CC_004",
            f"{path}: its files differ in the columns {', '.join(differing)}; write them with the same "
            "columns and types",
        )
    return table


@contextmanager
def progress_told(engine: Any, tell: Callable[[float], None] | None) -> Iterator[None]:
    """Tell, while the block lasts, how much of the running statement is done, in per cent."""
    if tell is None:
        yield
        return
    engine.con.execute("SET enable_progress_bar = true")
    engine.con.execute("SET enable_progress_bar_print = false")
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(PAUSE):
            if (share := engine.con.query_progress()) >= 0:  # -1 where nothing is known yet
                tell(share)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield
    finally:
        ended.set()
        looking.join()


def require_nan_kept(table: ir.Table, columns: Sequence[str], cohort_id: str) -> None:
    """Refuse floating-point columns of Parquet in which a user's DuckDB would not see NaN.

    Raises:
        CohortError: CC_004, a view over Parquet was made without `can_have_nan`.
    """
    import ibis.expr.operations as ops

    if table.get_backend().name != "duckdb" or not any(table[c].type().is_floating() for c in columns):
        return
    listed = table.get_backend().con.execute("SELECT view_name, sql FROM duckdb_views() WHERE NOT internal")
    views = dict(listed.fetchall())
    read = {view.name for view in table.op().find(ops.DatabaseTable)} & views.keys()
    while further := {name for name in views for view in read if name in views[view]} - read:
        read |= further
    if any("parquet" in views[view].lower() and "can_have_nan" not in views[view].lower() for view in read):
        raise CohortError(
            "CC_004",
            f"{cohort_id}: DuckDB would overlook NaN in this Parquet; read it with can_have_nan=True, or "
            "give its path",
        )


def fetched(engine: Any, table: ir.Table) -> pl.DataFrame:
    """The rows; Ibis itself cannot hand out every type that a file may hold."""
    frame = pl.from_arrow(engine.con.sql(engine.compile(table)).to_arrow_table())
    assert isinstance(frame, pl.DataFrame)
    return frame
