"""The PostgreSQL that rows are written to: it may go away and come back, or hang."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from pydantic_core import to_json

from e2i_assets.observability.background import Unavailable

T = TypeVar("T")

CONNECT_S = 5
STATEMENT_S = 5.0
"""After which the database gives up a statement, for instance behind somebody's lock."""
ANSWER_S = 10.0
"""After which a database that says nothing at all is cut off."""


class Refused(Exception):
    """The database does not take these rows, and never will."""


class Database:
    """One connection, made when it is needed, for one thread; rows go over as JSON in one statement."""

    def __init__(self, url: str) -> None:
        """Keep where the database is; the URL is told to nobody."""
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._connection: Any = None

    def insert(self, statement: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement with one parameter, the rows as a JSON array, in a transaction of its own.

        Raises:
            Unavailable: there is no connection, no answer in time, or the table is not there yet.
            Refused: the database does not take these rows; nothing was written.
        """
        import psycopg

        try:
            content = to_json(rows).decode()
        except ValueError as error:
            raise Refused(type(error).__name__) from None
        try:
            self._ensure()
            with _answered(self._connection):
                self._connection.execute(statement, [content])
        except psycopg.Error as error:
            # A message of the database may repeat what it was given.
            text = f"{type(error).__name__}, SQLSTATE {error.sqlstate}"
            too_much = (error.sqlstate or "").startswith("54")
            if too_much or isinstance(error, psycopg.DataError | psycopg.IntegrityError):
                raise Refused(text) from None
            if self._connection is not None:
                self._connection.close()
            raise Unavailable(text) from None

    def insert_each(
        self,
        statement: str,
        items: list[T],
        rows: Callable[[T], Sequence[Mapping[str, Any]]],
        lost: Callable[[int, str], None],
    ) -> None:
        """Insert what the database takes of some items, as many as possible at a time.

        Args:
            items: what is done with, written or refused, is removed.
            rows: of an item.
            lost: told how many were refused, and why the last one was.

        Raises:
            Unavailable: as `insert`; what was not written is left in `items`.
        """
        refused, why, number = 0, "", len(items)
        try:
            while items:
                these = items[:number]
                try:
                    self.insert(statement, [row for item in these for row in rows(item)])
                except Refused as error:
                    if len(these) > 1:
                        number = len(these) // 2
                        continue
                    refused, why = refused + 1, str(error)
                else:
                    number *= 2
                del items[: len(these)]
        finally:
            if refused:
                lost(refused, why)

    def _ensure(self) -> None:
        """Have a connection."""
        import psycopg

        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_S)
            with _answered(self._connection):
                self._connection.execute(f"SET statement_timeout = {int(1000 * STATEMENT_S)}")


@contextmanager
def _answered(connection: Any) -> Iterator[None]:
    """Cut a connection off that is not done in time: a process that is stopped keeps its socket open, and
    whoever reads from it would for ever.
    """

    def cut() -> None:
        with suppress(OSError), socket.socket(fileno=os.dup(number)) as of_connection:
            of_connection.shutdown(socket.SHUT_RDWR)

    number = connection.fileno()
    timer = threading.Timer(ANSWER_S, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
