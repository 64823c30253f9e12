"""Fixtures on real things: one embedded PostgreSQL for the session, a database and a home for each test."""

from __future__ import annotations

import atexit
import gc
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy.engine import make_url
from xdist.scheduler import LoadFileScheduling

from e2i_assets.home import SCRATCH
from e2i_assets.ingest.synthetic.spec import AS_OF
from e2i_assets.observability.trace import Trace
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.resources.vault import SplitVault
from e2i_assets.settings import Settings
from e2i_assets.settings import settings as shared_settings
from e2i_assets.warehouse import migrations
from e2i_assets.warehouse.grants import grants
from e2i_assets.warehouse.postgres import export, url_for
from e2i_assets.warehouse.warehouse import Warehouse

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = {
    "cohorts": {"fabhalta_c3g", "fabhalta_pnh", "kisqali_hr_her2_bc", "remibrutinib_csu"},
    "scopes": {"adoption", "churn", "conversion", "ltv", "uplift"},
}
"""Cohort and scope files that come with the platform; a user adds others."""
ONE_SCOPE = ("conversion",)
TRIALS = 12
"""More than the random ones that a search begins with."""


def shipped_config(folder: Path, scopes: Sequence[str] = ONE_SCOPE) -> Path:
    """A copy of the configuration as it is shipped, whatever has been added to it here.

    Args:
        scopes: the scopes that are left in it; what a test shows of one need not be computed for all. Where
            some are left out, hyperparameters are searched in TRIALS trials.
    """
    config = Path(shutil.copytree(ROOT / "config", folder / "config"))
    for kind, names in {**SHIPPED, "scopes": set(scopes)}.items():
        for file in (config / kind).glob("*.yaml"):
            if file.stem not in names:
                file.unlink()
    if set(scopes) == SHIPPED["scopes"]:
        return config
    served = f"scopes: [{', '.join(scopes)}]"
    for file in (config / "cohorts").glob("*.yaml"):
        file.write_text(re.sub(r"^scopes: \[.*\]$", served, file.read_text(), flags=re.MULTILINE))
    search = config / "optuna_config.yaml"
    search.write_text(re.sub(r"\bn_trials: \d+", f"n_trials: {TRIALS}", search.read_text()))
    return config


def config_with_examples(folder: Path) -> Path:
    """The shipped configuration with the cohort and scope files of the README's examples."""
    config, examples = shipped_config(folder), ROOT / "examples"
    shutil.copy(examples / "gbsg2" / "tamoxifen_breast_cancer.yaml", config / "cohorts")
    shutil.copy(examples / "gbsg2" / "recurrence.yaml", config / "scopes")
    shutil.copy(examples / "omop" / "celecoxib_osteoarthritis.yaml", config / "cohorts")
    return config


_config_home = tempfile.TemporaryDirectory(prefix="e2i-config-")
atexit.register(_config_home.cleanup)
CONFIG = shipped_config(Path(_config_home.name))
"""What tests take for the configuration of the installation, in this process and in those that it starts."""
WHOLE_CONFIG = shipped_config(Path(_config_home.name) / "whole", sorted(SHIPPED["scopes"]))
"""The same with every scope, as it comes along."""
os.environ["E2I_CONFIG"] = str(CONFIG)

# How long an example takes says how busy the machine is. The examples are the same in every run, as everything
# else is; `pytest --hypothesis-profile default` draws others.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.load_profile("repeatable")

LONGEST_FIRST = ("e2e", "integration/gates", "integration")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left alone with it at the end."""

    def place(item: pytest.Item) -> int:
        folder = item.path.parent.relative_to(ROOT / "e2i_assets_tests").as_posix()
        return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What was imported stays: nobody need look for garbage in it, and seldom among the rest."""
    gc.freeze()
    gc.set_threshold(100_000, 20)


def pytest_unconfigure() -> None:
    """All of it goes at the end: libraries tell of functions that do not."""
    gc.unfreeze()


_UMASK = os.umask(0o022)
os.umask(_UMASK)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give each test the process as it began: an installation takes over umask and temporary folder for good."""
    os.umask(_UMASK)
    tempfile.tempdir = None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """The temporary folder also after the fixtures, some of which are installations."""
    tempfile.tempdir = None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Keep the tests of the gates with one worker, which makes the partition that all of them start from."""

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "gates" if "/integration/gates/" in nodeid else str(super()._split_scope(nodeid))

    return Scheduling(config, log)


