"""How fast other people's files are read, and that the memory does not grow with them.

Each figure is of a process of its own: `python -m e2i_assets_tests.benchmarks.bench_sources [ROWS]`.
"""

from __future__ import annotations

import datetime as dt
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from e2i_assets.ingest.mapping import Mapping
from e2i_assets.ingest.sources import read_source

ROWS = 1_000_000
TEXT = """
source: benchmark
tables:
  patient_journeys:
    columns:
      patient_journey_id: "'j' || id"
      patient_id: id
      brand: "'Brand'"
      indication: "'a'"
      age_at_diagnosis: age
      disease_severity: {from: severity, unit: percent, factor: 0.1}
      gender: {from: sex, values: {m: M, f: F}}
      diagnosis_date: seen
      first_observation_date: seen
      last_observation_date: seen + 365
      source_timestamp: recorded
"""


def write(path: Path, rows: int) -> None:
    """A file with ids, a number, a category, a day, a time and three columns to be carried along."""
    how = "(FORMAT csv)" if path.suffix == ".csv" else "(FORMAT parquet)"
    duckdb.execute(
        "COPY (SELECT i AS id, 20 + i % 60 AS age, (i % 1000) / 10 AS severity, "
        "CASE WHEN i % 2 = 0 THEN 'm' ELSE 'f' END AS sex, DATE '2020-01-01' + (i % 1000)::INT AS seen, "
        "strftime(TIMESTAMP '2024-01-01' + to_seconds(i % 86400), '%Y-%m-%dT%H:%M:%S+01:00') AS recorded, "
        f"i * 1.5 AS a, i % 7 AS b, 'text ' || i % 100 AS c FROM range({rows}) t(i)) TO '{path}' {how}"
    )


def measure(path: Path) -> None:
    """Read a file to its end and print rows, seconds and peak memory."""
    began = time.perf_counter()
    load = read_source(path, Mapping.from_text(TEXT, path), now=dt.datetime.now(dt.UTC))
    rows = sum(part.frame.height for part in load.parts("patient_journeys"))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = path.stat().st_size / 2**20
    print(f"{path.name}: {rows:,} rows, {size:,.0f} MiB, {rows / seconds:,.0f} rows/s, peak {peak:,.0f} MiB")


def main(rows: int) -> None:
    """A tenth and the whole, as CSV and as Parquet."""
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("csv", "parquet"):
            for n in (rows // 10, rows):
                path = Path(folder) / f"{n}.{kind}"
                write(path, n)
                subprocess.run([sys.executable, "-m", __spec__.name, str(path)], check=True)


if __name__ == "__main__":
    argument = sys.argv[1] if len(sys.argv) > 1 else str(ROWS)
    main(int(argument)) if argument.isdigit() else measure(Path(argument))
