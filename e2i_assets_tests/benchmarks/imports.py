"""What starting up costs, as ratios of processes run in turn: the code location, and `e2i --help`."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

PAIRS = {
    "import e2i_assets.definitions / import dagster, pandas (bar 2.0)": (
        [sys.executable, "-W", "ignore", "-c", "import e2i_assets.definitions"],
        [sys.executable, "-W", "ignore", "-c", "import dagster, pandas"],
    ),
    "e2i --help / import typer, rich (bar 2.0)": (
        [str(Path(sys.executable).with_name("e2i")), "--help"],
        [sys.executable, "-c", "import typer, rich"],
    ),
}


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    for name, (ours, base) in PAIRS.items():
        seconds(ours), seconds(base)  # bytecode and disk cache
        times = [(seconds(ours), seconds(base)) for _ in range(rounds)]
        a, b = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{name}: {a:.2f} s / {b:.2f} s = {a / b:.2f}")


if __name__ == "__main__":
    main()
