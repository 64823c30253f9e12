"""What `e2i db` does."""

from __future__ import annotations

from e2i_assets.cli.instance import dagster_instance
from e2i_assets.cli.output import say
from e2i_assets.cli.session import open_session
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.warehouse.grants import grants
from e2i_assets.warehouse.migrations import revisions


def run_migrate() -> None:
    """Make or upgrade the tables in all three schemas.

    Raises:
        SchemaRefused: this role does not own them.
    """
    here, _ = open_session()
    say(f"e2i: schema revision {revisions()[-1]}")
    if here.mlflow_tracking_uri is None:
        ExperimentTracking(here).migrate()
        say("mlflow: at the revision of MLflow as it is installed")
    with dagster_instance() as instance:
        instance.upgrade()
    say("dagster: at the revision of Dagster as it is installed")


def print_grants(role: str) -> None:
    """Print statements for a role."""
    _, warehouse = open_session()
    with warehouse.reading() as connection:
        say(grants(connection, role).rstrip())
