"""Loads that are killed, cut off or overtaken: in the end each row is there once, or nothing is."""

from __future__ import annotations

import datetime as dt
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from e2i_assets.contracts.base import columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.settings import Settings
from e2i_assets.warehouse.loader import Load, LoadInterrupted
from e2i_assets.warehouse.postgres import url_for
from e2i_assets.warehouse.transactions import DatabaseRefused
from e2i_assets.warehouse.warehouse import Warehouse

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
PARTITIONS = {("Brand", "a")}
JOURNEYS, EVENTS = 400, 2000
BAD_JOURNEYS, BAD_EVENTS = 4, 10
ORPHANS = BAD_JOURNEYS * EVENTS // JOURNEYS
Tables = dict[str, pl.DataFrame]


def frame(table: str, **values: Any) -> pl.DataFrame:
    types = {c.name: c.dtype for c in columns(TABLES[table])}
    return pl.select(**values).select(
        (pl.col(n) if n in values else pl.lit(None)).cast(dtype).alias(n) for n, dtype in types.items()
    )


def tables(version: str) -> Tables:
    """Rows of a version: keys of its own, four bad journeys, each with five events, and ten bad events."""
    i, j = pl.int_range(EVENTS, eager=True), pl.int_range(JOURNEYS, eager=True)
    day, stamps = dt.date(2024, 1, 1), {"source_timestamp": NOW, "ingestion_timestamp": NOW}
    name = lambda prefix, numbers: pl.lit(prefix + version) + numbers.cast(pl.String)  # noqa: E731
    return {
        "patient_journeys": frame(
            "patient_journeys", patient_journey_id=name("j", j), patient_id=name("p", j), brand=pl.lit("Brand"),
            indication=pl.lit("a"), first_observation_date=day, last_observation_date=day,
            age_at_diagnosis=pl.when(j % 100 == 7).then(200).otherwise(50), **stamps,
        ),
        "treatment_events": frame(
            "treatment_events", treatment_event_id=name("e", i), patient_journey_id=name("j", i % JOURNEYS),
            patient_id=name("p", i % JOURNEYS), event_date=day, cost=pl.when(i % 200 == 3).then(-1).otherwise(1),
            event_type=pl.lit("lab_test"), **stamps,
        ),
    }  # fmt: skip


def counts(warehouse: Warehouse, version: str = "") -> tuple[int, ...]:
    """Visible journeys and events of a version, and its rejected rows, each counted once and in all."""
    parts = [
        f"SELECT count(*), count(DISTINCT {key}) FROM e2i.{table} WHERE {key} LIKE '{prefix}{version}%'"
        for table, key, prefix in (
            ("patient_journeys", "patient_journey_id", "j"), ("treatment_events", "treatment_event_id", "e"),
            ("ml_rejected_rows", "key", "_"),
        )
    ]  # fmt: skip
    with warehouse.engine.connect() as connection:
        return tuple(n for part in parts for n in connection.execute(sa.text(part)).one())


def each_once(versions: int) -> tuple[int, ...]:
    journeys, events = JOURNEYS - BAD_JOURNEYS, EVENTS - ORPHANS - BAD_EVENTS
    numbers = (journeys, events, BAD_JOURNEYS + ORPHANS + BAD_EVENTS)
    return tuple(versions * n for n in numbers for _ in range(2))


def statuses(warehouse: Warehouse) -> list[str]:
    with warehouse.engine.connect() as connection:
        return list(connection.scalars(sa.text("SELECT status FROM e2i.ml_load_batches ORDER BY load_id")))


def leftovers(warehouse: Warehouse) -> list[str]:
    with warehouse.engine.connect() as connection:
        return list(
            connection.scalars(sa.text("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'e2i\\__%'"))
        )


@pytest.fixture
def in_small_batches(here: Settings) -> Warehouse:
    """Batches of two rows, 24 writes for the tables of a version."""
    return Warehouse(here.model_copy(update={"batch_size": 2}))


