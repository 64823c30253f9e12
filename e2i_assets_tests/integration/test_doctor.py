"""`e2i doctor`: what it finds right, and what is wrong one thing at a time."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
import yaml
from pydantic import SecretStr

from e2i_assets.cli import doctor_checks
from e2i_assets.cli.doctor import run_doctor
from e2i_assets.cli.doctor_checks import Finding, guarded, of_daemon, of_runs, unlike
from e2i_assets.settings import Settings
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import ROOT, shipped_config
from e2i_assets_tests.serve_process import free_port

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def found(check: str, here: Settings) -> dict[str, str]:
    """Text and next step of what a check does not find right."""
    findings = list(guarded(check, lambda: doctor_checks.CHECKS[check](here)))
    assert findings
    assert all(one.next_step for one in findings if one.level != "ok")
    return {f"{one.level}: {one.text}": one.next_step for one in findings if one.level != "ok"}


def test_of_a_sound_installation_nothing_is_wrong(
    here: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse.open()
    monkeypatch.setattr(doctor_checks, "settings", lambda: here)
    monkeypatch.setattr(
        doctor_checks, "CHECKS", {n: c for n, c in doctor_checks.CHECKS.items() if n != "ports"}
    )
    monkeypatch.setenv("COLUMNS", "60")
    assert run_doctor(as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["wrong"] == 0
    levels = {one["check"]: one["level"] for one in document["checks"]}
    assert levels["database"] == levels["configuration"] == levels["disk"] == levels["home"] == "ok"
    monkeypatch.setattr(Warehouse, "condition", lambda _: ("18.0", "9999"))
    assert run_doctor(as_json=False) == 1
    text = capsys.readouterr().out
    assert "WRONG  database: schema revision 9999" in text
    assert "-> Use the newer release" in text
    assert max(len(line) for line in text.splitlines() if "/" not in line) <= 60


def broken_config(here: Settings, folder: Path) -> Settings:
    config = shipped_config(folder)
    rules = yaml.safe_load((config / "quality.yaml").read_text())
    (config / "quality.yaml").write_text(yaml.safe_dump(rules | {"shoe_size": 40}))
    return here.model_copy(update={"config": config})


def rule_of_nothing(here: Settings, folder: Path) -> Settings:
    config = shipped_config(folder)
    rules = yaml.safe_load((config / "alerts.yaml").read_text())
    rules["rules"].append({"at_least": "low", "partitions": ["fabhalta_phn"], "channels": ["log"]})
    (config / "alerts.yaml").write_text(yaml.safe_dump(rules))
    return here.model_copy(update={"config": config})


def open_key(here: Settings, folder: Path) -> Settings:
    here.home_dir.mkdir(parents=True, exist_ok=True)
    here.vault_key_file.write_text("A" * 43 + "=")
    here.vault_key_file.chmod(0o644)
    return here


def lost_key(here: Settings, folder: Path) -> Settings:
    here.vault_key_file.unlink(missing_ok=True)
    sealed = Path(here.vault_url) / "somewhere" / "test-0123456789abcdef.sealed"
    sealed.parent.mkdir(parents=True, exist_ok=True)
    sealed.write_bytes(b"x")
    return here


def half_written(here: Settings, folder: Path) -> Settings:
    (here.bento_home / "bentos" / "e2i-x" / "v1").mkdir(parents=True)
    return here


def killed_server(here: Settings, folder: Path) -> Settings:
    (folder / "postgres").mkdir()
    (folder / "postgres" / "postmaster.pid").write_text("4194305\n")
    return here.model_copy(update={"home": folder})


def no_mlflow(here: Settings, folder: Path) -> Settings:
    return here.model_copy(update={"mlflow_tracking_uri": f"http://user:SECRET@127.0.0.1:{free_port()}"})


def no_database(here: Settings, folder: Path) -> Settings:
    url = SecretStr(f"postgresql://user:SECRET@127.0.0.1:{free_port()}/nowhere")
    return here.model_copy(update={"database_url": url})


@pytest.mark.parametrize(
    ("check", "spoil", "text"),
    [
        ("configuration", broken_config, r"wrong: .*quality.yaml.*shoe_size"),
        ("configuration", rule_of_nothing, r"warning: .*rules\[4\].* cohorts/ is of fabhalta_phn"),
        ("vault key", open_key, r"wrong: .*vault.key is open to other users"),
        ("vault key", lost_key, r"wrong: .*has sealed splits, and .*vault.key is missing"),
        ("bundles", half_written, r"wrong: half written: e2i-x:v1"),
        ("processes", killed_server, r"warning: the embedded PostgreSQL was killed"),
        ("MLflow", no_mlflow, r"wrong: .* answers ConnectError"),
        ("database", no_database, r"wrong: "),
    ],
)
def test_what_is_wrong_is_told_with_how_to_mend_it(
    check: str, spoil: Callable[[Settings, Path], Settings], text: str, here: Settings, tmp_path: Path
) -> None:
    (tmp_path / "spoilt").mkdir()
    (wrong,) = found(check, spoil(here, tmp_path / "spoilt")).items()
    assert re.match(text, wrong[0], re.DOTALL)
    assert "SECRET" not in str(wrong)


SHIPPED = sorted(path.relative_to(ROOT / "config") for path in (ROOT / "config").rglob("*.yaml"))


@pytest.mark.parametrize("file", SHIPPED, ids=str)
def test_no_file_of_the_configuration_goes_unread(file: Path, tmp_path: Path) -> None:
    config = shutil.copytree(ROOT / "config", tmp_path / "config")
    (config / file).write_text("a: [1,\n")
    assert {one.level for one in doctor_checks.configuration(Settings(config=config))} == {"wrong"}


def test_a_full_disk_and_an_old_schema(
    here: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(doctor_checks.shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 2**20))
        assert all(text.startswith("wrong: 3 MB free at ") for text in found("disk", here))
    warehouse.open()
    with warehouse.engine.begin() as connection:
        connection.execute(sa.text("UPDATE e2i.alembic_version SET version_num = '0001'"))
    assert list(found("database", here).values()) == [
        "The next command of its owner brings it there: e2i db migrate"
    ]


def test_a_port_is_free_or_ours_or_somebody_elses(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        asked = here.model_copy(update={"api_port": port, **{f"{s}_port": free_port() for s in ("causal",)}})
        assert [text for text in found("ports", asked) if str(port) in text] == [
            f"warning: {port}, for the operations API, is taken by something else"
        ]
        assert doctor_checks.listener(port) is not None
        ours = {**os.environ, "DAGSTER_HOME": str(here.dagster_home)}
        monkeypatch.setattr(doctor_checks, "listener", lambda _: ours)
        assert not [text for text in found("ports", asked) if str(port) in text]


def test_versions_are_held_against_the_lock() -> None:
    lock = [
        "# pinned",
        "pytest==0.0.1",
        "nothing-of-the-kind==1",
        "sqlalchemy>=2",
        "pywin32==1 ; sys_platform == 'win32'",
    ]
    assert [re.sub(r"[\d.]+,", "X,", text) for text in unlike(lock)] == [
        "pytest X, not ==0.0.1",
        "nothing-of-the-kind is missing",
    ]


def test_a_failed_run_counts_until_its_partition_ran_again() -> None:
    def run(number: int, partition: str) -> SimpleNamespace:
        return SimpleNamespace(
            run_id=f"{number:08}", job_name="refresh", tags={"dagster/partition": partition}
        )

    mended, left = (run(1, "a"), False), (run(2, "b"), True)
    assert [one.level for one in of_runs([mended, (run(3, "a"), True)])] == ["ok"]
    (finding,) = of_runs([mended, left, (run(4, "b"), False)])
    assert (finding.level, finding.text) == ("warning", "the last run failed: 00000002 of b")
    assert [of_daemon(beat, NOON).level for beat in (None, (NOON - timedelta(hours=1)).timestamp())] == [
        "warning"
    ] * 2
    assert of_daemon((NOON - timedelta(seconds=30)).timestamp(), NOON).level == "ok"


def test_a_check_that_cannot_be_made_is_wrong() -> None:
    def breaks() -> list[Finding]:
        raise ZeroDivisionError("SECRET")

    (finding,) = guarded("disk", breaks)  # type: ignore[arg-type]
    assert (finding.level, finding.text) == ("wrong", "could not be checked: ZeroDivisionError")
