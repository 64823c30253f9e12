"""What the SQL of an indicator may say: one SELECT that reads the columns it declares, and calls nothing but
aggregates and arithmetic.

It is run in a read-only transaction all the same; here it is refused before any database sees it. What is run
is written from the tree that was checked, so that no server reads the text otherwise than it was read here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

from sqlglot import exp, parse
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope

PARAMETERS = frozenset({"brand", "indication", "partition", "today"})
"""What a statement may ask about: a partition by brand and indication, or by key; the day of judgement."""
RESULT = ["value", "rows"]
"""Names of the columns of the one row that is wanted."""
CALLS = (
    exp.Abs, exp.And, exp.Avg, exp.Case, exp.Cast, exp.Coalesce, exp.Count, exp.Exists, exp.Extract,
    exp.Greatest, exp.If, exp.JSONExtract, exp.JSONExtractScalar, exp.Least, exp.Max, exp.Min, exp.Nullif,
    exp.Or, exp.PercentileCont, exp.Sum,
)  # fmt: skip
"""Calls that read nothing but their arguments and keep nothing."""
REFUSED = (exp.Command, exp.DDL, exp.DML, exp.Into, exp.Lock, exp.Star)
"""Parts of a statement that write, lock, or name no columns; `count(*)` is read before."""

_LITERAL = re.compile(rf"%(?!\((?:{'|'.join(sorted(PARAMETERS))})\)s)")
"""A percent sign that begins no parameter."""


@dataclass(frozen=True)
class Statement:
    """A statement that may be run, with `%(name)s` for each parameter that it wants."""

    sql: str
    parameters: frozenset[str]


def read_statement(sql: str, columns: Mapping[str, Mapping[str, str]]) -> Statement:
    """Check a statement.

    Args:
        columns: table to column to type, all that it declares to read.

    Raises:
        ValueError: it is not one SELECT of `value` and `rows`, reads other columns than it declares, or says
            what it may not.
    """
    return _read(sql, tuple((table, tuple(names.items())) for table, names in columns.items()))


@lru_cache(maxsize=256)
def _read(sql: str, declared: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]) -> Statement:
    columns = {table: dict(names) for table, names in declared}
    tree = _parsed(sql)
    _check_calls(tree)
    parameters = frozenset(node.name for node in tree.find_all(exp.Placeholder))
    if unknown := sorted(parameters - PARAMETERS):
        raise ValueError(f"sql: no such parameter: {', '.join(unknown)}; there are {_listed(PARAMETERS)}")
    if tree.named_selects != RESULT:
        raise ValueError(f"sql: selects {_listed(tree.named_selects)} instead of value and rows")
    _check_columns(tree, columns)
    return Statement(_LITERAL.sub("%%", tree.sql(dialect="postgres", comments=False)), parameters)


def _parsed(sql: str) -> exp.Select:
    try:
        trees = parse(sql, read="postgres")
    except SqlglotError as error:
        raise ValueError(f"sql: cannot be read: {str(error).splitlines()[0]}") from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Select):
        raise ValueError("sql: must be one SELECT")
    return trees[0]


def _check_calls(tree: exp.Select) -> None:
    for node in tree.walk():
        if isinstance(node, exp.Func) and not isinstance(node, CALLS):
            raise ValueError(f"sql: {node.sql('postgres')} calls what no indicator may call")
        if isinstance(node, exp.Table) and (node.db or not isinstance(node.this, exp.Identifier)):
            raise ValueError(f"sql: {node.sql('postgres')} is no table or view of the warehouse")
        counted = isinstance(node, exp.Star) and isinstance(node.parent, exp.Count)
        if isinstance(node, REFUSED) and not counted:
            raise ValueError(f"sql: {node.sql('postgres')} is not what an indicator may say")


def _check_columns(tree: exp.Select, columns: Mapping[str, Mapping[str, str]]) -> None:
    wanted = {f"{table}.{name}" for table, names in columns.items() for name in names}
    known = {*columns, *(cte.alias for cte in tree.find_all(exp.CTE))}
    _refuse_tables({table.name for table in tree.find_all(exp.Table)} - known)
    try:
        qualified = qualify(tree.copy(), schema=dict(columns), dialect="postgres")
    except SqlglotError as error:
        raise ValueError(f"sql: reads what it does not declare: {str(error).splitlines()[0]}") from error
    read = set()
    for scope in traverse_scope(qualified):
        tables = {
            alias: source.name for alias, source in scope.sources.items() if isinstance(source, exp.Table)
        }
        _refuse_tables(set(tables.values()) - set(columns))  # a name may be a WITH elsewhere alone
        read |= {f"{tables[c.table]}.{c.name}" for c in scope.columns if c.table in tables}
    if idle := sorted(wanted - read):
        raise ValueError(f"columns: declares {_listed(idle)}, which the sql does not read")


def _refuse_tables(undeclared: Collection[str]) -> None:
    if undeclared:
        raise ValueError(f"sql: reads {_listed(undeclared)}, which columns does not declare")


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
