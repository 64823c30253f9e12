"""`e2i doctor`: what is wrong with an installation, and how to mend it."""

from __future__ import annotations

import shutil

from rich.console import Console

from e2i_assets.cli.doctor_checks import Finding, examine
from e2i_assets.cli.output import print_json, say
from e2i_assets.cli.session import quiet

MARKS = {"ok": "ok     ", "warning": "look   ", "wrong": "WRONG  "}


def run_doctor(*, as_json: bool) -> int:
    """Print what each check found, and what to do; 1 where something is wrong."""
    quiet()
    with Console(stderr=True, quiet=as_json).status("looking"):
        findings = list(examine())
    wrong = sum(finding.level == "wrong" for finding in findings)
    if as_json:
        print_json({"wrong": wrong, "checks": [finding._asdict() for finding in findings]})
        return int(wrong > 0)
    for finding in findings:
        _show(finding)
    looks = sum(finding.level == "warning" for finding in findings)
    say(f"\n{wrong} wrong, {looks} to look at, {len(findings) - wrong - looks} fine")
    return int(wrong > 0)


def _show(finding: Finding) -> None:
    import textwrap

    width = max(40, shutil.get_terminal_size().columns)
    mark = MARKS[finding.level]
    lines = [f"{finding.check}: {finding.text}"]
    if finding.level != "ok" and finding.next_step:
        lines.append(f"-> {finding.next_step}")
    for number, line in enumerate(lines):
        indent = mark if number == 0 else " " * len(mark)
        # Paths and commands are to be copied whole.
        say(
            textwrap.fill(
                line, width, initial_indent=indent, subsequent_indent=" " * (len(mark) + 2),
                break_long_words=False, break_on_hyphens=False,
            )
        )  # fmt: skip
