"""The command: help that helps, errors that are one message, tables that fit."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import pytest
import typer
from typer.testing import CliRunner

from e2i_assets.cli.main import app, main
from e2i_assets.cli.output import EXIT_CODES, fail
from e2i_assets.cli.results import end
from e2i_assets.cli.runner import Interrupted, PartitionRun
from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.problems import LoadError, Problem
from e2i_assets.ingest.synthetic.spec import Dgp
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.resources.store import Published
from e2i_assets.serving.bundle_ref import BundleRef
from e2i_assets.settings import Settings, settings

E2I = str(Path(sys.executable).with_name("e2i"))


Answer = tuple[int, str, str]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Answer]]:
    """`e2i …` in this process, in the folder of the test: exit code, output, standard error."""
    before = dict(os.environ)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **variables: str) -> Answer:
        os.environ.update(variables)
        settings.cache_clear()
        monkeypatch.setattr("sys.argv", ["e2i", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), *capsys.readouterr()

    yield run
    os.environ.clear()
    os.environ.update(before)
    settings.cache_clear()


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys; sys.argv = ['e2i', '--help']; from e2i_assets.cli.main import app; app(standalone_mode=False); print(sorted(sys.modules))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    heavy = {"dagster", "pandas", "polars", "pandera", "sqlalchemy", "numpy", "mlflow", "pydantic_settings"}
    assert not {name for name in heavy if f"'{name}'" in output}
    for command in ("demo", "data", "materialize", "up"):
        assert command in output


def test_a_port_in_use_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [E2I, "up", "--port", port], env=os.environ | {"E2I_HOME": str(tmp_path / "home")}, cwd=tmp_path,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: cannot listen on 127.0.0.1, port {port}: ")
    assert not (tmp_path / "home" / "postgres").exists()


MISTAKES = {
    "no such source": (["data", "import", "nowhere.csv"], "nowhere.csv: no such file"),
    "empty file": (["data", "import", "hcp_profiles.csv"], "hcp_profiles.csv: is empty"),
    "damaged parquet": (["data", "import", "triggers.parquet"], "triggers.parquet: cannot be read"),
    "unknown name": (["data", "import", "other.csv"], "give a mapping file"),
    "wrong mapping": (["data", "import", "other.csv", "--mapping", "mapping.yaml"], "mapping.yaml:2: tables"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_message_and_exit_code_2(
    tmp_path: Path, name: str, command: Callable[..., Answer]
) -> None:
    (tmp_path / "hcp_profiles.csv").write_text("")
    (tmp_path / "triggers.parquet").write_bytes(b"PAR1 half of a file")
    (tmp_path / "other.csv").write_text("a\n1\n")
    (tmp_path / "mapping.yaml").write_text("source: x\ntables: {nothing: {columns: {a: a}}}\n")
    arguments, message = MISTAKES[name]
    code, output, error = command(*arguments)
    assert (code, output) == (2, "")
    assert message in error
    assert error.startswith("error: ")
    assert "Traceback" not in error


def test_a_database_that_is_down_is_one_message(tmp_path: Path, command: Callable[..., Answer]) -> None:
    down = "postgresql://me:topsecret@127.0.0.1:1/x"
    code, output, error = command("data", "status", E2I_DATABASE_URL=down, E2I_HOME=str(tmp_path))
    assert code == 2
    assert "127.0.0.1:1" in error
    assert "topsecret" not in error + output
    assert "Traceback" not in error


def test_a_home_that_cannot_be_made_is_one_message(tmp_path: Path, command: Callable[..., Answer]) -> None:
    (tmp_path / "file").write_text("")
    below, down = str(tmp_path / "file" / "home"), "postgresql://127.0.0.1:1/x"
    code, _, error = command("data", "status", E2I_HOME=below, E2I_DATABASE_URL=down)
    assert code == 2
    assert "E2I_HOME" in error
    assert "Traceback" not in error


def test_an_unknown_dgp_and_partition_are_named(tmp_path: Path, command: Callable[..., Answer]) -> None:
    down = "postgresql://127.0.0.1:1/x"
    asked = ("data", "generate", "--dgp", "magic", "--dry-run")
    code, _, error = command(*asked, E2I_HOME=str(tmp_path), E2I_DATABASE_URL=down)
    assert code != 0
    assert "magic" in error
    for dgp in get_args(Dgp):
        assert dgp in error


@pytest.mark.parametrize("columns", [40, 200])
def test_tables_fit_the_terminal(columns: int, tmp_path: Path) -> None:
    code = (
        "from e2i_assets.cli.output import show_table\n"
        "show_table('T', ['partition', 'a long heading', 'another one', 'more'], [['p' * 20, 1, 2.5, 'x' * 15]])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": str(columns)},
    ).stdout
    assert "p" * 20 in output
    assert "x" * 15 in output
    assert max(len(line) for line in output.splitlines()) <= columns


def test_a_json_document_is_all_of_standard_output() -> None:
    code = "from e2i_assets.cli.output import print_json, say\nsay('working', as_json=True)\nprint_json({'a': 1})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"a": 1}
    assert done.stderr == "working\n"


def commands(app: typer.Typer, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group by the words that call it."""
    yield path
    for command in app.registered_commands:
        yield (*path, command.name or str(getattr(command.callback, "__name__", "")))
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, (*path, str(group.name)))


