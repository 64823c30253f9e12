"""Partitions beside each other: at most so many, one that dies leaves the others alone, Ctrl-C ends all."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import dagster as dg
import pytest

from e2i_assets.cli import parallel
from e2i_assets.cli.parallel import run_in_parallel
from e2i_assets.cli.runner import Interrupted, PartitionRun
from e2i_assets.json_files import to_json

BEGIN = "import json, os, pathlib, sys, time; here = pathlib.Path(sys.argv[1]); name = sys.argv[2]; "
MARKED = "(here / name).touch(); "
WAITS = "deadline = time.monotonic() + 20\nwhile not (here / 'go').exists() and time.monotonic() < deadline: time.sleep(0.01)\n"
SUCCEEDS = f"print(json.dumps({{'runs': [{to_json(PartitionRun('X', 'run', True, 1.0, computed=['a']))!r} | {{'partition': name}}]}}))"
ENDS = {
    "good": SUCCEEDS,
    "killed": "os.kill(os.getpid(), 9)",
    "broken": "sys.exit('no memory')",
    "refused": "print(json.dumps({'error': {'code': 'x', 'message': 'the database is gone.', 'next_step': 'Start it.'}}))",
}


def run(folder: Path, names: list[str], limit: int, code: str = "") -> list[PartitionRun]:
    def command(name: str) -> list[str]:
        ends = ENDS[name.partition("-")[0]]
        return [sys.executable, "-c", f"{BEGIN}{MARKED}{code}\n{ends}", str(folder), name]

    with dg.DagsterInstance.ephemeral() as instance:
        return run_in_parallel(names, command, limit, instance, show=False)


def test_one_that_dies_leaves_the_others_alone(tmp_path: Path) -> None:
    names = ["killed", "good-1", "broken", "refused", "good-2"]
    runs = run(tmp_path, names, 2)
    assert [one.partition for one in runs] == names
    assert [one.success for one in runs] == [False, True, False, False, True]
    assert runs[1].computed == ["a"]
    errors = [str(one.error) for one in runs if not one.success]
    for error, said in zip(errors, ["SIGKILL", "no memory", "the database is gone. Start it."], strict=True):
        assert said in error


def test_no_more_run_at_once_than_are_asked_for(tmp_path: Path) -> None:
    names = [f"good-{number}" for number in range(4)]
    seen: list[int] = []

    def watch() -> None:
        while len(list(tmp_path.glob("good-*"))) < 2:
            time.sleep(0.01)
        time.sleep(0.2)  # for a third one to begin, were it allowed to
        seen.append(len(list(tmp_path.glob("good-*"))))
        (tmp_path / "go").touch()

    thread = threading.Thread(target=watch)
    thread.start()
    runs = run(tmp_path, names, 2, WAITS)
    thread.join()
    assert seen == [2]
    assert all(one.success for one in runs)


@pytest.mark.parametrize("deaf", [False, True], ids=["ends by itself", "does not listen"])
def test_an_interrupt_ends_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaf: bool) -> None:
    monkeypatch.setattr(parallel, "ENDS_WITHIN", 0.5)

    def interrupt() -> None:
        while len(list(tmp_path.glob("good-*.pid"))) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    ignores = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" if deaf else "\n"
    pids = "(here / f'{name}.pid').write_text(str(os.getpid()))\n"
    with pytest.raises(Interrupted, match="goes on"):
        run(tmp_path, [f"good-{number}" for number in range(3)], 2, ignores + pids + WAITS)
    thread.join()
    assert not (tmp_path / "good-2").exists()
    for file in tmp_path.glob("*.pid"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.read_text()), 0)