@contextmanager
def postgres_home() -> Iterator[Path]:
    """A folder that the embedded server can reach; where tests run as root it is a user of its own.

    Not below pytest's folder, which each new session closes to everybody else.
    """
    with tempfile.TemporaryDirectory(prefix="e2i-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        temporary = tempfile.tempdir
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = temporary


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the session's embedded server; it stops with the test process."""
    tmp_path_factory.getbasetemp()  # before temporary folders are those of the server's home
    with postgres_home() as home:
        url = url_for(Settings(home=home), "public", "")
        with psycopg.connect(url, autocommit=True) as connection:
            # No test needs what the server holds after the machine has crashed.
            for setting in ("fsync", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
        yield url


@pytest.fixture(scope="session")
def opened(server: str) -> str:
    """Name of a database that a warehouse has been opened on: all tables, and no row."""
    name = "opened"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    engine = sa.create_engine(make_url(_url(server, name)).set(drivername="postgresql+psycopg"))
    migrations.upgrade(engine)
    engine.dispose()
    return name


@contextmanager
def installation(
    server: str, folder: Path, template: Settings | None = None, *, database: str = "template1"
) -> Iterator[Settings]:
    """An installation of its own, on the day on which generated data end: an empty home and a copy of an empty
    database, or a copy of another's."""
    name = f"t{uuid.uuid4().hex[:16]}"
    with psycopg.connect(server, autocommit=True) as connection:
        if template:
            # A database that somebody is connected to cannot be copied; MLflow keeps connections open.
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [_database(template)],
            )
        copied = _database(template) if template else database
        # Files as they are: by default every block goes through the log, which takes twice as long.
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {copied} STRATEGY file_copy")
    if template:
        # The copy may lie in the scratch folder of the home that is copied.
        shutil.copytree(template.home_dir, folder / "home", ignore=shutil.ignore_patterns(SCRATCH))
        _move_mlflow(_url(server, name), template.home_dir, folder / "home")
    before, temporary = dict(os.environ), tempfile.tempdir
    url = SecretStr(_url(server, name))
    settings = Settings(home=folder / "home", database_url=url, config=CONFIG, as_of=AS_OF)
    export(settings)
    shared_settings.cache_clear()
    try:
        yield settings
    finally:
        tempfile.tempdir = temporary
        os.environ.clear()
        os.environ.update(before)
        shared_settings.cache_clear()
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _move_mlflow(url: str, before: Path, now: Path) -> None:
    """Let a copied installation keep files of MLflow in its own home: the database has their place."""
    places = {
        "experiments": "artifact_location",
        "runs": "artifact_uri",
        "logged_models": "artifact_location",
    }
    with psycopg.connect(url) as connection:
        for table, column in places.items():
            connection.execute(
                sql.SQL("UPDATE mlflow.{table} SET {column} = replace({column}, %s, %s)").format(
                    table=sql.Identifier(table), column=sql.Identifier(column)
                ),
                [str(before), str(now)],
            )


def as_daily_role(here: Settings) -> Settings:
    """The same installation by a role that owns none of its tables, after its owner's `e2i db`."""
    from e2i_assets.cli.db_roles import run_migrate  # it imports Dagster, which most tests do without

    os.environ["E2I_DATABASE_URL"] = url_for(here, "e2i", "")
    run_migrate()
    with psycopg.connect(os.environ["E2I_DATABASE_URL"]) as connection, Warehouse(here).reading() as reading:
        connection.execute("CREATE ROLE daily LOGIN")
        connection.execute(grants(reading, "daily").encode())
    url = make_url(os.environ["E2I_DATABASE_URL"]).set(username="daily", password=None)
    daily = here.model_copy(update={"database_url": SecretStr(url.render_as_string(hide_password=False))})
    export(daily)
    return daily


def _url(server: str, database: str) -> str:
    return server.replace("/postgres?", f"/{database}?").split("&options")[0].split("?options")[0]


def _database(settings: Settings) -> str:
    assert settings.database_url is not None
    name = make_url(settings.database_url.get_secret_value()).database
    assert name is not None
    return name


@pytest.fixture
def here(server: str, opened: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings of an installation of its own, whose warehouse is empty."""
    with installation(server, tmp_path, database=opened) as settings:
        yield settings


@pytest.fixture
def warehouse(here: Settings) -> Warehouse:
    return Warehouse(here)


@pytest.fixture
def platform(here: Settings, warehouse: Warehouse) -> SimpleNamespace:
    """The resources of a code location, on the test's own installation."""
    store = open_store(here)
    return SimpleNamespace(
        settings=here,
        warehouse=warehouse,
        store=store,
        vault=SplitVault(here, warehouse),
        tracking=ExperimentTracking(here),
        trace=Trace("no run", 0, lambda _: None),
    )
