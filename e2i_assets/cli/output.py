"""How commands speak: text and tables for people, one JSON document for scripts, one message for an error."""

from __future__ import annotations

import json
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from e2i_assets.errors import E2IError

EXIT_CODES = (
    "Exit codes: 0 fine; 1 it found or refused something; 2 it could not be asked (usage, files, "
    "configuration, database)."
)

MOST_RECORDS = 2**63 - 1
"""The largest number that a record can have: PostgreSQL knows none beyond."""

_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What a terminal would obey rather than show: control characters, and those that turn the reading order."""


def shown(text: str) -> str:
    """A text as it can be shown: what somebody wrote into a name or a reason commands no terminal."""
    return _COMMANDS.sub(lambda found: ascii(found[0])[1:-1], text)


def print_json(document: Any) -> None:
    """The one JSON document of a command with --json."""
    sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")


def say(message: str, *, as_json: bool = False) -> None:
    """A line for a person; with --json it goes to standard error, where it breaks no script."""
    stream = sys.stderr if as_json else sys.stdout
    stream.write(shown(message) + "\n")


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table that fits the terminal: in a narrow one without lines, then each row as a short list."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, emoji=False)
    cells = [["" if value is None else shown(str(value)) for value in row] for row in rows]
    widths = [max(len(name), *(len(row[i]) for row in cells), 0) for i, name in enumerate(columns)]
    if sum(widths) + 2 * len(widths) - 2 > console.width and len(columns) > 2:
        _show_lists(console, title, columns, cells)
        return
    tight = sum(widths) + 3 * len(widths) + 1 > console.width
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD if tight else box.HEAVY_HEAD,
        show_edge=not tight,
        pad_edge=not tight,
        padding=(0, 1, 0, 0) if tight else (0, 1),
    )
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if _numeric(cells, i) else "left", no_wrap=True)
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _show_lists(console: Any, title: str, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    console.print(title, style="bold")
    width = max(len(name) for name in columns[1:])
    for row in cells:
        console.print(f"\n{row[0]}", style="bold", highlight=False)
        for name, value in zip(columns[1:], row[1:], strict=True):
            console.print(f"  {name.ljust(width)}  {value}", soft_wrap=True, highlight=False)


def _numeric(cells: Sequence[Sequence[str]], i: int) -> bool:
    return all(row[i][:1].isdigit() or not row[i] for row in cells)


def fail(error: Exception, *, as_json: bool = False) -> int:
    """Report an error: those that a user can mend in words, anything else with its stack.

    Args:
        as_json: also print `{"error": {"code", "message", "next_step"}}`, the one document of the command.

    Returns:
        The exit code: 1 where data were refused, 130 after Ctrl-C, 2 where the command could not be asked.
    """
    report = _as_ours(error)
    if report is None:
        traceback.print_exception(error)
        report = E2IError(
            f"{type(error).__name__}, which nobody foresaw; standard error has its stack.",
            "Report it with the stack, which is to be read for data before it is handed on.",
            code="unforeseen",
        )
    else:
        sys.stderr.write(f"error: {shown(report.summary)}\n")
    if as_json:
        print_json({"error": report.document()})
    return report.exit_code


def _as_ours(error: Exception) -> E2IError | None:
    """An error as one of ours; None of what nobody can mend without its stack."""
    from e2i_assets.resources.disk import DiskFull, full_disk
    from e2i_assets.settings import SettingsError, settings
    from e2i_assets.warehouse.failures import database_failure

    if not isinstance(error, SettingsError | DiskFull) and (full := full_disk(error, settings())):
        # What was being done is worth as much as why it could not be.
        return DiskFull(f"{error}\n{full}", full.next_step) if isinstance(error, E2IError) else full
    if isinstance(error, E2IError):
        return error
    if isinstance(error, OSError) and (error.filename or not error.strerror):
        message = f"{error.filename}: {error.strerror}" if error.strerror else str(error)
        return E2IError(message, "Give a file or folder that is there and may be used.", code="file")
    if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
        return E2IError("an argument is no text in UTF-8.", "Type the name again, or copy it.", code="usage")
    if reason := database_failure(error):
        return E2IError(
            f"the database failed: {reason}.",
            "What was published or loaded before stays; once the database answers again, the same command "
            "goes on.",
            code="database_failed",
        )
    return None


def warn_of_wrong_files(config: Path) -> None:
    """Say which partitions are left out for their cohort file or a scope of theirs; the others go on."""
    from e2i_assets.partitions import wrong_files

    for partition, reason in wrong_files(config).items():
        sys.stderr.write(f"warning: {partition} is left out: {reason}\n")
