"""Turns: one run of a partition at a time, whoever started it, on whatever machine.

An advisory lock of PostgreSQL that a connection of its own holds: it ends with the process, however that
ends, so that nothing stale is ever left behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from e2i_assets.settings import Settings
from e2i_assets.warehouse.ddl import SCHEMA
from e2i_assets.warehouse.errors import WarehouseUnavailable
from e2i_assets.warehouse.postgres import url_for

if TYPE_CHECKING:
    import psycopg

TURNS = 8_151_027
"""First half of the lock's key; the second is a hash of the partition."""
POLL_SECONDS = 1.0
_PREFIX = "e2i run "
_TAKE = "SELECT pg_try_advisory_lock(%(turns)s, hashtext(%(partition)s))"
_HOLDER = """
SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %(turns)s
  AND l.objid = (hashtext(%(partition)s)::bigint & 4294967295)::oid
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@contextmanager
def turn(
    settings: Settings, partition: str, run_id: str, *, on_wait: Callable[[str], None]
) -> Iterator[None]:
    """Have a partition to oneself for the block; waits for as long as another run has it.

    Args:
        on_wait: called once, with the other run's id, where there is something to wait for.

    Raises:
        WarehouseUnavailable: the database cannot be reached.
    """
    key = {"turns": TURNS, "partition": partition}
    with _connected(settings, run_id) as connection:
        waited = False
        while not _first(connection, _TAKE, key):
            holder = None if waited else _first(connection, _HOLDER, key)
            if holder:
                waited = True
                on_wait(holder.removeprefix(_PREFIX))
            time.sleep(POLL_SECONDS)
        yield


def _connected(settings: Settings, run_id: str) -> psycopg.Connection[tuple[Any, ...]]:
    import psycopg

    try:
        # The server tells by its name who holds a lock.
        return psycopg.connect(
            url_for(settings, SCHEMA, ""), autocommit=True, application_name=f"{_PREFIX}{run_id}"
        )
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise WarehouseUnavailable(
            f"the database does not answer: {reason}.",
            "Start it, or correct E2I_DATABASE_URL (unset it for the embedded server).",
        ) from None


def _first(connection: psycopg.Connection[tuple[Any, ...]], query: str, key: dict[str, Any]) -> Any:
    row = connection.execute(query.encode(), key).fetchone()
    return row[0] if row else None
