"""A mapping's SQL expressions as trees: what they may say, and over which form of a cell they are."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection
from collections.abc import Mapping as Dictionary

import polars as pl
from sqlglot import exp

from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.casting import OFFSET
from e2i_assets.ingest.csv_files import AS_KEPT, AS_WRITTEN
from e2i_assets.ingest.mapping import TableMapping

MOMENTS = (exp.DataType.Type.TIMESTAMPTZ, exp.DataType.Type.TIMESTAMPLTZ)


def local_moment(tree: exp.Expr) -> str | None:
    """What is wrong with making a moment of a local time in SQL: a clock that is put back goes unnoticed."""
    for call in tree.find_all(exp.Cast):
        stated = isinstance(call.this, exp.Literal) and re.search(OFFSET, call.this.name)
        if call.to.this in MOMENTS and not stated:
            return (
                f"{call.sql('duckdb')} would take a local time for one of some zone; leave the cast out, "
                "`read: {time_zone: …}` says the zone (a constant may name it: "
                "TIMESTAMPTZ '2024-01-31 08:00:00+01')"
            )
    return None


def no_column(name: str, columns: Dictionary[str, str]) -> str:
    """That there is no such column, and which one may be meant.

    Args:
        columns: the columns, by their names in small letters.
    """
    near = difflib.get_close_matches(name.strip().lower(), columns, n=1)
    return f"has no column {name}" + (f"; is it `{columns[near[0]]}`?" if near else "")


def over_cells(
    table: str,
    name: str,
    spec: TableMapping,
    tree: exp.Expr,
    types: Dictionary[str, str],
    as_kept: Collection[str],
) -> exp.Expr:
    """The expression over that form of a CSV's cells which it asks for.

    A bare column, a value map and what becomes text are over the cells as they are written, a bare attribute
    over the form in which it is kept; elsewhere a cell is text where it is used as text.

    Args:
        types: DuckDB types of the columns that are there as they are written, too.
        as_kept: columns that are there as they are kept, too.
    """
    if name not in spec.expressions:
        return _over(tree, types, AS_WRITTEN, _is_used_as_text)
    bare = isinstance(tree, exp.Column)
    if bare and name in spec.attributes and spec.attributes[name].is_bare:
        return _over(tree, as_kept, AS_KEPT)
    contract = TABLES[table].to_schema().columns
    becomes_text = name in spec.columns and contract[name].dtype.type == pl.String
    if spec.expressions[name].values is not None or becomes_text or (bare and name in spec.columns):
        return as_written(tree, types)
    return _over(tree, types, AS_WRITTEN, _is_used_as_text)


USES_TEXT = (
    exp.DPipe, exp.Concat, exp.ConcatWs, exp.Like, exp.ILike, exp.RegexpLike, exp.RegexpILike,
    exp.RegexpFullMatch, exp.RegexpExtract, exp.RegexpReplace, exp.StartsWith, exp.EndsWith, exp.Contains,
    exp.StrPosition, exp.Substring, exp.Left, exp.Right, exp.Lower, exp.Upper, exp.Trim, exp.Pad,
    exp.Length, exp.Replace, exp.SplitPart,
)  # fmt: skip
"""What takes a cell as text."""


def _is_used_as_text(cell: exp.Column) -> bool:
    """Whether a cell is joined, searched, cast to or compared with text."""
    parent = cell.parent
    if isinstance(parent, exp.Cast):
        return parent.to.this in exp.DataType.TEXT_TYPES
    if isinstance(parent, exp.EQ | exp.NEQ | exp.In):
        others = [e for e in parent.iter_expressions() if e is not cell]
        return bool(others) and all(isinstance(e, exp.Literal) and e.is_string for e in others)
    return isinstance(parent, USES_TEXT)


def as_written(tree: exp.Expr, types: Dictionary[str, str]) -> exp.Expr:
    """The expression over cells as they are written: `1.50` is 1.5 only to those that count with it.

    Whole numbers and days have one spelling each, so their columns may stay what they are.
    """
    bare = isinstance(tree, exp.Column)
    several = {name: dtype for name, dtype in types.items() if bare or dtype in ("DOUBLE", "BOOLEAN")}
    return _over(tree, several, AS_WRITTEN)


def _over(
    tree: exp.Expr,
    names: Collection[str],
    form: str,
    wanted: Callable[[exp.Column], bool] = lambda cell: True,
) -> exp.Expr:
    """The expression with these columns, where they are wanted so, in another form."""
    several = {name.lower(): name for name in names}

    def formed(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and (name := several.get(node.name.lower())) and wanted(node):
            return exp.column(form + name, quoted=True)
        return node

    return tree.transform(formed)


def first_line(error: Exception) -> str:
    """What a library says first; further lines may quote values."""
    return str(error).strip().splitlines()[0]
