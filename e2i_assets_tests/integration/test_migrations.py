"""Migrations: the first release upgrades without loss, revisions give what contracts say, a kill leaves all whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from e2i_assets.settings import Settings
from e2i_assets.warehouse.ddl import SCHEMA
from e2i_assets.warehouse.migrations import (
    BASELINE,
    VERSIONS,
    SchemaRefused,
    alembic_config,
    catalog,
    revisions,
    upgrade,
)
from e2i_assets.warehouse.migrations.__main__ import write_revision
from e2i_assets.warehouse.postgres import url_for
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import installation

RENAMED = {'"programmes"': '"partitions"'}
"""Columns of the first release that have another name now."""
RENAMED_TABLES = {"ml_bentoml_services": "ml_bento_bundles"}
FIRST_RELEASE = Path(__file__).with_name("first_release.sql").read_text()
NEXT = f"{int(revisions()[-1]) + 1:04d}"
REVISION = f'''
import os, signal
import sqlalchemy as sa
from alembic import op
revision, down_revision = "{NEXT}", "{revisions()[-1]}"
def upgrade():
    op.add_column("hcp_profiles", sa.Column("added", sa.Text), schema="e2i")
    op.drop_table("triggers", schema="e2i")
    '''


@pytest.fixture
def here(server: str, tmp_path: Path) -> Iterator[Settings]:
    """An installation whose database has never been opened."""
    with installation(server, tmp_path) as settings:
        yield settings


@pytest.fixture
def engine(here: Settings) -> sa.Engine:
    return sa.create_engine(url_for(here, "public"), poolclass=sa.NullPool)


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """A copy of the revisions, to add to; its name is not an easy one."""
    return Path(
        shutil.copytree(VERSIONS, tmp_path / "100 %: all", ignore=shutil.ignore_patterns("__pycache__"))
    )


def run(engine: sa.Engine, sql: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(sql)


def python(code: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        env={**os.environ, **env}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def described(engine: sa.Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return catalog.describe(connection)


def declared(engine: sa.Engine) -> dict[str, str]:
    with engine.connect() as connection, catalog.declared(connection) as schema:
        return catalog.describe(connection, schema)


def contents(engine: sa.Engine, names: dict[str, list[str]]) -> dict[str, list[Any]]:
    with engine.connect() as connection:
        return {
            table: sorted(
                connection.exec_driver_sql(f"SELECT {', '.join(columns)} FROM {SCHEMA}.{table}").all(),
                key=repr,
            )
            for table, columns in names.items()
        }


def columns_of(engine: sa.Engine) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for table, name in (
        n.removeprefix("column ").split(".") for n in described(engine) if n.startswith("column ")
    ):
        names.setdefault(table, []).append(f'"{name}"')
    return names


def test_revisions_and_contracts_give_the_same_schema(engine: sa.Engine) -> None:
    upgrade(engine)
    wanted = declared(engine)
    assert described(engine) == wanted, 'a revision is missing: make revision m="what changes"'
    assert len([name for name in wanted if name.startswith("column ")]) > 150


def test_revisions_form_one_line_from_the_first_release(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        script = ScriptDirectory.from_config(alembic_config(connection))
    numbers = list(revisions())
    assert [r.revision for r in script.walk_revisions()][::-1] == numbers
    assert [r.down_revision for r in script.walk_revisions()][::-1] == [None, *numbers[:-1]]
    assert numbers[0] == BASELINE


def test_the_first_release_with_data_upgrades_without_loss(here: Settings, engine: sa.Engine) -> None:
    run(engine, FIRST_RELEASE)
    names = columns_of(engine)
    before = contents(engine, names)
    assert all(before.values()), "every table of the first release has rows"
    assert Warehouse(here).engine is not None
    renamed = {
        RENAMED_TABLES.get(table, table): [RENAMED.get(name, name) for name in columns]
        for table, columns in names.items()
    }
    assert contents(engine, renamed) == {
        RENAMED_TABLES.get(table, table): rows for table, rows in before.items()
    }
    assert described(engine) == declared(engine)


def test_the_baseline_is_the_first_release(engine: sa.Engine, versions: Path) -> None:
    run(engine, FIRST_RELEASE)
    released = described(engine)
    run(engine, "DROP SCHEMA e2i CASCADE")
    for later in [p for p in versions.glob("v*.py") if not p.name.startswith(f"v{BASELINE}")]:
        later.unlink()
    upgrade(engine, versions)
    assert described(engine) == released


def test_an_upgrade_that_is_killed_leaves_the_old_schema_whole(
    here: Settings, engine: sa.Engine, versions: Path
) -> None:
    run(engine, FIRST_RELEASE)
    upgrade(engine)
    names, whole = columns_of(engine), described(engine)
    before = contents(engine, names)
    (versions / f"v{NEXT}_dies.py").write_text(REVISION + "os.kill(os.getpid(), signal.SIGKILL)")
    done = python(
        "import sys, sqlalchemy as sa; from pathlib import Path; from e2i_assets.warehouse import migrations; "
        "migrations.upgrade(sa.create_engine(sys.argv[1], poolclass=sa.NullPool), Path(sys.argv[2]))",
        url_for(here, "public"),
        str(versions),
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert described(engine) == whole
    assert contents(engine, names) == before
    assert Warehouse(here).engine is not None, "the release before goes on with it"


def test_a_revision_that_fails_takes_those_before_it_back(engine: sa.Engine, versions: Path) -> None:
    run(engine, FIRST_RELEASE)
    names, whole = columns_of(engine), described(engine)
    before = contents(engine, names)
    (versions / f"v{NEXT}_fails.py").write_text(REVISION + "op.execute('SELECT 1/0')")
    with pytest.raises(sa.exc.DataError, match="division by zero"):
        upgrade(engine, versions)
    assert described(engine) == whole
    assert contents(engine, names) == before


def test_a_new_database_is_made_once_by_all_who_open_it(here: Settings, engine: sa.Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: Warehouse(here).status(), range(4)))
    assert described(engine) == declared(engine)


def test_opening_an_up_to_date_database_imports_no_alembic(here: Settings) -> None:
    assert Warehouse(here).engine is not None
    text = python(
        "import sys; from e2i_assets.warehouse.warehouse import Warehouse; "
        "from e2i_assets.settings import settings; Warehouse(settings()).engine; "
        "print('alembic' in sys.modules)",
        E2I_DATABASE_URL=here.database_url.get_secret_value(),
    )
    assert text.stdout.strip() == "False", text.stderr


def test_a_database_of_a_newer_release_is_refused(here: Settings, engine: sa.Engine, versions: Path) -> None:
    (versions / f"v{NEXT}_later.py").write_text(REVISION)
    upgrade(engine, versions)
    with pytest.raises(SchemaRefused, match=f"revision {NEXT}.*none after {revisions()[-1]}.*newer release"):
        Warehouse(here).engine  # noqa: B018


def test_two_revisions_of_one_number_are_an_error_that_says_how_to_go_on(
    engine: sa.Engine, versions: Path
) -> None:
    (versions / f"v{NEXT}_mine.py").write_text(REVISION)
    (versions / f"v{NEXT}_theirs.py").write_text(REVISION)
    with pytest.raises(SchemaRefused, match=f"(?s)v{NEXT}_mine.py and v{NEXT}_theirs.py.*next number"):
        upgrade(engine, versions)


DRIFT = """
ALTER TABLE e2i.hcp_profiles DROP CONSTRAINT hcp_profiles_decile_high,
    ADD CONSTRAINT hcp_profiles_decile_high CHECK (decile <= 9),
    DROP CONSTRAINT hcp_profiles_practice_type_allowed,
    ADD CONSTRAINT hcp_profiles_practice_type_allowed CHECK (practice_type IN ('academic', 'private')),
    DROP CONSTRAINT hcp_profiles_decile_low, ADD CONSTRAINT hcp_profiles_beyond CHECK (decile <> 5),
    ALTER specialty TYPE varchar(20), ALTER specialty SET NOT NULL, DROP coverage_status, ADD beyond text;
