"""Migrations of schema `e2i`: one reviewed revision for every change of a contract or record table.

Opening the warehouse brings it to the newest revision (`upgrade`), in one transaction under a lock: an
upgrade that is killed leaves the old schema whole. A database that is already there costs one SELECT, and
Alembic is not imported. Only the role that owns the schema can do it, which is the one that did it first; any
other is told so (`warehouse/grants.py` has what it needs for everything else).

To change the schema:

1. Change the contract (`e2i_assets/contracts`) or the record table (`warehouse/records.py`).
2. `make revision m="what changes"` (which is `python -m e2i_assets.warehouse.migrations "what changes"`, then
   `ruff format`) compares that with what the revisions give, on a PostgreSQL of its own, never on your
   warehouse, and writes `versions/vNNNN_what_changes.py`.
3. Review the file as code that runs on full tables: a renamed column shows as drop and add, which loses data
   (write `op.alter_column(..., new_column_name=...)`); a new NOT NULL column needs a `server_default` or an
   UPDATE first; a narrower CHECK fails on rows that break it. No downgrades: go back by a backup.
4. `pytest e2i_assets_tests/integration/test_migrations.py`. It fails while revisions and contracts differ in
   any column, type, null, default, CHECK, key, index or comment.

Revisions are numbered and form one line. When somebody else's revision took your number ("two revisions are
numbered NNNN"), give yours the next one: rename the file, and in it set `revision` to the new number and
`down_revision` to theirs. A revision that is released is never edited.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from e2i_assets.errors import E2IError
from e2i_assets.warehouse.ddl import SCHEMA
from e2i_assets.warehouse.postgres import called

if TYPE_CHECKING:
    from alembic.config import Config

HERE = Path(__file__).parent
VERSIONS = HERE / "versions"
BASELINE = "0001"
"""The first released schema, which was made without a record of its revision."""
SCHEMAS = (SCHEMA, "mlflow", "dagster")
LOCK = 0x0E20
"""Advisory lock held while the schema changes: processes that open a new database wait for the first."""


class SchemaRefused(E2IError, RuntimeError):
    """The database's schema cannot be brought to this code's; the message says what to do."""

    code = "schema_refused"
    on_data = False


def revisions(versions: Path = VERSIONS) -> tuple[str, ...]:
    """The numbers of all revisions in order, from the names of their files.

    Raises:
        SchemaRefused: two files have the same number.
    """
    files = sorted(versions.glob("v[0-9]*.py"))
    numbers = [re.sub(r"^v(\d+).*", r"\1", file.name) for file in files]
    for number in sorted({n for n in numbers if numbers.count(n) > 1}):
        same = " and ".join(f.name for f, n in zip(files, numbers, strict=True) if n == number)
        raise SchemaRefused(
            f"two revisions are numbered {number}: {same}, made beside each other.",
            "Give the later one the next number: rename its file, and in it set `revision` to that number "
            f"and `down_revision` to {number}.",
        )
    return tuple(numbers)


def upgrade(engine: sa.Engine, versions: Path = VERSIONS) -> None:
    """Bring the database to the newest revision; an empty one gets every table.

    Args:
        versions: folder of the revisions.

    Raises:
        SchemaRefused: the database is of a newer release than this code, or its schema is another role's.
    """
    known = revisions(versions)
    if recorded_revision(engine) == known[-1]:
        return
    with _allowed(engine), engine.begin() as connection:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        for schema in SCHEMAS:
            connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
        _upgrade(connection, known, versions)


@contextmanager
def _allowed(engine: sa.Engine) -> Iterator[None]:
    """Say who may, where the role that asks may not look at the schema, or change it."""
    try:
        yield
    except sa.exc.ProgrammingError as error:
        from psycopg.errors import InsufficientPrivilege

        if not isinstance(error.orig, InsufficientPrivilege):
            raise
        raise SchemaRefused(
            f"the database {called(engine.url)} is not at schema revision {revisions()[-1]}, or role "
            f"{engine.url.username} may not use it: {str(error.orig).splitlines()[0]}.",
            "Its owner runs `e2i db migrate`, and what `e2i db grants ROLE` prints for this role.",
        ) from None


def recorded_revision(engine: sa.Engine) -> str | None:
    """Revision of the database; None when it has no record of one.

    Raises:
        SchemaRefused: this role may not look.
    """
    try:
        with _allowed(engine), engine.connect() as connection:
            return connection.scalar(sa.text(f"SELECT version_num FROM {SCHEMA}.alembic_version"))
    except sa.exc.ProgrammingError as error:
        from psycopg.errors import UndefinedTable

        if isinstance(error.orig, UndefinedTable):
            return None
        raise


def _upgrade(connection: sa.Connection, known: tuple[str, ...], versions: Path) -> None:
    from alembic import command
    from alembic.migration import MigrationContext

    config = alembic_config(connection, versions)
    recorded = MigrationContext.configure(
        connection, opts={"version_table_schema": SCHEMA}
    ).get_current_revision()
    if recorded is not None and recorded not in known:
        raise SchemaRefused(
            f"the database {called(connection.engine.url)} has schema revision "
            f"{recorded}, and this code knows none after {known[-1]}: a newer release has opened it.",
            "Use that release, or another database (E2I_DATABASE_URL).",
        )
    if recorded is None and sa.inspect(connection).has_table("ml_load_batches", schema=SCHEMA):
        command.stamp(config, BASELINE)
    command.upgrade(config, "head")


def alembic_config(connection: sa.Connection, versions: Path = VERSIONS) -> Config:
    """Alembic's configuration, working on a connection whose transaction is the caller's."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    # Folders may have any name; a percent sign means something to the configuration.
    config.set_main_option("path_separator", "newline")
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    config.set_main_option("version_locations", str(versions).replace("%", "%%"))
    config.set_main_option("file_template", "v%%(rev)s_%%(slug)s")
    return config