@pytest.mark.parametrize("words", commands(app), ids=" ".join)
def test_every_help_lists_the_exit_codes(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    assert " ".join(EXIT_CODES.split()) in " ".join(result.stdout.split())


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"e2i {version('e2i-assets')}\n"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (LoadError([Problem("f.csv", "triggers", None, "is missing", 0)]), 1, "nothing was loaded"),
        (SourceError("f.csv: is empty"), 2, "error: f.csv: is empty"),
        (Interrupted("stopped"), 130, "error: stopped"),
        (IsADirectoryError(21, "Is a directory", "here"), 2, "error: here: Is a directory"),
        (FileNotFoundError("nothing here"), 2, "error: nothing here"),
    ],
)
def test_an_exit_code_tells_a_refusal_from_what_could_not_be_asked(
    error: Exception, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail(error) == code
    printed = capsys.readouterr().err
    assert message in printed
    assert "Traceback" not in printed


def test_a_partition_without_rows_is_one_line_with_the_next_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = PartitionRun("fabhalta_pnh", "run", False, 1.0, error="raw: the warehouse has no rows: load some")
    assert end([run], Settings(home=tmp_path), as_json=False) == 1
    assert capsys.readouterr().out == "FAILED fabhalta_pnh raw: the warehouse has no rows: load some\n"


def test_what_an_upgrade_computes_again_is_named_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [
        PartitionRun(name, "run", True, 1.0, computed=["cohort", "splits"], code_changed=["splits"])
        for name in ("fabhalta_pnh", "remibrutinib_csu")
    ]
    end(runs, Settings(home=tmp_path), as_json=False)  # nothing is published
    printed = " ".join(capsys.readouterr().out.split())
    assert printed == "Computed again, because their code has changed (an upgrade?): splits."


def test_what_is_damaged_does_not_hide_what_was_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Settings(home=tmp_path)
    store = open_store(here)
    version = store.write("conversion/bento_bundle", "fabhalta_pnh", BundleRef("a:b", "service", "f"))
    store.publish(Published("conversion/bento_bundle", "fabhalta_pnh", version, "f"))
    folder = Path(here.artifacts_url) / "conversion" / "bento_bundle" / "fabhalta_pnh" / version
    (folder / "record.json").write_text("{}")
    blocked = PartitionRun("fabhalta_pnh", "run", False, 1.0, failed_gates={"qc_score": "is 0.1"})
    passed = PartitionRun("fabhalta_pnh", "run", True, 1.0)
    for ended in (blocked, passed):
        assert end([ended], here, as_json=False) == 1
    shown = capsys.readouterr()
    answer = " ".join((shown.out + shown.err).split())
    assert "BLOCKED fabhalta_pnh qc_score: is 0.1" in answer
    assert answer.count("record.json is missing or not as written") == 2