ALTER TABLE e2i.hcp_profiles DROP CONSTRAINT hcp_profiles_npi_key;
ALTER TABLE e2i.treatment_events DROP CONSTRAINT treatment_events_hcp_id_fkey;
DROP INDEX e2i.ix_e2i_triggers_hcp_id;
COMMENT ON COLUMN e2i.triggers.priority IS 'something else';
ALTER TABLE e2i.ml_load_batches ALTER committed_at DROP DEFAULT;
ALTER TABLE e2i.ml_split_assignments DROP CONSTRAINT ml_split_assignments_split;
DROP TABLE e2i.causal_paths;
"""


@pytest.mark.filterwarnings("ignore:Autogenerate rendered")
def test_every_difference_is_seen_and_a_written_revision_mends_it(engine: sa.Engine, versions: Path) -> None:
    upgrade(engine)
    assert write_revision(engine, "nothing", versions) is None
    run(engine, DRIFT)
    now, wanted = described(engine), declared(engine)
    unlike = {name for name in now.keys() | wanted.keys() if now.get(name) != wanted.get(name)}
    assert {
        "constraint hcp_profiles.hcp_profiles_decile_high",
        "constraint hcp_profiles.hcp_profiles_practice_type_allowed",
        "constraint hcp_profiles.hcp_profiles_npi_key",
        "constraint treatment_events.treatment_events_hcp_id_fkey",
        "column hcp_profiles.specialty",
        "column ml_load_batches.committed_at",
        "column triggers.priority",
        "index triggers.ix_e2i_triggers_hcp_id",
        "table causal_paths",
    } <= unlike
    written = write_revision(engine, "mend what differs", versions)
    assert written == versions / f"v{NEXT}_mend_what_differs.py"
    upgrade(engine, versions)
    assert described(engine) == declared(engine)
