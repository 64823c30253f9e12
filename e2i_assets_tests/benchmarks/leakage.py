"""The leakage audit of one wide table: target and dates alone, and with four splits compared in pairs.

    python -m e2i_assets_tests.benchmarks.leakage --rows 1000000

50 columns: 30 numbers, 8 counts, 8 categories, a date as text, patient, index date, target. Bar: 60 s for
1,000,000 rows on two cores. Prints CPU beside wall time, because other work on the machine slows the latter only.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
import pandas as pd

from e2i_assets.leakage import audit_leakage

SHARES = {"train": 0.60, "validation": 0.20, "test": 0.15, "holdout": 0.05}


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    """A clean table of 50 columns."""
    rng = np.random.default_rng(seed)
    columns = {f"number_{i}": rng.normal(size=rows) for i in range(30)}
    columns |= {f"count_{i}": rng.integers(0, 50, rows) for i in range(8)}
    columns |= {f"category_{i}": rng.choice(["a", "b", "c", "d"], rows) for i in range(8)}
    days = pd.to_timedelta(rng.integers(0, 700, rows), unit="D")
    return pd.DataFrame(columns).assign(
        seen=(pd.Timestamp("2020-01-01") + days).astype(str),
        patient_id=np.arange(rows),
        index_date=pd.Timestamp("2023-01-01"),
        started=(columns["number_0"] + rng.normal(size=rows) > 0).astype(int),
    )


def measure(what: str, train: pd.DataFrame, **kwargs: object) -> None:
    load, wall, cpu = os.getloadavg()[0], time.perf_counter(), time.process_time()
    report = audit_leakage(train, "started", id_column="patient_id", event_times="index_date", **kwargs)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert report.ok
    print(f"{what}: {wall:.1f} s, {cpu:.1f} s of CPU, load average before {load:.1f}; {report.examined}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    whole = table(rows)
    print(f"{rows:,} rows x {whole.shape[1]} columns")
    measure("one table", whole)
    bounds = (np.cumsum([0, *SHARES.values()]) * rows).astype(int)
    splits = {n: whole.iloc[a:b] for n, a, b in zip(SHARES, bounds[:-1], bounds[1:], strict=True)}
    measure("four splits", splits.pop("train"), other_splits=splits)


if __name__ == "__main__":
    main()
