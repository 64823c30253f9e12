"""What a tick of the sensors that loads start costs: 100 partitions, 10,000 past loads and as many runs.

The installation is real but for the data: cohort files, an embedded PostgreSQL with the records of loads and
Dagster's runs, and the pointers to the raw tables and the features of each partition, in which five versions answer. A tick is all that Dagster's daemon has the
code location do. Of each kind: the cursor of the tick before, or none as after an upgrade.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import dagster as dg
import sqlalchemy as sa

from e2i_assets.automation.attempts import LOAD
from e2i_assets.automation.sensors import NEWEST_RAW
from e2i_assets.cli.instance import dagster_instance
from e2i_assets.cli.session import open_session
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.registry.ledger import Entry, Version
from e2i_assets.resources.store import ArtifactStore, Published
from e2i_assets.settings import settings
from e2i_assets.warehouse.queries.monitoring import record_profile
from e2i_assets.warehouse.queries.registry import registry
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import WHOLE_CONFIG, postgres_home

TEMPLATE = "fabhalta_pnh"
FEATURES = "0" * 16


def write_cohorts(count: int) -> list[str]:
    """Cohort files of as many brands, instead of the shipped ones."""
    folder = WHOLE_CONFIG / "cohorts"
    text = (folder / f"{TEMPLATE}.yaml").read_text()
    for file in folder.glob("*.yaml"):
        file.unlink()
    keys = [f"brand{number:03}_pnh" for number in range(count)]
    for number, key in enumerate(keys):
        (folder / f"{key}.yaml").write_text(text.replace("brand: Fabhalta", f"brand: Brand{number:03}"))
    return keys


def add_loads(warehouse: Warehouse, partitions: int, first: int, last: int) -> None:
    """Loads of one partition each, in turn; before the newest of each, every hundredth touched them all."""
    every = ", ".join(f'"Brand{number:03}/pnh"' for number in range(partitions))
    insert = sa.text(
        "INSERT INTO e2i.ml_load_batches (source, partitions, started_at, committed_at) "
        "SELECT 'feed', CASE WHEN n % 100 = 50 AND n < :last - :partitions OR :first = :last THEN cast(:every AS jsonb) "
        "ELSE jsonb_build_array('Brand' || to_char(n % :partitions, 'FM000') || '/pnh') END, "
        "now() - (:last - n) * interval '1 minute', now() - (:last - n) * interval '1 minute' "
        "FROM generate_series(cast(:first AS int), cast(:last AS int)) AS n"
    )
    with warehouse.engine.begin() as connection:
        connection.execute(
            insert, {"every": f"[{every}]", "partitions": partitions, "first": first, "last": last}
        )


def add_runs(instance: dg.DagsterInstance, keys: list[str], loads: int) -> dict[str, tuple[int, str]]:
    """A run that answered each load; the last load and run of each partition."""
    newest = {}
    for load in range(1, loads + 1):
        partition = keys[load % len(keys)]
        run = dg.DagsterRun(
            "refresh",
            status=dg.DagsterRunStatus.SUCCESS,
            tags={"dagster/partition": partition, LOAD: str(load), "dagster/run_key": f"{partition}-{load}"},
        )
        instance.add_run(run)
        newest[partition] = (load, run.run_id)
    return newest


def date_runs(warehouse: Warehouse) -> None:
    """Give each run the minute in which its load was committed."""
    update = sa.text(
        "UPDATE dagster.runs SET create_timestamp = made.at, update_timestamp = made.at FROM ("
        "SELECT r.run_id, l.committed_at AT TIME ZONE 'UTC' AS at FROM dagster.runs r "
        "JOIN dagster.run_tags t USING (run_id) JOIN e2i.ml_load_batches l ON l.load_id = t.value::bigint "
        f"WHERE t.key = '{LOAD}') made WHERE made.run_id = runs.run_id"
    )
    with warehouse.engine.begin() as connection:
        connection.execute(update)


def publish(store: ArtifactStore, runs: dict[str, tuple[int, str]]) -> None:
    """The pointers to the raw tables and the features of each partition."""
    for key, (load, run_id) in runs.items():
        store.publish(Published(NEWEST_RAW, key, "0" * 16, "", attributes={"load": load}, run_id=run_id))
        store.publish(Published("features", key, FEATURES, "", run_id=run_id))


def register(warehouse: Warehouse, keys: list[str], scopes: list[str]) -> None:
    """A version of each scope and partition, and a comparison with the features of a load for each day."""
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    insert = sa.text(
        "INSERT INTO e2i.ml_monitoring_runs (partition, scope, model_name, model_version, run_id, data_version, "
        "measured_at, new_patients, predictions, judged, total_checks, drift_detected_count, severity, "
        "drift_score, summary) SELECT :partition, :scope, :name, 1, 'r' || day, day::text, now(), 0, 0, false, 0, "
        "0, 'none', 0, '{}' FROM generate_series(1, 100) AS day"
    )
    for key, scope in product(keys, scopes):
        name = f"e2i-{scope}-{key}"
        with registry(warehouse) as ledger:
            ledger.add(
                Version(name, scope, key, "", "", "f", "", name, "h", "d", {}, {}, {}, "m", "r", 1, 1, moment)
            )
            ledger.append(Entry(name, 1, 1, "registered", None, "staging", "e2i", "e2i", moment))
        record_profile(warehouse, name, 1, {}, "r")
        with warehouse.engine.begin() as connection:
            connection.execute(insert, {"partition": key, "scope": scope, "name": name})


@contextmanager
def installed() -> Iterator[Path]:
    with postgres_home() as home:
        os.environ |= {"E2I_HOME": str(home / "home"), "E2I_CONFIG": str(WHOLE_CONFIG)}
        settings.cache_clear()
        yield home


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, default=100)
    parser.add_argument("--loads", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with installed():
        keys = write_cohorts(options.partitions)
        from e2i_assets.build import build_defs, build_resources  # it knows the partitions from here on

        here, warehouse = open_session()
        defs, resources = build_defs(here), build_resources(here)
        add_loads(warehouse, options.partitions, 1, options.loads)
        with dagster_instance() as instance:
            runs = add_runs(instance, keys, options.loads)
            date_runs(warehouse)
            publish(resources["store"], runs)

            def tick(cursor: str | None, requests: int, name: str = "new_data_sensor") -> str | None:
                sensor = defs.resolve_sensor_def(name)
                needed = {key: resources[key] for key in sensor.required_resource_keys}
                times, began = [], time.process_time()
                for _ in range(options.rounds):
                    context = dg.build_sensor_context(
                        instance=instance, cursor=cursor, resources=needed, definitions=defs
                    )
                    with context:
                        started = time.perf_counter()
                        data = sensor.evaluate_tick(context)
                        times.append(time.perf_counter() - started)
                    made = len(data.run_requests or [])
                    assert made == requests, f"{made} requests instead of {requests}"
                print(
                    f"{name}, {'no cursor' if cursor is None else 'with cursor'}, {requests} requests: first "
                    f"{times[0]:.2f} s, median {statistics.median(times):.2f} s, longest {max(times):.2f} s; "
                    f"CPU {(time.process_time() - began) / options.rounds:.2f} s"
                )
                return data.cursor

            register(warehouse, keys, sorted(load_scopes(WHOLE_CONFIG / "scopes")))
            tick(None, options.partitions, "watching_sensor")
            settled = tick(None, 0)
            tick(settled, 0)
            add_loads(warehouse, options.partitions, options.loads + 100, options.loads + 100)
            tick(settled, options.partitions)
            tick(None, options.partitions)


if __name__ == "__main__":
    main()
