"""A cohort of many rows from one Parquet file, through DuckDB: time and peak memory of a process of its own.

    python -m e2i_assets_tests.benchmarks.cohort_parquet

Writes the file in pieces to a temporary folder (about 1.2 GB for 100 million rows) and removes it afterwards.
Bar: 4 GB. Members, which come back as a Polars frame, count too.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from e2i_assets_tests.benchmarks.bench_cohort import CODES, CONFIG

PIECE = 2_000_000
BYTES_PER_ROW = 20


def piece(start: int, rows: int) -> pl.DataFrame:
    """Some of the journeys, with the columns that rules read."""
    rng = np.random.default_rng(start)
    index = np.datetime64("2022-01-01", "D") + rng.integers(0, 700, rows)
    frame = pl.DataFrame(
        {
            "number": np.arange(start, start + rows),
            "age_at_diagnosis": rng.integers(5, 90, rows).astype(np.int32),
            "code": rng.integers(0, 4, rows),
            "uas7": rng.integers(0, 43, rows).astype(np.int32),
            "ldh_ratio": rng.normal(2, 1, rows).round(2),
            "autoimmune": rng.random(rows) < 0.1,
            "pregnant": rng.random(rows) < 0.05,
            "diagnosis_date": index,
            "first_observation_date": index - rng.integers(0, 600, rows),
            "last_observation_date": index + rng.integers(0, 600, rows),
        }
    )
    codes = dict(enumerate([*CODES, "L50.0"]))
    key = pl.format("PJ_{}", pl.col("number").cast(pl.String).str.zfill(9)).alias("patient_journey_id")
    known = pl.when(pl.col("number") % 20 > 0).then("uas7").alias("uas7")
    coded = pl.col("code").replace_strict(codes, return_dtype=pl.String).alias("diagnosis_code")
    return frame.with_columns(key, coded, known).drop("number", "code")


def write(path: Path, rows: int) -> None:
    """The Parquet file, a piece at a time."""
    writer = None
    for start in range(0, rows, PIECE):
        table = piece(start, min(PIECE, rows - start)).to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def construct(path: Path) -> None:
    """What is measured."""
    from e2i_assets.cohorts import CohortConstructor

    start = time.perf_counter()
    tell(*CohortConstructor(CONFIG).construct_cohort(path), start)


def tell(members: Any, result: Any, start: float) -> None:
    """Print what a cohort constructed since `start` has, took and needed."""
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"rows {result.total_count:,}  eligible {len(members):,}  masks {len(result.masks)}")
    print(f"{seconds:.0f} s  peak memory {peak:.2f} GiB (bar 4 GB = 3.73 GiB)")


def main() -> None:
    """Write, measure in a fresh process, remove."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--file", type=Path, help="measure this file only")
    arguments = parser.parse_args()
    if arguments.file:
        construct(arguments.file)
        return
    with tempfile.TemporaryDirectory(prefix="e2i-bench-") as folder:
        if shutil.disk_usage(folder).free < 2 * BYTES_PER_ROW * arguments.rows:
            raise SystemExit(f"{folder}: not enough room for {arguments.rows:,} rows")
        path = Path(folder) / "journeys.parquet"
        write(path, arguments.rows)
        print(f"file {path.stat().st_size / 1e9:.2f} GB", flush=True)
        command = [sys.executable, "-m", "e2i_assets_tests.benchmarks.cohort_parquet", "--file", str(path)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
