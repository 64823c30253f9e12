"""Tables of a DuckDB file or of another PostgreSQL. Neither can be written to from here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import duckdb

from e2i_assets.addresses import without_secrets
from e2i_assets.ingest.csv_files import quoted, typed_columns
from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.mapping import Reading

READ_ONLY = "-c default_transaction_read_only=on -c default_transaction_isolation=repeatable\\ read"
"""Session of a PostgreSQL source: the server refuses to write, and every table is of the same moment."""


Only = tuple[str, Sequence[int]]
"""A column, and the values of it that are wanted."""


ARRIVES_AS_IT_IS = frozenset({
    "smallint", "integer", "bigint", "real", "double precision", "text", "character varying",
    "boolean", "date", "timestamp with time zone", "timestamp without time zone",
})  # fmt: skip
"""PostgreSQL types that Arrow has, too; the others (uuid, enums, JSON …) are read as text."""
NUMERIC = "numeric"
"""Of any number of digits: read as text, and a number where it is one without loss, as in a CSV."""


class DuckDBFile:
    """A DuckDB file, attached read-only.

    Raises:
        SourceError: the file is missing or no DuckDB database.
    """

    def __init__(self, path: str, connection: duckdb.DuckDBPyConnection) -> None:
        if not Path(path).is_file():
            raise SourceError(f"{path}: no such file or folder")
        self.name = path
        self._connection = connection
        try:
            connection.execute(f"ATTACH {_literal(path)} AS source (READ_ONLY)")
        except duckdb.Error as error:
            raise SourceError(f"{path}: is no DuckDB database that can be read") from error

    def columns(self) -> list[tuple[str, str, str]]:
        """Schema, table and column of every table."""
        return self._connection.execute(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns() "
            "WHERE database_name = 'source' AND NOT internal ORDER BY schema_name, table_name, column_index"
        ).fetchall()

    def provide(
        self, view: str, table: tuple[str, str], columns: Sequence[str], only: Only | None, most: int | None
    ) -> None:
        """Make a view of some of a table's columns and all its rows; DuckDB reads only what it needs."""
        names = ", ".join(map(quoted, columns))
        self._connection.execute(
            f"CREATE VIEW {quoted(view)} AS SELECT {names} FROM source.{'.'.join(map(quoted, table))}"
        )


class Postgres:
    """Another PostgreSQL, in one read-only transaction. Tables are copied, in parts, to a file of our own.

    Args:
        url: `postgresql://user@host/database`; a password is best left to PGPASSWORD or the password file.

    Raises:
        SourceError: the server does not answer.
    """

    def __init__(self, url: str, connection: duckdb.DuckDBPyConnection) -> None:
        self.name = without_secrets(url)
        self._url = url
        self._connection = connection
        self._types: dict[tuple[str, str, str], str] = {}
        with self._reachable():
            self._remote = connect_read_only(url)

    def columns(self) -> list[tuple[str, str, str]]:
        """Schema, table and column of every table and view that is not the server's own."""
        with self._reachable(), self._remote.cursor() as cursor:
            cursor.execute(
                "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns "
                "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') "
                "ORDER BY table_schema, table_name, ordinal_position"
            )
            self._types = {(schema, table, name): kind for schema, table, name, kind in cursor.fetchall()}
        return list(self._types)

    def provide(
        self, view: str, table: tuple[str, str], columns: Sequence[str], only: Only | None, most: int | None
    ) -> None:
        """Copy some columns and rows of a table (at most `most`), without holding them in memory.

        Raises:
            SourceError: the server goes away or refuses.
        """
        names = ", ".join(
            quoted(name) if self._types[(*table, name)] in ARRIVES_AS_IT_IS else f"{quoted(name)}::text"
            for name in columns
        )
        where = f" WHERE {quoted(only[0])} IN ({', '.join(map(str, only[1])) or 'NULL'})" if only else ""
        with self._reachable(), self._remote.cursor() as cursor:
            limit = f" LIMIT {most}" if most is not None else ""
            cursor.execute(f"SELECT {names} FROM {'.'.join(map(quoted, table))}{where}{limit}")
            copy = self._connection.cursor()
            copy.register("arriving", cursor.fetch_record_batch())
            rows = quoted(f"copy of {view}")
            copy.execute(f"CREATE TABLE {rows} AS SELECT * FROM arriving")
            numeric = [name for name in columns if self._types[(*table, name)] == NUMERIC]
            typed = typed_columns(copy, f"FROM {rows}", numeric, Reading()) if numeric else {}
            selected = ", ".join(typed.get(name, quoted(name)) for name in columns)
            copy.execute(f"CREATE VIEW {quoted(view)} AS SELECT {selected} FROM {rows}")

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        import adbc_driver_manager as adbc

        try:
            yield
        except (adbc.Error, duckdb.Error) as error:
            # A server's message may quote a row; its first line names what failed.
            message = str(error).strip().splitlines()[0].replace(self._url, self.name)
            raise SourceError(f"{self.name}: the database does not answer or refuses: {message}") from error


def connect_read_only(url: str) -> Any:
    """An ADBC connection in whose transactions the server refuses every write."""
    import adbc_driver_postgresql.dbapi as adbc

    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    query["options"] = f"{query.get('options', '')} {READ_ONLY}".strip()
    # libpq reads `+` as a plus sign, so a space must be %20.
    return adbc.connect(urlunsplit(parts._replace(query=urlencode(query).replace("+", "%20"))))


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
