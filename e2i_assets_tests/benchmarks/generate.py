"""`e2i data generate` on a fresh installation: wall time and peak memory, full size and 1,000,000 patients."""

from __future__ import annotations

import argparse
import subprocess
import time

import psutil

from e2i_assets_tests.benchmarks.demo import memory
from e2i_assets_tests.conftest import ROOT, postgres_home
from e2i_assets_tests.e2e.bring_your_own import E2I, environment

LARGE = 1_000_000


def measured(patients: int | None, dgp: str) -> str:
    """Wall time, and the peak memory of the command alone and with its embedded server."""
    size = [] if patients is None else ["--patients", str(patients)]
    with postgres_home() as folder:
        env = environment(folder / "home", ROOT / "config")
        started, alone, together = time.perf_counter(), 0, 0
        process = subprocess.Popen(
            [E2I, "data", "generate", "--dgp", dgp, "--json", *size], env=env, stdout=subprocess.DEVNULL
        )
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            together = max(together, memory(watched, folder))
            try:
                alone = max(alone, watched.memory_info().rss)
            except psutil.Error:
                break
            time.sleep(0.5)
        code = process.wait()
        seconds = time.perf_counter() - started
    if code:
        raise SystemExit(f"e2i data generate failed with exit code {code}")
    return f"{seconds:.0f} s, peak {alone / 2**30:.1f} GiB, with PostgreSQL {together / 2**30:.1f} GiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="also 1,000,000 patients")
    parser.add_argument("--dgp", default="confounded")
    chosen = parser.parse_args()
    print(f"generate and load, full size: {measured(None, chosen.dgp)} (bar 20 s)")
    if chosen.large:
        print(f"generate and load, {LARGE:,} patients: {measured(LARGE, chosen.dgp)} (bars 900 s, 6 GiB)")


if __name__ == "__main__":
    main()
