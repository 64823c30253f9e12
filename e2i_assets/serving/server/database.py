"""The PostgreSQL that rows are written to: it may go away and come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from e2i_assets.serving.server.background import Refused, Unavailable

CONNECT_S = 5


class Database:
    """One connection, made when it is needed, for one thread; rows go over as JSON in one statement."""

    def __init__(self, url: str) -> None:
        """Keep where the database is; the URL is told to nobody."""
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._connection: Any = None

    def insert(self, statement: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement with one parameter, the rows as a JSON array, in a transaction of its own.

        Raises:
            Unavailable: there is no connection, or the table is not there yet; nothing was written.
            Refused: the database does not take these rows; nothing was written.
        """
        import psycopg

        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_S)
            self._connection.execute(statement, [to_json(rows).decode()])
        except psycopg.Error as error:
            if self._connection is not None:
                self._connection.close()
            # A message of the database may repeat what it was given.
            text = f"{type(error).__name__}, SQLSTATE {error.sqlstate}"
            of_rows = isinstance(error, psycopg.DataError | psycopg.IntegrityError)
            raise (Refused if of_rows else Unavailable)(text) from None
