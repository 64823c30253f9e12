"""A clock that is set: of this process, and of the database, which has the platform's own time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import time_machine

FUNCTIONS = {"now": "STABLE", "clock_timestamp": "VOLATILE"}
"""What SQL asks for the time by, with what PostgreSQL may assume of it. `CURRENT_TIMESTAMP` stays as it is."""


class Clock:
    """Time goes on between two settings as it does elsewhere; it is set forwards alone."""

    def __init__(self, traveller: time_machine.Traveller, database: psycopg.Connection) -> None:
        self._traveller, self._database = traveller, database

    def set(self, moment: dt.datetime) -> None:
        """Set both clocks.

        Args:
            moment: with time zone.

        Raises:
            ValueError: it is over.
        """
        if moment < dt.datetime.now(dt.UTC):
            raise ValueError(f"{moment} is over: it is {dt.datetime.now(dt.UTC)}")
        self._traveller.move_to(moment)
        _ahead(self._database, moment)

    def advance(self, minutes: float) -> None:
        """Set both clocks forwards."""
        self.set(dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes))


@contextmanager
def simulated_clock(url: str, start: dt.datetime) -> Iterator[Clock]:
    """Both clocks, set to `start`.

    Args:
        url: of an empty database, as psycopg takes it; the columns of tables that are made there later have
            its clock as their default.
    """
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("SET allow_system_table_mods = on")
        database.execute("CREATE TABLE public.simulated_clock (ahead interval NOT NULL)")
        database.execute("INSERT INTO public.simulated_clock VALUES ('0')")
        for name, volatility in FUNCTIONS.items():
            database.execute(f"ALTER FUNCTION pg_catalog.{name}() RENAME TO real_{name}")
            database.execute(
                f"CREATE FUNCTION pg_catalog.{name}() RETURNS timestamptz LANGUAGE sql {volatility} "
                f"AS 'SELECT pg_catalog.real_{name}() + ahead FROM public.simulated_clock'"
            )
        with time_machine.travel(start, tick=True) as traveller:
            _ahead(database, start)
            yield Clock(traveller, database)


def _ahead(database: psycopg.Connection, moment: dt.datetime) -> None:
    database.execute(
        "UPDATE public.simulated_clock SET ahead = %s - pg_catalog.real_clock_timestamp()", [moment]
    )
