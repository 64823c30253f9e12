"""Turns: one run of a partition at a time, whoever started it, on whatever machine.

An advisory lock of PostgreSQL that a connection of its own holds: it ends with the process, however that
ends, so that nothing stale is ever left behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from e2i_assets.addresses import without_secrets
from e2i_assets.settings import Settings
from e2i_assets.warehouse.ddl import SCHEMA
from e2i_assets.warehouse.errors import unavailable
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


class Turn:
    """A partition that a run has to itself, from entering to leaving.

    Entering waits for as long as another run has it; `on_wait` is then called once, with the other run's id.
    """

    def __init__(
        self, settings: Settings, partition: str, run_id: str, *, on_wait: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._key = {"turns": TURNS, "partition": partition}
        self._run_id = run_id
        self._on_wait = on_wait
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def __enter__(self) -> Self:
        try:
            self.keep()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection:
            self._connection.close()

    def keep(self) -> bool:
        """Have the partition still, or again where the connection was lost, and the lock with it.

        Returns:
            Whether nobody else can have had it since it was entered.

        Raises:
            WarehouseUnavailable: the database cannot be reached.
        """
        import psycopg

        if self._connection:
            with suppress(psycopg.OperationalError):
                self._connection.execute("SELECT 1")
                return True
        self._connection = self._connected()
        waited = False
        while not self._first(_TAKE):
            if not waited and (holder := self._first(_HOLDER)):
                waited = True
                self._on_wait(holder.removeprefix(_PREFIX))
            time.sleep(POLL_SECONDS)
        return False

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        import psycopg

        url = url_for(self._settings, SCHEMA, "")
        try:
            # The server tells by its name who holds a lock.
            return psycopg.connect(url, autocommit=True, application_name=f"{_PREFIX}{self._run_id}")
        except psycopg.OperationalError as error:
            raise unavailable(without_secrets(url), str(error)) from None

    def _first(self, query: str) -> Any:
        assert self._connection
        row = self._connection.execute(query.encode(), self._key).fetchone()
        return row[0] if row else None
