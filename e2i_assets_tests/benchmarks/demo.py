"""`e2i demo` on a fresh installation: wall time, peak memory, and test AUC or R² against the oracle's."""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

from e2i_assets_tests.conftest import ROOT, postgres_home
from e2i_assets_tests.e2e.bring_your_own import E2I, environment


def memory(process: psutil.Process, home: Path) -> int:
    """Bytes (proportional set size) of the command, its children and its embedded server."""
    family = [process, *process.children(recursive=True)]
    family += [p for p in psutil.process_iter(["name"]) if p.info["name"] == "postgres"]
    total = 0
    for member in {p.pid: p for p in family}.values():
        try:
            total += member.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="25,000 patients instead of 2,500")
    full = ["--full"] if parser.parse_args().full else []
    with postgres_home() as folder, tempfile.TemporaryFile("w+") as output:
        env = environment(folder / "home", ROOT / "config")
        started, peak = time.perf_counter(), 0
        process = subprocess.Popen(
            [E2I, "demo", "--json", *full], env=env, stdout=output, stderr=subprocess.DEVNULL
        )
        while process.poll() is None:
            peak = max(peak, memory(psutil.Process(process.pid), folder))
            time.sleep(0.5)
        seconds = time.perf_counter() - started
        subprocess.run([E2I, "down"], env=env, check=True, stdout=subprocess.DEVNULL)
        output.seek(0)
        document = json.load(output)
    print(
        f"demo{' --full' if full else ''}: exit {process.returncode}, {seconds:.0f} s (bar {2700 if full else 360}), peak {peak / 2**30:.2f} GiB (bar 3)"
    )
    gaps: dict[str, list[float]] = {}
    for row in document["partitions"]:
        figures = row["without_unit"] or row
        gap = figures["test"] - figures["oracle"]
        gaps.setdefault(figures["metric"], []).append(gap)
        print(
            f"  {row['partition']:<20} {row['scope']:<12} cohort {row['cohort']:>5}  test {figures['metric']} {figures['test']:.3f}  oracle {figures['oracle']:.3f}  difference {gap:+.3f}"
        )
    for metric, bar in (("roc_auc", 0.01), ("r2", 0.02)):
        mean, lowest = sum(gaps[metric]) / len(gaps[metric]), min(gaps[metric])
        print(f"  {metric}: mean difference {mean:+.3f} (full set: bar -{bar}), lowest {lowest:+.3f}")


if __name__ == "__main__":
    main()
