"""The environment: what cannot be used is named, and no password is ever shown."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from dagster_postgres.utils import DagsterPostgresException
from psycopg2 import OperationalError
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError as SqlError

from e2i_assets.cli.output import fail
from e2i_assets.settings import Settings, SettingsError, settings
from e2i_assets.warehouse import embedded
from e2i_assets.warehouse.embedded import (
    _forget_dead_users,
    _is_plain,
    _plain_name,
    _require_usable,
    _why_not,
)
from e2i_assets.warehouse.errors import WarehouseUnavailable
from e2i_assets.warehouse.postgres import server_url
from e2i_assets.warehouse.transactions import _reason
from e2i_assets.warehouse.warehouse import Warehouse

WRONG = {
    "E2I_DASK_TRAINING_ROWS": ["1000", "none"],  # no cluster is named
    "E2I_DATABASE_URL": ["mysql://me:topsecret@host/db", "me:topsecret"],
    "E2I_BATCH_SIZE": ["many", "0"],
    "E2I_CONCURRENT_RUNS": ["two", "0"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_a_variable_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}: ") as error:
        settings.__wrapped__()
    assert "topsecret" not in str(error.value)


def test_a_url_that_is_none_is_refused_without_its_password() -> None:
    with pytest.raises(WarehouseUnavailable, match="E2I_DATABASE_URL is no URL") as error:
        server_url(Settings(database_url="postgresql://me:topsecret@host:port/db"))
    assert error.value.__cause__ is None
    assert "topsecret" not in str(error.value)


def lost() -> None:
    """As dagster-postgres tells of a database that went away."""
    try:
        raise SqlError("INSERT INTO t", {"name": "Ann"}, OperationalError("connection refused\nsecond line"))
    except SqlError as error:
        raise DagsterPostgresException("too many retries for DB connection") from error


def test_a_database_that_went_away_is_one_line_without_values(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DagsterPostgresException) as error:
        lost()
    fail(error.value)
    printed = capsys.readouterr().err
    assert printed.startswith("error: the database failed: connection refused. What was published")
    assert printed.count("\n") == 1
    assert "Ann" not in printed


def test_any_other_error_shows_its_stack(capsys: pytest.CaptureFixture[str]) -> None:
    fail(ZeroDivisionError("nothing to do with a database"))
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_server_that_does_not_start_says_what_its_log_says(tmp_path: Path) -> None:
    assert "MB of room" in _why_not(tmp_path / "postgres", OSError())
    (tmp_path / "log").write_text(
        "LOG:  starting\nFATAL:  could not write: No space left on device\nLOG: bye\n"
    )
    assert _why_not(tmp_path, OSError()).startswith("could not write: No space left on device; its log is")


@pytest.mark.parametrize("name", ["a b", "c'd", 'e"f', "gü", "h$i", "j;k", "m&n=o#p?q%20", "long" * 30])
def test_a_folder_of_any_name_has_a_plain_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with tempfile.TemporaryDirectory() as short:
        monkeypatch.setattr(embedded, "shared_temporary", lambda: Path(short))
        folder = Path(short) / "homes" / name
        folder.mkdir(parents=True)
        plain = _plain_name(folder)
        assert _is_plain(plain)
        assert plain.resolve() == folder
        assert _plain_name(folder) == plain
        assert _plain_name(Path(short)) == Path(short)


def test_a_temporary_folder_of_somebody_else_is_no_place_for_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "shared_temporary", lambda: tmp_path)
    (tmp_path / "theirs").mkdir()
    (tmp_path / f"e2i-{os.getuid()}").symlink_to(tmp_path / "theirs")
    with pytest.raises(WarehouseUnavailable, match="Set TMPDIR to a folder of yours"):
        _plain_name(tmp_path / "a b")


def test_mlflow_is_given_a_root_without_quotes(tmp_path: Path) -> None:
    """It writes the name of its first experiment's folder into a statement."""
    local = Settings(home=tmp_path / 'it\'s "a" ü').mlflow_root
    assert re.fullmatch(r"file://[\w/.%-]+", local, flags=re.ASCII)
    assert url2pathname(urlsplit(local).path) == str(tmp_path / 'it\'s "a" ü' / "artifacts" / "mlflow")
    assert Settings(artifacts="s3://bucket/e2i/").mlflow_root == "s3://bucket/e2i/mlflow"


@pytest.mark.parametrize("url", ["s3://AKIA:topsecret@bucket/e2i", "s3://bucket/e2i?key=topsecret"])
def test_an_address_of_artifacts_holds_no_login(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2I_ARTIFACTS", url)
    settings.cache_clear()
    with pytest.raises(SettingsError, match=r"E2I_ARTIFACTS: .*AWS_SECRET_ACCESS_KEY") as error:
        settings()
    assert "topsecret" not in error.value.summary
    settings.cache_clear()


def test_programs_that_no_shell_can_name_are_refused(tmp_path: Path) -> None:
    _require_usable(tmp_path / "it's a folder; größe")
    with pytest.raises(WarehouseUnavailable, match=r'its name has " \$'):
        _require_usable(tmp_path / 'a"b$c')


def test_a_full_database_is_said_in_words() -> None:
    error = SimpleNamespace(sqlstate="53100")
    assert "no room left" in _reason(error)


def test_a_database_that_does_not_answer_is_named_without_a_password_in_any_part_of_its_url(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "postgresql://bob:topsecret@127.0.0.1:1/x?password=topsecret&sslpassword=topsecret"
    with pytest.raises(WarehouseUnavailable) as error:
        assert Warehouse(Settings(home=tmp_path / "home", database_url=SecretStr(url))).engine
    fail(error.value, as_json=True)
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert "bob@127.0.0.1:1/x does not answer" in text
        assert "topsecret" not in text


def test_a_server_is_not_kept_for_users_that_were_killed(tmp_path: Path) -> None:
    collected: list[list[int]] = []
    server: Any = SimpleNamespace(
        _lock=nullcontext(), pgdata=tmp_path, global_process_id_list=SimpleNamespace(put=collected.append)
    )
    _forget_dead_users(server)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    (tmp_path / ".handle_pids.json").write_text(json.dumps([ended.pid, os.getpid()]))
    _forget_dead_users(server)
    assert collected == [[os.getpid()]]
