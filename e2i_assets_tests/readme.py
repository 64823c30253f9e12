"""What README.md shows: its snippets by language, and each command line of its shell snippets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from e2i_assets_tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def snippets(language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    result = re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    assert result
    return result


def command_lines() -> Iterator[str]:
    """Each command as it is to be typed, without its comment; continued lines are one."""
    for block in snippets("bash"):
        for line in block.replace("\\\n", " ").splitlines():
            command = re.sub(r"\s+# .*", "", line).strip()
            if command:
                yield re.sub(r" {2,}", " ", command)


def words(command: str) -> list[str]:
    """The program and its arguments, without the variables that are set for it."""
    result = shlex.split(command)
    while result and re.fullmatch(r"[A-Z_0-9]+=.*", result[0]):
        result = result[1:]
    return result
