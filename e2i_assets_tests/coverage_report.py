"""Lines and branches that the tests went through, by package; `make coverage` prints it.

Of the test processes alone: the commands and servers that some tests start are not measured, which would slow
each of them down, so that what only these run counts as missed here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MEASURED = Path(".coverage.json")
COUNTED = ("covered_lines", "missing_lines", "covered_branches", "missing_branches")


def by_package(files: Mapping[str, Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """Sums of SlipCover's figures of single files.

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


def share(covered: int, missing: int) -> str:
    """Per cent; nothing where there is nothing to cover."""
    return f"{100 * covered / (covered + missing):5.1f} %" if covered + missing else ""


def main() -> None:
    """Print the table from what the last `make coverage` measured."""
    files = json.loads(MEASURED.read_text())["files"]
    print(f"\n{'coverage of the test processes':32}{'lines':>10}{'covered':>10}{'branches':>10}")
    for package, n in by_package(files).items():
        lines = n["covered_lines"] + n["missing_lines"]
        if not lines:
            continue
        covered = [share(n[f"covered_{what}"], n[f"missing_{what}"]) for what in ("lines", "branches")]
        print(f"{package:32}{lines:>10}{covered[0]:>10}{covered[1]:>10}")


if __name__ == "__main__":
    main()
