"""The page of the commands, from the Typer application: what `--help` prints of each, as tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from e2i_assets.cli.main import app
from e2i_assets.cli.output import EXIT_CODES
from e2i_assets.contracts.markdown import code, plain, table

HEAD = f"""# Commands

`e2i COMMAND --help` prints the same. {EXIT_CODES} With `--json` a command prints one document, and an error is
`{{"error": {{"code", "message", "next_step"}}}}`; [Troubleshooting](../troubleshooting.md) has each code.
"""
_EXTRA = re.compile(r"\s*\[([^\[\]]*)\]$")
"""What the help puts behind a text: default, bounds, whether it is required."""


def commands_page() -> str:
    """Every command with its arguments and options, in the order in which `e2i --help` has them."""
    return "\n".join([HEAD, *_sections(typer.main.get_command(app), "e2i")])


def _sections(command: Any, name: str) -> Iterator[str]:
    context = typer.Context(command, info_name=name)
    if hasattr(command, "commands"):
        if name != "e2i":
            yield f"## {name}\n\n{_help(command)}\n"
        for part in command.commands.values():
            yield from _sections(part, f"{name} {part.name}")
        return
    depth = "#" * len(name.split())
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield f"{depth} {name}\n\n{_help(command)}\n\n```text\n{usage}\n```\n"
    records = [record for p in command.params if (record := p.get_help_record(context))]
    if records:
        yield table(("argument or option", "what it is", "default, bounds"), map(_row, records)) + "\n"


def _help(command: Any) -> str:
    return "\n\n".join(plain(paragraph) for paragraph in (command.help or "").split("\n\n"))


def _row(record: tuple[str, str]) -> tuple[str, str, str]:
    name, text = record
    extra = _EXTRA.search(text)
    return code(name), _EXTRA.sub("", text), extra[1] if extra else ""
