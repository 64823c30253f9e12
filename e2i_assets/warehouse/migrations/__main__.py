"""Write a revision: what contracts and records say beyond the revisions there are; see the package."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa

from e2i_assets.settings import Settings
from e2i_assets.warehouse.migrations import VERSIONS, alembic_config, revisions, upgrade
from e2i_assets.warehouse.postgres import url_for


def write_revision(engine: sa.Engine, message: str, versions: Path = VERSIONS) -> Path | None:
    """Compare an empty database at the newest revision with the contracts; None when they agree.

    Args:
        engine: its search path is not `e2i`, or Alembic would take the schema for the default one.
    """
    from alembic import command

    from e2i_assets.warehouse.migrations import catalog  # registers the comparison of CHECKs

    upgrade(engine, versions)
    number = f"{int(revisions(versions)[-1]) + 1:04d}"
    with engine.begin() as connection:
        with catalog.declared(connection) as schema:
            if catalog.describe(connection, schema) == catalog.describe(connection):
                return None
        command.revision(alembic_config(connection, versions), message, autogenerate=True, rev_id=number)
    return next(versions.glob(f"v{number}_*.py"))


def main() -> None:
    """Write the revision on a PostgreSQL server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("message", help="what changes, in a few words")
    message = parser.parse_args().message
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # The embedded server may run as a user of its own.
        Path(folder).chmod(0o755)
        engine = sa.create_engine(url_for(Settings(home=Path(folder)), "public"), poolclass=sa.NullPool)
        written = write_revision(engine, message)
    outcome = f"review {written}" if written else "contracts, records and revisions agree: nothing to write"
    sys.stdout.write(f"{outcome}\n")


if __name__ == "__main__":
    main()
