"""What a role needs for daily work in a database whose tables are another's, as SQL for their owner to run.

It may read and write rows, of every table that a later migration adds as well. It owns none, so that it can
neither alter nor drop one, nor disable the triggers that hold the ledgers.
"""

from __future__ import annotations

import sqlalchemy as sa

from e2i_assets.warehouse.migrations import SCHEMAS

ROWS = "SELECT, INSERT, UPDATE, DELETE"


def grants(connection: sa.Connection, role: str) -> str:
    """Statements for a role, to be run by the owner of the schemas, any number of times.

    Args:
        connection: the owner's, to a database that is migrated.
        role: its name as it is, without quotes.
    """
    quote = connection.dialect.identifier_preparer.quote_identifier
    database = quote(connection.scalar(sa.text("SELECT current_database()")) or "")
    revisions = connection.scalars(
        sa.text("SELECT schemaname || '.' || tablename FROM pg_tables WHERE tablename = 'alembic_version' "
                "AND schemaname = ANY(:schemas) ORDER BY 1"), {"schemas": list(SCHEMAS)},
    ).all()  # fmt: skip
    schemas, to = ", ".join(SCHEMAS), quote(role)
    return f"""\
-- A load waits in a schema of its own until it is published.
GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {database} TO {to};
GRANT USAGE ON SCHEMA {schemas} TO {to};
GRANT {ROWS} ON ALL TABLES IN SCHEMA {schemas} TO {to};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schemas} TO {to};
REVOKE INSERT, UPDATE, DELETE ON {", ".join(revisions)} FROM {to};
ALTER DEFAULT PRIVILEGES IN SCHEMA {schemas} GRANT {ROWS} ON TABLES TO {to};
ALTER DEFAULT PRIVILEGES IN SCHEMA {schemas} GRANT USAGE ON SEQUENCES TO {to};
-- Whoever loads writes rejected rows, which row security keeps from everybody else.
DROP POLICY IF EXISTS {to} ON e2i.ml_rejected_rows;
CREATE POLICY {to} ON e2i.ml_rejected_rows TO {to} USING (true);
"""
