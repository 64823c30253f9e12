"""`e2i db`: what the owner of a PostgreSQL's tables does for the role that works with them."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="A PostgreSQL with two roles: one owns the tables, the other works.",
)


@app.command()
def migrate() -> None:
    """Bring every table of the database to this release: the platform's, MLflow's and Dagster's.

    Run it as the role that owns them, or is to own them, after each change of release.
    """
    from e2i_assets.cli.db_roles import run_migrate

    run_migrate()


@app.command()
def grants(role: Annotated[str, typer.Argument(metavar="ROLE", help="The role that works.")]) -> None:
    """Print the SQL that lets a role do all of the daily work and change no table; the owner runs it.

    Such as by: e2i db grants ROLE | e2i psql
    """
    from e2i_assets.cli.db_roles import print_grants

    print_grants(role)
