"""A PostgreSQL of somebody else: over TLS, its tables owned by one role and worked with by another."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from pydantic import SecretStr

from e2i_assets.cli import tools
from e2i_assets.cli.output import fail
from e2i_assets.settings import Settings
from e2i_assets.warehouse.errors import WarehouseUnavailable
from e2i_assets.warehouse.grants import grants
from e2i_assets.warehouse.loader import Load
from e2i_assets.warehouse.migrations import SchemaRefused
from e2i_assets.warehouse.postgres import url_for
from e2i_assets.warehouse.turns import Turn
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.integration.test_load_recovery import PARTITIONS, counts, each_once, tables
from e2i_assets_tests.tls_server import Server, programs, tls_server

PASSWORDS = {"owner": "owner's p@ss:w/o#r%d &x+?", "daily work": "d@ily:w/o#r%d &x+?"}
"""Roles, and passwords with all that means something in a URL."""


@pytest.fixture(scope="module")
def server_over_tls() -> Iterator[Server]:
    installed = programs()
    if installed is None:
        pytest.skip("the embedded PostgreSQL is built without TLS, and the machine has none of its own")
    with tls_server(installed) as server:
        with psycopg.connect(server.of_superuser, autocommit=True) as connection:
            for role, password in PASSWORDS.items():
                made = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
                connection.execute(made.format(sql.Identifier(role), sql.Literal(password)))
            connection.execute("CREATE DATABASE e2i OWNER owner")
        yield server


@pytest.fixture
def roles(server_over_tls: Server, tmp_path: Path) -> SimpleNamespace:
    """Settings of the owner and of the role that works, verified in full."""

    def of(role: str, **query: str) -> Settings:
        url = server_over_tls.url(role, PASSWORDS[role], "e2i", **query)
        return Settings(home=tmp_path / "home", database_url=SecretStr(url))

    return SimpleNamespace(of=of, owner=of("owner"), daily=of("daily work"))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"sslrootcert": "other.pem"}, "certificate verify failed.*sslrootcert names the file"),
        ({"sslrootcert": "gone.pem"}, 'root certificate file ".*gone.pem" does not exist'),
        ({"sslmode": "disable"}, "no pg_hba.conf entry.*no encryption"),
        ({"host": "127.0.0.1"}, 'certificate for "localhost".* does not match host name "127.0.0.1"'),
        ({"password": "topsecret"}, 'password authentication failed for user "owner"'),
        ({"port": "1"}, "Connection refused.*Start it, or correct E2I_DATABASE_URL"),
    ],
)
def test_a_server_that_is_not_the_one_or_lets_nobody_in_is_a_clear_error(
    server_over_tls: Server, roles: SimpleNamespace, query: dict[str, str], said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if "sslrootcert" in query:
        query = {"sslrootcert": str(server_over_tls.folder / query["sslrootcert"])}
    there = roles.of("owner", **query)
    for use in (Warehouse(there).open, Turn(there, "fabhalta_c3g", "run", on_wait=print).keep):
        with pytest.raises(WarehouseUnavailable) as error:
            use()
        assert re.search(said, error.value.summary)
        fail(error.value, as_json=False)
        printed = capsys.readouterr().err
        assert "w/o#r" not in printed
        assert "topsecret" not in printed


def test_a_pooler_that_leaves_out_the_schema_is_refused(
    roles: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sa.make_url(url_for(roles.owner, "e2i")).difference_update_query(["options"])
    monkeypatch.setattr("e2i_assets.warehouse.warehouse.url_for", lambda *_: url)
    with pytest.raises(WarehouseUnavailable, match='its search path is "\\$user", public') as error:
        Warehouse(roles.owner).open()
    assert "not a pooler" in error.value.next_step


def test_the_owner_migrates_and_another_role_works(
    server_over_tls: Server, roles: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, owner = Warehouse(roles.daily), Warehouse(roles.owner)
    with pytest.raises(SchemaRefused, match="role daily work may not use it") as unmigrated:
        work.open()
    assert "`e2i db migrate`" in unmigrated.value.next_step
    owner.open()
    with pytest.raises(SchemaRefused, match="permission denied for schema e2i") as ungranted:
        work.open()
    assert "`e2i db grants ROLE`" in ungranted.value.next_step
    with pytest.raises(SchemaRefused, match="permission denied for schema e2i"):
        work.condition()
    with owner.reading() as connection:
        statements = grants(connection, "daily work")
    for _ in range(2):
        with owner.engine.begin() as connection:
            connection.exec_driver_sql(statements)

    work.load(Load(tables("v"), "test"), PARTITIONS)
    assert counts(work) == each_once(1)
    with Turn(roles.daily, "fabhalta_c3g", "run", on_wait=print) as turn:
        assert turn.keep()
    encrypted = (
        "SELECT ssl, usename FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE pid = pg_backend_pid()"
    )
    with work.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(encrypted)
        assert cursor.fetchall() == [(True, "daily work")]
    for schema, driver in (("dagster", "psycopg2"), ("mlflow", "psycopg")):
        engine = sa.create_engine(url_for(roles.daily, schema, driver), poolclass=sa.NullPool)
        with engine.connect() as connection:
            assert connection.exec_driver_sql(encrypted).one() == (True, "daily work")
            assert connection.exec_driver_sql("SHOW search_path").scalar() == schema
    started: list[list[str]] = []

    def run(command: list[str], **given: object) -> subprocess.Popen[bytes]:
        started.append([str(part) for part in command])
        return subprocess.Popen(command, **given)

    monkeypatch.setattr(tools, "open_session", lambda: (roles.daily, work))
    monkeypatch.setattr(tools, "subprocess", SimpleNamespace(Popen=run))
    monkeypatch.setattr(tools, "bundled_programs", lambda: [programs()])
    assert tools.run_psql(["-c", "SELECT count(*) FROM ml_load_batches"]) == 0
    assert "w/o#r" not in str(started)
    assert "o%23r" not in str(started)


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ("DROP TABLE e2i.ml_model_stage_history", "InsufficientPrivilege"),
        ("ALTER TABLE e2i.ml_model_stage_history DISABLE TRIGGER ALL", "InsufficientPrivilege"),
        ("TRUNCATE e2i.ml_model_stage_history", "InsufficientPrivilege"),
        ("SET session_replication_role = replica", "InsufficientPrivilege"),
        ("DROP FUNCTION e2i.refuse_changes()", "InsufficientPrivilege"),
        ("CREATE TABLE e2i.mine ()", "InsufficientPrivilege"),
        ("UPDATE e2i.alembic_version SET version_num = '0001'", "InsufficientPrivilege"),
        ("UPDATE e2i.ml_model_stage_history SET actor = 'nobody'", "IntegrityConstraintViolation"),
        ("DELETE FROM e2i.ml_model_stage_history", "IntegrityConstraintViolation"),
    ],
)
def test_the_role_that_works_changes_no_table_and_no_ledger(
    server_over_tls: Server, roles: SimpleNamespace, statement: str, refused: str
) -> None:
    owner = Warehouse(roles.owner)
    with owner.engine.begin() as connection:
        connection.exec_driver_sql(grants(connection, "daily work"))
    with (
        pytest.raises(psycopg.Error) as error,
        psycopg.connect(url_for(roles.daily, "e2i", "")) as connection,
    ):
        connection.execute(statement.encode())
    assert type(error.value).__name__ == refused