LOADS_UNTIL_KILLED = """
import os, sys
from e2i_assets.warehouse.loader import Load
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets.settings import Settings
from e2i_assets_tests.integration.test_load_recovery import PARTITIONS, tables

import adbc_driver_postgresql.dbapi
for version in sys.stdin:
    child = os.fork()  # before any thread is started
    if child == 0:
        warehouse = Warehouse(Settings(database_url=sys.argv[1], batch_size=2))
        print("begins", os.getpid(), flush=True)
        warehouse.load(Load(tables(version.strip()), "killed"), PARTITIONS)
        os._exit(0)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_killed_at_ten_random_points_and_run_again_each_row_is_there_once(
    here: Settings, in_small_batches: Warehouse
) -> None:
    warehouse, chance = in_small_batches, random.Random(7)
    assert warehouse.engine is not None
    loader = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", LOADS_UNTIL_KILLED, url_for(here, "e2i", "")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert loader.stdin is not None
    assert loader.stdout is not None

    def run(version: str, kill_after: float = 60) -> tuple[int, float]:
        """Exit code and seconds of a load that is killed unless it has ended by then."""
        print(version, file=loader.stdin, flush=True)
        child, begun = int(loader.stdout.readline().split()[1]), time.perf_counter()
        if not select.select([loader.stdout], [], [], kill_after)[0]:
            with suppress(ProcessLookupError):  # it may end in this very moment
                os.kill(child, signal.SIGKILL)
        return int(loader.stdout.readline().split()[1]), time.perf_counter() - begun

    code, whole = run("whole.")
    assert code == 0
    resumed, killed, rounds = [], 0, 0
    while (killed < 10 or max(resumed) == 0) and rounds < 40:
        version = f"v{rounds}."
        rounds += 1
        killed += run(version, whole * chance.random())[0] == -signal.SIGKILL
        assert counts(warehouse, version)[:4] in ((0, 0, 0, 0), each_once(1)[:4]), "never half a load"
        resumed.append(warehouse.load(Load(tables(version), "killed"), PARTITIONS).resumed)
        assert counts(warehouse, version) == each_once(1)
    loader.stdin.close()
    loader.wait(timeout=10)
    assert killed >= 10
    assert max(resumed) > 0, "something was staged already, and was not staged again"
    assert counts(warehouse) == each_once(rounds + 1)
    assert leftovers(warehouse) == []
    assert set(statuses(warehouse)) == {"committed"}


def interrupt(warehouse: Warehouse, load: Load, after: int) -> None:
    """Begin a load and stop when some rows are staged."""
    seen = 0

    def stop(done: str, table: str, rows: int) -> None:
        nonlocal seen
        seen += rows
        if seen >= after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        warehouse.load(load, PARTITIONS, progress=stop)


def test_an_interrupted_load_goes_on_where_it_stopped(in_small_batches: Warehouse) -> None:
    interrupt(in_small_batches, Load(tables("v"), "test"), after=1000)
    assert statuses(in_small_batches) == ["staging"]
    assert counts(in_small_batches) == (0,) * 6
    report = in_small_batches.load(Load(tables("v"), "test"), PARTITIONS)
    assert (report.load_id, report.resumed) == (1, 1000)
    assert counts(in_small_batches) == each_once(1)


def test_a_source_that_changed_meanwhile_is_staged_anew_from_there(in_small_batches: Warehouse) -> None:
    interrupt(in_small_batches, Load(tables("v"), "test"), after=1000)
    later = tables("v")
    # The bad journeys are mended, so their events are no longer orphans.
    later["patient_journeys"] = later["patient_journeys"].with_columns(age_at_diagnosis=pl.lit(50, pl.Int64))
    report = in_small_batches.load(Load(later, "test"), PARTITIONS)
    assert report.resumed < 1000
    assert counts(in_small_batches)[:4] == (JOURNEYS,) * 2 + (EVENTS - BAD_EVENTS,) * 2
    fewer = {"patient_journeys": later["patient_journeys"].head(150)}
    interrupt(
        in_small_batches, Load({"patient_journeys": tables("w")["patient_journeys"]}, "test"), after=300
    )
    report = in_small_batches.load(Load(fewer, "test"), PARTITIONS)
    assert report.rows == {"patient_journeys": 150}


def test_a_load_that_another_overtakes_begins_anew_and_numbers_follow_the_commits(
    in_small_batches: Warehouse,
) -> None:
    interrupt(in_small_batches, Load(tables("v"), "first"), after=1000)
    other = in_small_batches.load(Load(tables("w"), "second"), PARTITIONS)
    report = in_small_batches.load(Load(tables("v"), "first"), PARTITIONS)
    assert (other.load_id, report.load_id, report.resumed) == (2, 3, 0)
    assert statuses(in_small_batches) == ["abandoned", "committed", "committed"]
    assert in_small_batches.watermark("Brand", "a") == 3
    assert counts(in_small_batches) == each_once(2)


def test_a_dry_run_leaves_an_unfinished_load_alone(in_small_batches: Warehouse) -> None:
    interrupt(in_small_batches, Load(tables("v"), "test"), after=1000)
    in_small_batches.load(Load(tables("w"), "other"), PARTITIONS, dry_run=True)
    assert leftovers(in_small_batches) == ["e2i_staging"]
    assert in_small_batches.load(Load(tables("v"), "test"), PARTITIONS).resumed == 1000


def cut_off(
    warehouse: Warehouse, at: Callable[[str, str], bool], times: int
) -> Callable[[str, str, int], None]:
    """Progress that ends the loader's connection when `at` says so."""
    left = times

    def cut(done: str, table: str, rows: int) -> None:
        nonlocal left
        if left and at(done, table):
            left -= 1
            with warehouse.engine.begin() as connection:
                killed = connection.scalar(
                    sa.text(
                        "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory'"
                    )
                )
                assert killed == 1

    return cut


