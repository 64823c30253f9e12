"""How one table of a source becomes one of ours: what a mapping says, held against its columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, replace

import duckdb
import sqlglot
from sqlglot import exp

from e2i_assets.contracts.base import columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest import attributes, omop
from e2i_assets.ingest.allowed import refusal
from e2i_assets.ingest.csv_files import AS_KEPT, AS_WRITTEN, FILE, quoted
from e2i_assets.ingest.expressions import first_line, local_moment, no_column, over_cells
from e2i_assets.ingest.mapping import (
    Mapping,
    MappingError,
    Reading,
    TableMapping,
    generated_keys,
    must_be_stated,
)
from e2i_assets.ingest.opening import Opened

CARRIED = "carried."
"""Prefix of a carried source column on its way, so that it cannot meet a column of ours."""
CONTENT = "__content"
"""Column on the way: what a key by content is made of."""
KEEP = "__keep"
"""Column on the way: whether `where` holds."""
NOT_ARROW = ("INTERVAL", "UNION")
"""DuckDB's types that frames cannot hold."""
HELP = "make it a number (`date_diff('day', a, b)`) or text (`x::VARCHAR`), or put it under `leave_out`"


@dataclass(frozen=True)
class Plan:
    """How one table of ours is read.

    Attributes:
        opened: the source table.
        rows: for each row that is made of one of the source: our columns and attributes, and `KEEP` where the
            mapping says `where`, to the SQL that gives their values.
        carried: source columns that become attributes because no expression names them.
        dropped: source columns that no expression names, of a table that carries none.
        consumed: source columns that only expressions use which do not keep their values.
        extra: columns of the view that are only ours.
        as_kept: columns that the view has in the form in which they are kept, too.
    """

    opened: Opened
    table: str
    spec: TableMapping
    mapping: Mapping
    rows: tuple[dict[str, str], ...]
    carried: tuple[str, ...]
    dropped: tuple[str, ...]
    consumed: tuple[str, ...]
    extra: tuple[str, ...]
    as_kept: frozenset[str]

    @property
    def origin(self) -> str:
        """What errors call the source."""
        return self.opened.origin

    @property
    def select(self) -> str:
        """SQL of the source's rows; what a row of ours is made of begins with its number and a point."""
        expressions = [
            f"({sql}) AS {quoted(f'{i}.{name}')}"
            for i, row in enumerate(self.rows)
            for name, sql in row.items()
        ]
        expressions += [f"{quoted(self._kept_column(n))} AS {quoted(CARRIED + n)}" for n in self.carried]
        if self.spec.key == "content":
            expressions.append(f"{self.content} AS {CONTENT}")
        return f"SELECT {', '.join([*expressions, *self.extra])} FROM {quoted(self.opened.view)}"

    @property
    def content(self) -> str:
        """SQL of a digest of a row of the source, whatever the order of its columns."""
        columns = self.opened.connection.table(self.opened.view).columns
        forms = [AS_WRITTEN + n if AS_WRITTEN + n in columns else n for n in sorted(self.opened.columns())]
        cells = (f"coalesce({quoted(form)}::VARCHAR, chr(30))" for form in forms)
        return f"md5(concat_ws(chr(31), {', '.join(cells)}))"

    def _kept_column(self, name: str) -> str:
        """The column that holds a carried one in the form in which it is kept."""
        return AS_KEPT + name if name in self.as_kept else name

    @property
    def reading(self) -> Reading:
        """How its text is to be read."""
        return self.mapping.reading(self.table)

    def error(self, name: str, message: str) -> MappingError:
        """A mistake in how a column or attribute is filled, or in `where`."""
        part = "columns" if name in self.spec.columns else "attributes"
        key = ("where",) if name == KEEP else (part, name)
        return self.mapping.error(("tables", self.table, *key), message)

    def notes(self) -> Iterator[str]:
        """What of the source is not loaded."""
        if self.dropped:
            yield (
                f"{self.origin}: not loaded, because the mapping does not name them and {self.table} carries "
                f"no attributes: {', '.join(self.dropped)}"
            )
        if self.consumed:
            yield (
                f"{self.origin}: not carried along, because expressions use them: "
                f"{', '.join(self.consumed)}; name them under `attributes` to keep them as well"
            )


def plan(opened: Opened, table: str, spec: TableMapping, mapping: Mapping) -> Plan:
    """How a table is read.

    Raises:
        MappingError: naming the line of what cannot be done with the table's columns.
    """
    relation = opened.relation()
    types = opened.columns()
    as_kept = frozenset(name for name in types if AS_KEPT + name in relation.columns)
    extra = tuple(name for name in (FILE, omop.REFUSE) if name in relation.columns)
    draft = Plan(opened, table, spec, mapping, (), (), (), (), extra, as_kept)
    keys = generated_keys(table, spec)
    if spec.key == "line" and FILE not in extra:
        raise mapping.error(
            ("tables", table, "key"), f"{opened.origin}: its rows have no lines; say `key: content`"
        )
    lacks = [
        c.name for c in columns(TABLES[table]) if c.name not in (*spec.columns, *keys) and must_be_stated(c)
    ]
    if lacks:
        raise mapping.error(
            ("tables", table, "columns"), f"lacks {', '.join(lacks)}, which must not be empty"
        )
    trees = [_trees(draft, row, types) for row in _repeated(draft, types)]
    rows = tuple(
        {name: _bound(draft, name, tree, relation, types) for name, tree in named.items()} for named in trees
    )
    used = {c.name.lower() for named in trees for tree in named.values() for c in tree.find_all(exp.Column)}
    whole = {
        tree.name.lower()
        for named in trees
        for name, tree in named.items()
        if isinstance(tree, exp.Column) and spec.expressions[name].is_bare
    }
    left = [n for n in types if n.lower() not in used and n not in (*spec.leave_out, *extra)]
    carried, dropped = (tuple(left), ()) if table == "patient_journeys" else ((), tuple(left))
    consumed = tuple(n for n in types if n.lower() in used - whole and n not in spec.leave_out)
    _check_carried(draft, types, carried)
    return replace(draft, rows=rows, carried=carried, dropped=dropped, consumed=consumed)


