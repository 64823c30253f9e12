"""Loading treatment events: through the platform, by a bare ADBC COPY, and by chunked `DataFrame.to_sql`.

All three write the same rows into the same constrained tables (keys, foreign keys, CHECKs, indexes), which hold
their journeys and HCPs already and are emptied before each turn. All take turns in one process, several rounds of
them, and are compared within each round: other work on the machine comes and goes. `to_sql` goes through psycopg 3 in chunks of 1,000 rows in one transaction: as it is, which psycopg
turns into pipelined statements of one row each, and with `method="multi"`, a statement per chunk, which is so slow
that it writes fewer rows. Peak memory is that of a process of its own
which loads from a Parquet file part by part.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import sqlalchemy as sa

from e2i_assets.contracts.base import columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.settings import Settings
from e2i_assets.warehouse.loader import Load
from e2i_assets.warehouse.postgres import url_for
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import postgres_home

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
PARTITIONS = {("Brand", "a")}
EVENTS_PER_JOURNEY, JOURNEYS_PER_HCP = 3, 5


def made(table: str, **values: pl.Expr | pl.Series) -> Callable[[int], pl.DataFrame]:
    """Rows of a table from expressions over `i`, the number of the row; other columns are empty."""
    types = {c.name: c.dtype for c in columns(TABLES[table])}

    def rows(count: int) -> pl.DataFrame:
        numbered = pl.DataFrame({"i": np.arange(count)})
        return numbered.select(
            (values[n] if n in values else pl.lit(None)).cast(dtype).alias(n) for n, dtype in types.items()
        )

    return rows


def key(prefix: str, number: pl.Expr) -> pl.Expr:
    return pl.lit(prefix) + number.cast(pl.String).str.zfill(9)


NUMBER = pl.col("i")
DAY = pl.lit(dt.date(2022, 1, 1)) + pl.duration(days=NUMBER % 900)
STAMPS = {"source_timestamp": pl.lit(NOW), "ingestion_timestamp": pl.lit(NOW)}
hcps = made("hcp_profiles", hcp_id=key("hcp_", NUMBER))
journeys = made(
    "patient_journeys", patient_journey_id=key("jrn_", NUMBER), patient_id=key("pat_", NUMBER),
    hcp_id=key("hcp_", NUMBER // JOURNEYS_PER_HCP), brand=pl.lit("Brand"), indication=pl.lit("a"),
    first_observation_date=DAY, last_observation_date=DAY, **STAMPS,
)  # fmt: skip
events = made(
    "treatment_events", treatment_event_id=key("evt_", NUMBER),
    patient_journey_id=key("jrn_", NUMBER // EVENTS_PER_JOURNEY), patient_id=key("pat_", NUMBER // EVENTS_PER_JOURNEY),
    hcp_id=key("hcp_", NUMBER // EVENTS_PER_JOURNEY // JOURNEYS_PER_HCP), event_date=DAY,
    event_type=pl.lit("lab_test"), event_subtype=pl.lit("ige"), value=(NUMBER * 0.618) % 10, cost=(NUMBER % 977) * 1.5,
    adverse_event_flag=NUMBER % 50 == 0, discontinuation_flag=pl.lit(False), **STAMPS,
)  # fmt: skip


def empty(warehouse: Warehouse) -> None:
    """The table as every turn finds it."""
    with warehouse.engine.begin() as connection:
        connection.execute(sa.text("TRUNCATE e2i.treatment_events"))
    with warehouse.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("CHECKPOINT"))


def by_copy(warehouse: Warehouse, rows: pl.DataFrame) -> None:
    with warehouse.adbc() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("treatment_events", rows.to_arrow(), mode="append", db_schema_name="e2i")
        connection.commit()


def by_loader(warehouse: Warehouse, rows: pl.DataFrame) -> None:
    report = warehouse.load(Load({"treatment_events": rows}, "benchmark"), PARTITIONS)
    assert report.changed == {"treatment_events": rows.height}, report


def by_to_sql(warehouse: Warehouse, rows: pl.DataFrame, method: Literal["multi"] | None = None) -> None:
    frame = rows.to_pandas()
    where = {"schema": "e2i", "if_exists": "append", "index": False}
    with warehouse.engine.begin() as connection:
        frame.to_sql("treatment_events", connection, chunksize=1000, method=method, **where)


def seconds(
    warehouse: Warehouse, load: Callable[[Warehouse, pl.DataFrame], None], rows: pl.DataFrame
) -> float:
    empty(warehouse)
    begun = time.perf_counter()
    load(warehouse, rows)
    return time.perf_counter() - begun


def parts(file: Path) -> Iterator[pl.DataFrame]:
    for batch in pq.ParquetFile(file).iter_batches(20_000):
        yield pl.DataFrame(pl.from_arrow(batch)).cast(
            {c.name: c.dtype for c in columns(TABLES["treatment_events"])}
        )


def memory(url: str, file: str) -> None:
    """In a process of its own: load a file part by part and print the peak of resident memory in MB."""
    warehouse = Warehouse(Settings(database_url=url))
    before = peak_so_far()
    warehouse.load(Load({"treatment_events": parts(Path(file))}, "benchmark"), PARTITIONS)
    print(before, peak_so_far())


def peak_so_far() -> int:
    """In MB, of this process since it was started (`ru_maxrss` begins with that of its parent)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def peak_memory(warehouse: Warehouse, url: str, rows: int) -> tuple[int, int]:
    empty(warehouse)
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        events(rows).write_parquet(file.name, row_group_size=20_000)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", __spec__.name, "--memory", url, file.name], capture_output=True,
            text=True, check=True,
        )  # fmt: skip
    before, peak = done.stdout.split()
    return int(before), int(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    parser.add_argument("--memory", nargs=2, metavar=("URL", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        return memory(*options.memory)
    with postgres_home() as home:
        here = Settings(home=home)
        warehouse = Warehouse(here)
        rows = events(options.rows)
        of = -(-options.rows // EVENTS_PER_JOURNEY)
        parents = {"hcp_profiles": hcps(-(-of // JOURNEYS_PER_HCP)), "patient_journeys": journeys(of)}
        warehouse.load(Load(parents, "benchmark"), PARTITIONS)
        multi = partial(by_to_sql, method="multi")
        turns = [("COPY", by_copy, rows), ("loader", by_loader, rows)]
        turns += [("to_sql", by_to_sql, rows), ("to_sql multi", multi, rows.head(10_000))]
        collected: dict[str, list[float]] = {name: [] for name, _, _ in turns}
        for name, load, given in turns * options.rounds:
            collected[name].append(given.height / seconds(warehouse, load, given))
            print(f"{name}: {collected[name][-1]:,.0f} rows/s", file=sys.stderr, flush=True)
        for name, rates in collected.items():
            ahead = [ours / rate for ours, rate in zip(collected["loader"], rates, strict=True)]
            print(
                f"{name:14}{statistics.median(rates):10,.0f} rows/s, {statistics.median(ahead):5.2f} times as fast "
                f"by the loader ({min(ahead):.2f} to {max(ahead):.2f})"
            )
        for count in (options.rows // 5, options.rows):
            before, peak = peak_memory(warehouse, url_for(here, "public", ""), count)
            print(f"{count:>12,} rows from Parquet: peak {peak} MB, {before} MB before the load")
    return None


if __name__ == "__main__":
    main()
