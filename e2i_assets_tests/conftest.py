"""Fixtures on real things: one embedded PostgreSQL for the session, a database and a home for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from e2i_assets.resources.postgres import export, url_for
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.resources.vault import SplitVault
from e2i_assets.resources.warehouse import Warehouse
from e2i_assets.settings import Settings

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of the session's embedded server; it stops with the test process."""
    home = tmp_path_factory.mktemp("postgres")
    # The server runs as a user of its own where tests run as root, and must reach its folder.
    for folder in (home, home.parent, home.parent.parent):
        folder.chmod(0o755)
    return url_for(Settings(home=home), "public", "")


@pytest.fixture
def here(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of an installation of its own: an empty database and an empty home."""
    name = f"t{abs(hash(tmp_path)) % 10**12}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = server.replace("/postgres?", f"/{name}?").split("&options")[0].split("?options")[0]
    before = dict(os.environ)
    settings = Settings(home=tmp_path / "home", database_url=url, config=ROOT / "config")
    os.environ["E2I_DATABASE_URL"] = url
    export(settings)
    yield settings
    os.environ.clear()
    os.environ.update(before)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def warehouse(here: Settings) -> Warehouse:
    return Warehouse(here)


@pytest.fixture
def platform(here: Settings, warehouse: Warehouse) -> SimpleNamespace:
    """The resources of a code location, on the test's own installation."""
    store = ArtifactStore(here.artifacts_url)
    return SimpleNamespace(
        settings=here,
        warehouse=warehouse,
        store=store,
        vault=SplitVault(here.vault_url, warehouse),
        tracking=ExperimentTracking(here),
    )