def _repeated(plan: Plan, types: Dictionary[str, str]) -> list[dict[str, exp.Expr]]:
    """What the names of each entry under `repeat` stand for; one entry without any when there are none."""
    entries = []
    for i, entry in enumerate(plan.spec.repeat):
        named = {}
        for name, sql in entry.items():
            at = ("tables", plan.table, "repeat", str(i), name)
            if name.lower() in {n.lower() for n in types}:
                raise plan.mapping.error(at, f"{plan.origin} has a column {name}; choose another name")
            try:
                named[name.lower()] = _parsed(sql)
            except ValueError as error:
                raise plan.mapping.error(at, str(error)) from error
        entries.append(named)
    return entries or [{}]


def _trees(
    plan: Plan, standing: Dictionary[str, exp.Expr], types: Dictionary[str, str]
) -> dict[str, exp.Expr]:
    """The expressions that make a row of ours, in what they say of the source's columns."""

    def stands_for(node: exp.Expr) -> exp.Expr:
        meant = standing.get(node.name.lower()) if isinstance(node, exp.Column) else None
        if meant is None:
            return node
        return meant.copy() if isinstance(meant, exp.Column | exp.Literal) else exp.paren(meant.copy())

    asked = {name: how.expression for name, how in plan.spec.expressions.items()}
    if plan.spec.where is not None:
        asked[KEEP] = plan.spec.where
    trees = {}
    for name, sql in asked.items():
        try:
            tree = _parsed(sql).transform(stands_for)
        except ValueError as error:
            raise plan.error(name, str(error)) from error
        if problem := refusal(tree) or local_moment(tree):
            raise plan.error(name, problem)
        trees[name] = _named(plan, name, tree, types)
    return trees


def _named(plan: Plan, name: str, tree: exp.Expr, types: Dictionary[str, str]) -> exp.Expr:
    """The expression with its columns by their exact names: `user` is no function where it is a column."""
    exact = {column.lower(): column for column in types}
    for column in tree.find_all(exp.Column):
        first = column.parts[0]
        if first.name.lower() not in exact:
            raise plan.error(name, f"{plan.origin} {no_column(first.name, exact)}")
        first.replace(exp.to_identifier(exact[first.name.lower()], quoted=True))
    return tree


def _bound(
    plan: Plan, name: str, tree: exp.Expr, relation: duckdb.DuckDBPyRelation, types: Dictionary[str, str]
) -> str:
    """SQL of an expression, of which it is known that the source's columns can give it."""
    as_text = {n: dtype for n, dtype in types.items() if AS_WRITTEN + n in relation.columns}
    # What was judged is what is evaluated, and not what somebody wrote.
    sql = over_cells(plan.table, name, plan.spec, tree, as_text, plan.as_kept).sql("duckdb", comments=False)
    try:
        projected = relation.project(f"({sql}) AS made")
    except duckdb.Error as error:
        raise plan.error(name, f"{plan.origin}: {first_line(error)}") from error
    dtype = str(projected.types[0])
    if dtype.startswith(NOT_ARROW):
        raise plan.error(name, f"{plan.origin}: {tree.sql('duckdb')!r} is of type {dtype}; {HELP}")
    if name == KEEP and dtype != "BOOLEAN":
        raise plan.error(name, f"{plan.origin}: is of type {dtype}; it must be true or false of each row")
    return sql


def _check_carried(plan: Plan, types: Dictionary[str, str], carried: Sequence[str]) -> None:
    for name in carried:
        if types[name].startswith(NOT_ARROW):
            message = f"{plan.origin}: column {name} is of type {types[name]}; {HELP}"
            raise plan.mapping.error(("tables", plan.table), message)
    for i, name in enumerate(plan.spec.leave_out):
        if name not in types:
            # Misspelt, a column that must not leave the source would be carried along.
            key = ("tables", plan.table, "leave_out", str(i))
            raise plan.mapping.error(key, f"{plan.origin} has no column {name}")
    contract = TABLES[plan.table].to_schema().columns
    for name in carried:
        if name in plan.spec.attributes or name in contract:
            ours = "a column of ours" if name in contract else "an attribute of the mapping"
            raise plan.mapping.error(
                ("tables", plan.table, "attributes", name),
                f"{plan.origin} has a column {name}, which would be carried along, and {name} is {ours}; "
                "use it in an expression, or put it under `leave_out`",
            )
    further = [*plan.spec.attributes, *carried]
    if attributes.COLUMN in plan.spec.columns and further:
        raise plan.error(
            attributes.COLUMN,
            f"is one object already; put under `leave_out` what is not in it: {', '.join(further)}",
        )


def _parsed(sql: str) -> exp.Expr:
    try:
        return sqlglot.parse_one(sql, dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise ValueError(f"expression {sql!r} is not SQL: {first_line(error)}") from error
