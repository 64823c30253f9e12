"""Lines and branches that the tests went through, by package; `make test` prints it.

Of the test processes alone: the commands and servers that some tests start are not measured, which would slow
each of them down, so that what only these run counts as missed here.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COUNTED = ("num_statements", "covered_lines", "num_branches", "covered_branches")


def by_package(files: Mapping[str, Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """Sums of coverage.py's figures of single files.

    Args:
        files: path, from the top of the repository, to the figures of a file as its JSON report has them.

    Returns:
        Package, or module at the top of `e2i_assets`, to the sums; all together under `e2i_assets`.
    """
    sums: dict[str, Counter[str]] = {}
    for path, figures in sorted(files.items()):
        package = Path(path).parts[1].removesuffix(".py")
        for name in (package, "e2i_assets"):
            sums.setdefault(name, Counter()).update({key: figures["summary"][key] for key in COUNTED})
    return sums | {"e2i_assets": sums.pop("e2i_assets")}


def share(covered: int, of: int) -> str:
    """Per cent; nothing where there is nothing to cover."""
    return f"{100 * covered / of:5.1f} %" if of else ""


def main() -> None:
    """Print the table from the data file of the last `make test`."""
    import coverage

    measured = coverage.Coverage()
    measured.load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "coverage.json")
        measured.json_report(outfile=str(report))
        files = json.loads(report.read_text())["files"]
    print(f"\n{'coverage of the test processes':32}{'statements':>12}{'lines':>10}{'branches':>10}")
    for package, n in by_package(files).items():
        if not n["num_statements"]:
            continue
        lines, branches = (
            share(n["covered_lines"], n["num_statements"]),
            share(n["covered_branches"], n["num_branches"]),
        )
        print(f"{package:32}{n['num_statements']:>12}{lines:>10}{branches:>10}")


if __name__ == "__main__":
    main()
