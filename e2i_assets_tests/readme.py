"""What README.md and the pages of the site show: snippets by language, and each command line of shell snippets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from e2i_assets_tests.conftest import ROOT


def written_pages() -> list[Path]:
    """README.md, then the pages of `docs/` in the order of the site's menu."""
    menu = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    paths = [ROOT / "README.md", *(ROOT / "docs" / name for name in _files(menu))]
    return [
        path for path in paths if path.is_file()
    ]  # others are written from the code when the site is built


def _files(menu: Any) -> Iterator[str]:
    if isinstance(menu, str):
        yield menu
    else:
        for entry in menu.values() if isinstance(menu, dict) else menu:
            yield from _files(entry)


TEXT = "\n".join(path.read_text(encoding="utf-8") for path in written_pages())


def snippets(language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    result = re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert result
    return result


def command_lines() -> list[str]:
    """Each command once as it is to be typed, without its comment; continued lines are one."""
    lines: list[str] = []
    for block in snippets("bash"):
        for line in block.replace("\\\n", " ").splitlines():
            lines.append(re.sub(r" {2,}", " ", re.sub(r"\s+# .*", "", line).strip()))
    return list(dict.fromkeys(filter(None, lines)))


def words(command: str) -> list[str]:
    """The program and its arguments, without the variables that are set for it."""
    result = shlex.split(command)
    while result and re.fullmatch(r"[A-Z_0-9]+=.*", result[0]):
        result = result[1:]
    return result
