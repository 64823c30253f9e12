"""What PostgreSQL itself says of a schema, so that two schemas can be compared to the last CHECK.

The text of a CHECK in a contract is not the text that the server keeps (`IN` becomes `= ANY`), so contracts
are compared by creating them: in a schema that is rolled back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import comparators
from alembic.operations import ops
from alembic.util import DispatchPriority

from e2i_assets.warehouse.ddl import SCHEMA
from e2i_assets.warehouse.monitoring_records import metadata

DECLARED = "e2i_declared"

_COLUMNS = """
SELECT c.relname || '.' || a.attname,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid),
                 'IDENTITY ' || nullif(a.attidentity::text, ''), '-- ' || col_description(c.oid, a.attnum))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
     LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = CAST(:schema AS regnamespace) AND c.relkind = 'r' AND a.attnum > 0
      AND NOT a.attisdropped"""
_CONSTRAINTS = """
SELECT t.relname || '.' || k.conname, pg_get_constraintdef(k.oid, true)
FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
WHERE t.relnamespace = CAST(:schema AS regnamespace)"""
_INDEXES = """
SELECT t.relname || '.' || i.relname, pg_get_indexdef(i.oid, 0, true)
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
WHERE i.relnamespace = CAST(:schema AS regnamespace)"""
_COMMENTS = """
SELECT relname, coalesce(obj_description(oid, 'pg_class'), '') FROM pg_class
WHERE relnamespace = CAST(:schema AS regnamespace) AND relkind = 'r'"""


def describe(connection: sa.Connection, schema: str = SCHEMA) -> dict[str, str]:
    """Every column, constraint, index and table comment of a schema, name to definition.

    Alembic's own table is left out; the schema's name does not appear in the definitions.
    """
    queries = {"column": _COLUMNS, "constraint": _CONSTRAINTS, "index": _INDEXES, "table": _COMMENTS}
    return {
        f"{kind} {name}": definition
        for kind, query in queries.items()
        for name, definition in _rows(connection, query, schema)
        if not name.startswith("alembic_version")
    }


@contextmanager
def declared(connection: sa.Connection) -> Iterator[str]:
    """A schema with the tables as contracts and records declare them; it is gone afterwards."""
    with connection.begin_nested() as savepoint:
        connection.execute(sa.schema.CreateSchema(DECLARED))
        translated = connection.execution_options(schema_translate_map={SCHEMA: DECLARED})
        metadata.create_all(translated, checkfirst=False)
        connection.execution_options(schema_translate_map=None)
        yield DECLARED
        savepoint.rollback()


@comparators.dispatch_for("schema", priority=DispatchPriority.LAST)
def compare_checks(autogen_context: Any, upgrade_ops: Any, schemas: Any) -> None:
    """Add to a revision what Alembic does not see: CHECKs that are new, gone or different."""
    connection = autogen_context.connection
    stored = _checks(connection, SCHEMA)
    with declared(connection) as schema:
        wanted = _checks(connection, schema)
    tables = sa.inspect(connection).get_table_names(schema=SCHEMA)
    text = {
        f"{table.name}.{check.name}": str(check.sqltext)
        for table in metadata.tables.values()
        for check in table.constraints
        if isinstance(check, sa.CheckConstraint)
    }
    for name in sorted(stored.keys() | wanted.keys()):
        table, check = name.split(".")
        if stored.get(name) == wanted.get(name) or table not in tables:
            continue
        if name in stored:
            # Before the columns change: PostgreSQL drops a CHECK together with its column.
            old = sa.CheckConstraint(stored[name], name=check)
            sa.Table(table, sa.MetaData(), old, schema=SCHEMA)
            drop = ops.DropConstraintOp.from_constraint(old)
            upgrade_ops.ops.insert(0, ops.ModifyTableOps(table, [drop], schema=SCHEMA))
        if name in wanted:
            create = ops.CreateCheckConstraintOp(check, table, text[name], schema=SCHEMA)
            upgrade_ops.ops.append(ops.ModifyTableOps(table, [create], schema=SCHEMA))


def _checks(connection: sa.Connection, schema: str) -> dict[str, str]:
    return dict(_rows(connection, f"{_CONSTRAINTS} AND k.contype = 'c'", schema))


def _rows(connection: sa.Connection, query: str, schema: str) -> list[tuple[str, str]]:
    # With the schema as search path, definitions name what is in it without its name.
    with connection.begin_nested() as savepoint:
        connection.execute(sa.text("SELECT set_config('search_path', :schema, true)"), {"schema": schema})
        rows = connection.execute(sa.text(query), {"schema": schema}).all()
        savepoint.rollback()
    return [(row[0], row[1]) for row in rows]
