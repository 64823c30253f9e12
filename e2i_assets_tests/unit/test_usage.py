"""A program that reads JSON reads it of a wrong usage too."""

from __future__ import annotations

import json

import pytest

from e2i_assets.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("materialize --json --bogus", "--bogus"),
        ("data check --json", "--partition"),
        ("data nosuch --json", "nosuch"),
        ("demo --seed x --json", "seed"),
    ],
)
def test_a_wrong_usage_is_one_json_document(
    arguments: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["e2i", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    error = json.loads(capsys.readouterr().out)["error"]
    assert (ended.value.code, error["code"]) == (2, "usage")
    assert message in error["message"]
    assert "--help" in error["next_step"]


@pytest.mark.parametrize("arguments", ["--version", "materialize --help --json"])
def test_what_was_asked_for_ends_well(
    arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["e2i", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert "e2i" in capsys.readouterr().out
