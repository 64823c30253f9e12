"""Opening a source: which kind it is, and which of its tables or files fills which view."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import duckdb

from e2i_assets.ingest.csv_files import ONLY_OURS, literals
from e2i_assets.ingest.databases import DuckDBFile, Only, Postgres
from e2i_assets.ingest.errors import SCRATCH, Lacking, NotThere, SourceError, unreadable
from e2i_assets.ingest.files import Files
from e2i_assets.ingest.mapping import ColumnMapping, Reading, TableMapping

POSTGRES = ("postgresql://", "postgres://")
DUCKDB = (".duckdb", ".ddb")


@dataclass(frozen=True)
class Opened:
    """A table of a source, as a DuckDB view.

    Attributes:
        connection: where the view is.
        view: its name.
        origin: what errors call it.
        source: kept while the table is read, with whatever it has opened.
        below: folder of files that may be several; None where the table is one file.
    """

    connection: duckdb.DuckDBPyConnection
    view: str
    origin: str
    source: Source
    below: str | None = None

    def relation(self) -> duckdb.DuckDBPyRelation:
        """The view's rows.

        Raises:
            SourceError: they are of a view of the source that reads something else, a file maybe.
        """
        try:
            return self.connection.table(self.view)
        except duckdb.PermissionException as error:
            problem = "is a view that reads files, which a source's expressions may not; name a table instead"
            raise SourceError(f"{self.origin}: {problem}") from error

    def columns(self) -> dict[str, str]:
        """The columns and their DuckDB types, without those that are only ours."""
        relation = self.connection.cursor().table(self.view)
        types = zip(relation.columns, map(str, relation.types), strict=True)
        return {name: dtype for name, dtype in types if not name.startswith(ONLY_OURS)}


class Wanted(NamedTuple):
    """What is to be read of a table that is found by its own name.

    Attributes:
        schema: where a database has the name in several; None: in any.
        columns, optional: those it must have, and those that are read where they are there.
        only: values of a column: other rows need not be read.
    """

    table: str
    schema: str | None
    columns: Sequence[str]
    optional: Sequence[str] = ()
    only: Only | None = None


class Source(Protocol):
    """Somewhere that tables come from."""

    name: str
    connection: duckdb.DuckDBPyConnection

    def open(self, table: str, spec: TableMapping, reading: Reading, *, most: int | None = None) -> Opened:
        """Open what fills a table of ours, as a view of that name; a sample needs no more than `most` rows.

        Raises:
            SourceError: it is not there, or cannot be read.
        """

    def seal(self) -> None:
        """Let expressions reach nothing but what is open: no other file, no network, no setting."""

    def verify(self) -> None:
        """Make sure, after reading, that all of it was of one state.

        Raises:
            SourceError: it changed or disappeared meanwhile.
        """

    def tables(self) -> dict[str, TableMapping]:
        """Every table of the source by name, not yet with its columns."""

    def provide(self, wanted: Wanted, reading: Reading) -> None:
        """Make a table a view of its own name, with the columns and at least the rows that are wanted.

        Raises:
            SourceError: it is not there, or lacks a column.
        """


def open_source(root: str) -> Source:
    """A PostgreSQL (`postgresql://…`), a DuckDB file (`.duckdb`), or CSV and Parquet files anywhere else.

    Raises:
        SourceError: nothing is there, or it does not answer.
    """
    if root.startswith(POSTGRES) or root.endswith(DUCKDB):
        return DatabaseSource(root)
    return FileSource(root)


class FileSource:
    """A file, folder or fsspec URL."""

    def __init__(self, root: str) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix=SCRATCH)
        self.connection = _database(":memory:", self._scratch.name)
        self._files = Files(root, Path(self._scratch.name))
        self.name = self._files.name
        self._files.connect(self.connection)

    def open(self, table: str, spec: TableMapping, reading: Reading, *, most: int | None = None) -> Opened:
        """Open the files of a table, which costs the same for a sample."""
        if spec.table is not None:
            raise NotThere(f"{self.name}: is no database; name the file of {table} with `file:`")
        if self._files.is_folder and spec.file is None:
            raise NotThere(f"{self.name}: is a folder; name the file of {table} in the mapping (`file:`)")
        return self._view(table, spec.file, reading)

    def seal(self) -> None:
        """Let expressions reach only the files that are open, and their copies."""
        _seal(self.connection, self._files.opened, self._scratch.name)

    def verify(self) -> None:
        """Make sure that the files are what they were when they were opened."""
        self._files.verify()

    def tables(self) -> dict[str, TableMapping]:
        """Files and folders of files, by name without ending."""
        return {
            name: TableMapping(file=file if self._files.is_folder else None, columns=UNSAID)
            for name, file in self._files.tables().items()
        }

    def provide(self, wanted: Wanted, reading: Reading) -> None:
        """Make the files of a table a view; DuckDB reads only what it needs, so all rows are in it."""
        table = wanted.table
        if wanted.schema is not None:
            raise SourceError(f"{self.name}: is no database; leave `schema` out of the mapping")
        file = next((f for name, f in self._files.tables().items() if name.lower() == table), None)
        if file is None:
            raise Lacking(f"{self.name}: has no {table}.csv or {table}.parquet, nor a folder {table}")
        _require(self._view(table, file, reading), table, wanted.columns)

    def _view(self, table: str, file: str | None, reading: Reading) -> Opened:
        try:
            origin = self._files.view(self.connection, table, file, reading)
        except duckdb.Error as error:
            raise unreadable(file or self.name, error) from error
        return Opened(self.connection, table, origin, self, self._files.below(file))


class DatabaseSource:
    """A DuckDB file or another PostgreSQL."""

    def __init__(self, root: str) -> None:
        # A PostgreSQL's tables are copied to this folder's file; it goes with the source.
        self._scratch = tempfile.TemporaryDirectory(prefix=SCRATCH)
        self.connection = _database(str(Path(self._scratch.name) / "copies.duckdb"), self._scratch.name)
        kind = Postgres if root.startswith(POSTGRES) else DuckDBFile
        self._database: Postgres | DuckDBFile = kind(root, self.connection)
        self.name = self._database.name
        self._tables: dict[tuple[str, str], list[str]] = {}
        for schema, table, column in self._database.columns():
            self._tables.setdefault((schema, table), []).append(column)

    def open(self, table: str, spec: TableMapping, reading: Reading, *, most: int | None = None) -> Opened:
        """Open the table that fills one of ours."""
        if spec.table is None:
            raise NotThere(f"{self.name}: is a database; name what fills {table} with `table:`")
        schema, _, name = spec.table.rpartition(".")
        place = self._find(name, schema or None)
        twice = [n for n, times in Counter(map(str.lower, self._tables[place])).items() if times > 1]
        if twice:
            problem = f"{self.name}: {spec.table} has columns {', '.join(twice)} that differ in case alone"
            raise SourceError(f"{problem}; make a view that renames one")
        self._database.provide(table, place, self._tables[place], None, most)
        return Opened(self.connection, table, f"{self.name} {'.'.join(place)}", self)

    def seal(self) -> None:
        """Let expressions reach only the tables that are open."""
        _seal(self.connection, [], self._scratch.name)

    def verify(self) -> None:
        """Nothing to do: a PostgreSQL is read in one snapshot, a DuckDB file is locked while it is open."""

    def tables(self) -> dict[str, TableMapping]:
        """Tables by name, with their schema where two have one name."""
        names = Counter(table for _, table in self._tables)
        return {
            table if names[table] == 1 else f"{schema}.{table}": TableMapping(
                table=f"{schema}.{table}", columns=UNSAID
            )
            for schema, table in self._tables
        }

    def provide(self, wanted: Wanted, reading: Reading) -> None:
        """Make a table a view of its own name."""
        place = self._find(wanted.table, wanted.schema)
        names = {name.lower(): name for name in self._tables[place]}
        missing = [name for name in wanted.columns if name not in names]
        if missing:
            raise Lacking(f"{self.name}: {'.'.join(place)} has no column {', '.join(missing)}")
        only = (names[wanted.only[0]], wanted.only[1]) if wanted.only else None
        columns = [names[name] for name in (*wanted.columns, *wanted.optional) if name in names]
        self._database.provide(wanted.table, place, columns, only, None)

    def _find(self, table: str, schema: str | None) -> tuple[str, str]:
        places = [
            (s, t)
            for s, t in self._tables
            if t.lower() == table.lower() and (schema is None or s.lower() == schema.lower())
        ]
        if not places:
            raise NotThere(f"{self.name}: has no table {f'{schema}.' if schema else ''}{table}")
        if len(places) > 1:
            schemas = ", ".join(s for s, _ in places)
            raise NotThere(f"{self.name}: {table} is in the schemas {schemas}; say which in the mapping")
        return places[0]


UNSAID = {"?": ColumnMapping.model_validate("?")}
"""Columns of a table that is found by its name: they are those of the contract, read from the source."""


def _database(path: str, spill: str) -> duckdb.DuckDBPyConnection:
    """A DuckDB of our own, without extensions: times must not depend on what a machine has installed.

    What does not fit into memory is put into the folder `spill`.
    """
    off = ("autoinstall_known_extensions", "autoload_known_extensions", "enable_external_file_cache")
    connection = duckdb.connect(path, config={**dict.fromkeys(off, "false"), "temp_directory": spill})
    # Not that of the machine; a mapping's zone is set where its rows are read.
    return connection.execute("SET GLOBAL TimeZone = 'UTC'")


def _seal(connection: duckdb.DuckDBPyConnection, files: Sequence[str], folder: str) -> None:
    connection.execute(f"SET allowed_paths = {literals(files)}")
    connection.execute(f"SET allowed_directories = {literals([folder])}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _require(opened: Opened, table: str, columns: Sequence[str]) -> None:
    names = {name.lower() for name in opened.columns()}
    missing = [name for name in columns if name not in names]
    if missing:
        raise Lacking(f"{opened.origin}: {table} has no column {', '.join(missing)}")