@pytest.mark.parametrize("done", ["read", "published"])
def test_a_lost_connection_is_opened_again(in_small_batches: Warehouse, done: str) -> None:
    cut = cut_off(in_small_batches, lambda now, table: now == done, times=2)
    report = in_small_batches.load(Load(tables("v"), "test"), PARTITIONS, progress=cut)
    assert counts(in_small_batches) == each_once(1)
    assert report.changed == {
        "patient_journeys": JOURNEYS - BAD_JOURNEYS,
        "treatment_events": each_once(1)[2],
    }
    assert leftovers(in_small_batches) == []


def test_a_dry_run_that_another_load_overtakes_says_so(in_small_batches: Warehouse) -> None:
    """The load that follows takes the rehearsal of a lost connection for one that was killed."""
    cut = cut_off(in_small_batches, lambda now, table: now == "read", times=1)

    def overtaken(now: str, table: str, rows: int) -> None:
        if not counts(in_small_batches)[0]:
            cut(now, table, rows)
            in_small_batches.load(Load(tables("w"), "other"), PARTITIONS)

    with pytest.raises(LoadInterrupted, match="another load began meanwhile\nRun the dry run again"):
        in_small_batches.load(Load(tables("v"), "test"), PARTITIONS, dry_run=True, progress=overtaken)
    assert counts(in_small_batches) == each_once(1)


def test_after_three_tries_the_load_stops_and_can_go_on(in_small_batches: Warehouse) -> None:
    cut = cut_off(in_small_batches, lambda now, table: now == "published", times=3)
    with pytest.raises(DatabaseRefused, match="cannot be published: the database does not answer"):
        in_small_batches.load(Load(tables("v"), "test"), PARTITIONS, progress=cut)
    assert counts(in_small_batches) == (0,) * 6
    assert in_small_batches.load(Load(tables("v"), "test"), PARTITIONS).resumed == JOURNEYS + EVENTS
    assert counts(in_small_batches) == each_once(1)


def test_what_another_try_cannot_mend_is_tried_once_and_told_without_values(
    in_small_batches: Warehouse,
) -> None:
    with in_small_batches.engine.begin() as connection:
        connection.execute(
            sa.text("ALTER TABLE e2i.treatment_events ADD CONSTRAINT unheard CHECK (cost <> 1)")
        )
    published = []
    with pytest.raises(DatabaseRefused, match="23514, constraint unheard") as error:
        in_small_batches.load(
            Load(tables("v"), "test"), PARTITIONS,
            progress=lambda done, table, rows: published.append(table) if done == "published" else None,
        )  # fmt: skip
    assert published == ["patient_journeys"]
    assert "pv" not in str(error.value)
    assert counts(in_small_batches) == (0,) * 6


def test_a_crash_of_the_server_that_takes_staged_rows_is_noticed(in_small_batches: Warehouse) -> None:
    crashed = False

    def crash(done: str, table: str, rows: int) -> None:
        nonlocal crashed
        if table == "treatment_events" and not crashed:
            crashed = True
            # What recovery does to unlogged tables.
            unlogged = ("writes", "rejected", "patient_journeys", "treatment_events")
            with in_small_batches.engine.begin() as connection:
                connection.execute(sa.text(f"TRUNCATE {', '.join(f'e2i_staging.{n}' for n in unlogged)}"))

    with pytest.raises(LoadInterrupted, match=r"(?s)lost staged rows.*Run the same load again"):
        in_small_batches.load(Load(tables("v"), "test"), PARTITIONS, progress=crash)
    assert counts(in_small_batches) == (0,) * 6
    in_small_batches.load(Load(tables("v"), "test"), PARTITIONS)
    assert counts(in_small_batches) == each_once(1)
