"""Events of many rows counted around index dates from Parquet, through DuckDB: time and peak memory.

    python -m e2i_assets_tests.benchmarks.cohort_events

Six criteria, four of them on events, of which 1,000,000,000 are counted around the index dates of 10,000,000
journeys. DuckDB writes both files to a temporary folder first (about 6 GB), which is removed afterwards.
Bar: 4 GB, of a fresh process, with the members, which come back as a Polars frame.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from e2i_assets.cohorts import CohortConfig
from e2i_assets_tests.benchmarks.cohort_parquet import tell

BYTES_PER_EVENT = 8
KINDS = ("lab_test", "prescription", "hospitalization", "emergency_visit", "consultation")
CONFIG = CohortConfig.model_validate(
    {
        "cohort_name": "Benchmark",
        "brand": "Remibrutinib",
        "indication": "csu",
        "inclusion_criteria": [
            {"field": "age_at_diagnosis", "operator": ">=", "value": 18},
            {
                "name": "two tests in a year",
                "where": [{"field": "event_type", "operator": "==", "value": "lab_test"}],
                "within_days": [-365, -1],
                "at_least": 2,
            },
            {
                "name": "a prescription in half a year",
                "where": [{"field": "event_type", "operator": "==", "value": "prescription"}],
                "within_days": [-182, -1],
            },
        ],
        "exclusion_criteria": [
            {"field": "pregnant", "operator": "==", "value": True},
            {
                "name": "many emergencies",
                "where": [{"field": "event_type", "operator": "==", "value": "emergency_visit"}],
                "within_days": [-365, 0],
                "at_least": 12,
            },
            {
                "name": "in hospital in the last month",
                "where": [{"field": "event_type", "operator": "==", "value": "hospitalization"}],
                "within_days": [-30, -1],
                "at_least": 3,
            },
        ],
    }
)


def write(folder: Path, *, journeys: int, events: int) -> None:
    """journeys.parquet and events.parquet, drawn by hashes of row numbers, a row group after the other."""
    import duckdb

    with duckdb.connect() as engine:
        engine.execute("SET memory_limit = '1500MB'; SET preserve_insertion_order = false")
        indexed = "DATE '2022-01-01' + (hash(range, 1) % 700)::INTEGER"
        engine.execute(
            f"COPY (SELECT range::INTEGER AS patient_journey_id, (hash(range, 2) % 85 + 5)::INTEGER AS age_at_diagnosis, "
            f"hash(range, 3) % 20 = 0 AS pregnant, {indexed} AS diagnosis_date, "
            f"{indexed} - 400 - (hash(range, 4) % 300)::INTEGER AS first_observation_date, "
            f"{indexed} + 200 + (hash(range, 5) % 300)::INTEGER AS last_observation_date "
            f"FROM range({journeys})) TO '{folder}/journeys.parquet' (FORMAT parquet)"
        )
        kinds = ", ".join(f"'{kind}'" for kind in KINDS)
        engine.execute(
            f"COPY (SELECT (hash(range, 6) % {journeys})::INTEGER AS patient_journey_id, "
            f"DATE '2020-06-01' + (hash(range, 7) % 1400)::INTEGER AS event_date, "
            f"[{kinds}][(hash(range, 8) % {len(KINDS)} + 1)::INTEGER] AS event_type "
            f"FROM range({events})) TO '{folder}/events.parquet' (FORMAT parquet)"
        )


def construct(folder: Path) -> None:
    """What is measured."""
    from e2i_assets.cohorts import CohortConstructor

    start = time.perf_counter()
    made = CohortConstructor(CONFIG).construct_cohort(
        folder / "journeys.parquet",
        folder / "events.parquet",
        on_progress=lambda share: print(f"{time.perf_counter() - start:.0f} s: {share:.0f} %", end="\r"),
    )
    tell(*made, start)


def main() -> None:
    """Write, measure in a fresh process, remove."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--journeys", type=int, default=10_000_000)
    parser.add_argument("--events", type=int, default=1_000_000_000)
    parser.add_argument("--folder", type=Path, help="measure the files of this folder only")
    arguments = parser.parse_args()
    if arguments.folder:
        construct(arguments.folder)
        return
    with tempfile.TemporaryDirectory(prefix="e2i-bench-") as name:
        folder = Path(name)
        if shutil.disk_usage(folder).free < 3 * BYTES_PER_EVENT * arguments.events:
            raise SystemExit(f"{folder}: not enough room for {arguments.events:,} events")
        write(folder, journeys=arguments.journeys, events=arguments.events)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"files {size / 1e9:.2f} GB", flush=True)
        command = [sys.executable, "-m", "e2i_assets_tests.benchmarks.cohort_events", "--folder", name]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
