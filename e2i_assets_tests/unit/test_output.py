"""What commands show: names and reasons that somebody else wrote are text, and nothing but text."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from e2i_assets.cli.main import app
from e2i_assets.cli.output import fail, say, show_table
from e2i_assets.errors import E2IError

WRITTEN = "see [/wiki] [bold]x[/bold] :warning: \x1b[2J\x9b\u202e"
SHOWN = "see [/wiki] [bold]x[/bold] :warning: \\x1b[2J\\x9b\\u202e"


@pytest.mark.parametrize("columns", [40, 200])
def test_a_table_shows_what_was_written_and_obeys_none_of_it(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    show_table(f"Ledger {WRITTEN[:3]}", ["model", "by", "reason"], [("[m]", "[/by]", WRITTEN)])
    page = capsys.readouterr().out
    assert all(text in page for text in ("[m]", "[/by]", SHOWN))
    assert "\x1b" not in page


def test_so_do_lines_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"first\n{WRITTEN}")
    fail(E2IError(WRITTEN))
    page = capsys.readouterr()
    assert page.out == f"first\n{SHOWN}\n"
    assert page.err.startswith(f"error: {SHOWN}")


def test_an_argument_in_another_encoding_is_told_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        "e2i-\udcff".encode()
    assert fail(caught.value) == 2
    assert capsys.readouterr().err.startswith("error: an argument is no text in UTF-8.")


@pytest.mark.parametrize("number", [f"{2**63}", "9" * 400, "-1", "0", "1e3", "x"])
@pytest.mark.parametrize(
    "command",
    [["alerts", "show"], ["alerts", "ack", "--by", "Anna Smith"],
     ["retrain", "approve", "--by", "Anna Smith"], ["retrain", "reject", "--by", "Anna Smith"]],
)  # fmt: skip
def test_a_number_that_no_record_can_have_is_wrong_usage(command: list[str], number: str) -> None:
    answer = CliRunner().invoke(app, [*command, "--", number])
    assert (answer.exit_code, type(answer.exception)) == (2, SystemExit)
    assert "Invalid value" in answer.output
