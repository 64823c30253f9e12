"""Drift: how long a million rows take, how often chance is told, how often a shift is found, and real tables.

Run with `python -m e2i_assets_tests.benchmarks.drift`.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from e2i_assets.monitoring import ReferenceProfile, detect_drift
from e2i_assets_tests.benchmarks.real_tables import TABLES

LEVELS = np.array(list("abcdefgh"), dtype=object)
SHARES = np.array([0.45, 0.2, 0.1, 0.1, 0.08, 0.05, 0.015, 0.005])


def columns(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Fifty columns of all kinds, among them ties, rare levels, constants, days and nulls."""
    frame: dict[str, Any] = {f"normal {i}": rng.normal(size=rows) for i in range(25)}
    frame |= {f"rounded {i}": rng.lognormal(size=rows).round(1) for i in range(5)}
    frame |= {f"zeros {i}": np.where(rng.random(rows) < 0.7, 0, rng.poisson(3, rows)) for i in range(4)}
    frame |= {f"levels {i}": rng.choice(LEVELS, rows, p=SHARES) for i in range(5)}
    frame |= {f"gaps {i}": _with_gaps(rng, rows, share) for i, share in enumerate((0.001, 0.05, 0.5, 0.97))}
    frame |= {
        "codes": pd.Series(rng.integers(0, 300, rows)).map("C{}".format),
        "id": pd.Series(rng.integers(0, 10**9, rows)).map("P{}".format),
        "constant": 1,
        "nothing": None,
        "flag": pd.Series(rng.random(rows) < 0.05).astype("boolean").mask(rng.random(rows) < 0.3),
        "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 700, rows), unit="D"),
        "grade": rng.integers(1, 4, rows),
    }
    return pd.DataFrame(frame)


def _with_gaps(rng: np.random.Generator, rows: int, share: float) -> np.ndarray:
    return np.where(rng.random(rows) < share, np.nan, rng.normal(size=rows))


def speed(rows: int = 1_000_000, width: int = 50) -> None:
    """Two frames of numbers, and a frame against the profile of another."""
    rng = np.random.default_rng(0)
    was, now = (pd.DataFrame(rng.normal(size=(rows, width))) for _ in range(2))
    process = psutil.Process()
    before = max(process.memory_info().rss, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    for what, reference in (("two frames", was), ("a profile", ReferenceProfile.of(was))):
        wall, cpu = time.perf_counter(), time.process_time()
        detect_drift(reference, now)
        spent = time.perf_counter() - wall, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(
            f"{rows:,} x {width}, {what}: {spent[0]:.1f} s ({spent[1]:.1f} CPU s), "
            f"{max(0, peak - before) / 1e9:.2f} GB beyond the frames"
        )


def by_chance(times: int = 200) -> None:
    """Alarms among comparisons of two samples of one distribution, 50 columns each."""
    for reference, current in ((200, 200), (2000, 200), (200, 2000), (1000, 1000), (20_000, 2000)):
        rng = np.random.default_rng(reference + current)
        alarms = sum(
            detect_drift(columns(rng, reference), columns(rng, current)).drifted for _ in range(times)
        )
        print(f"no drift, {reference} rows against {current}: {alarms} of {times} alarm")


def shifted(times: int = 100) -> None:
    """How often a shift of index 0.25 in one of 50 columns is found, and in that column."""
    later = _reweighted(0.25)
    for rows in (300, 500, 1000, 5000):
        for kind in ("mean", "levels"):
            rng, found = np.random.default_rng(rows), 0
            for _ in range(times):
                was, now = columns(rng, rows), columns(rng, rows)
                name = "normal 0" if kind == "mean" else "levels 0"
                now[name] = rng.normal(0.5, 1, rows) if kind == "mean" else rng.choice(LEVELS, rows, p=later)
                found += name in detect_drift(was, now).drifted_columns
            print(
                f"index 0.25 in one of 50 ({kind}), {rows} rows on either side: found in {found} of {times}"
            )


def _reweighted(index: float) -> np.ndarray:
    """Shares of the levels that have this index against `SHARES`: some of the first go to the second."""
    low, high = 0.0, SHARES[0] - 1e-6
    for _ in range(60):
        moved = (low + high) / 2
        later = SHARES + np.array([-moved, moved, 0, 0, 0, 0, 0, 0])
        low, high = (
            (moved, high) if ((later - SHARES) * np.log(later / SHARES)).sum() < index else (low, moved)
        )
    return later


def real(times: int = 200) -> None:
    """Random halves of real tables, and a trial against a survey of whom it was to stand for."""
    rng, alarms, comparisons, worst = np.random.default_rng(0), 0, 0, ("", 0)
    for table in TABLES:
        frame, _ = table.read()
        told = 0
        for _ in range(max(1, times // len(TABLES)) if len(frame) < 20_000 else 2):
            order = rng.permutation(len(frame))
            half = len(order) // 2
            told += detect_drift(frame.iloc[order[:half]], frame.iloc[order[half:]]).drifted
            comparisons += 1
        alarms, worst = alarms + told, max(worst, (table.name, told), key=lambda one: one[1])
    print(f"random halves of {len(TABLES)} real tables: {alarms} of {comparisons} alarm")
    for name, was, now in pairs():
        print(f"{name}: {detect_drift(was, now).summary}")


def pairs() -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """The job training trial against the survey that LaLonde compared it with, and its two arms."""
    trial, survey = (_stata(f"causaldata/{name}/{name}.dta") for name in ("nsw_mixtape", "cps_mixtape"))
    later = ["data_id", "treat", "re78"]
    yield "trial against survey", trial.drop(columns=later), survey.drop(columns=later)
    treated = trial["treat"] == 1
    yield "one arm against the other", *(trial[rows].drop(columns=later) for rows in (treated, ~treated))


def _stata(path: str) -> pd.DataFrame:
    package, _, rest = path.partition("/")
    return pd.read_stata(Path(str(find_spec(package).origin)).parent / rest)


if __name__ == "__main__":
    speed()
    by_chance()
    shifted()
    real()
