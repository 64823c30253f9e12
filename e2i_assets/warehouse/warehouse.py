"""The warehouse: the data tables and the record tables in PostgreSQL, Arrow in and out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import polars as pl
import sqlalchemy as sa

from e2i_assets.contracts.partition_key import PartitionKey
from e2i_assets.settings import Settings
from e2i_assets.warehouse import migrations, snapshots, table_status
from e2i_assets.warehouse.ddl import SCHEMA
from e2i_assets.warehouse.embedded import revive_embedded
from e2i_assets.warehouse.errors import WarehouseUnavailable, unavailable
from e2i_assets.warehouse.loader import Load, LoadReport, Progress, run_load
from e2i_assets.warehouse.postgres import called, url_for
from e2i_assets.warehouse.removal import Removal, remove
from e2i_assets.warehouse.snapshots import Snapshot
from e2i_assets.warehouse.table_status import TableStatus


class Warehouse:
    """One PostgreSQL database. Opening it brings its schema to the newest revision, all or nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def open(self) -> None:
        """Bring the schema to the newest revision, if nothing has yet.

        Raises:
            WarehouseUnavailable: the database cannot be reached.
        """
        _ = self.engine

    @cached_property
    def engine(self) -> sa.Engine:
        """SQLAlchemy engine; it keeps one connection, for a stage writes several records."""
        engine = sa.create_engine(url_for(self._settings, SCHEMA), pool_size=1, pool_pre_ping=True)
        with _reachable(engine.url):
            _require_own_session(engine)
            migrations.upgrade(engine)
        return engine

    def condition(self) -> tuple[str, str | None]:
        """Release of the server, and revision of the schema as it is; nothing is brought to another one.

        Raises:
            WarehouseUnavailable: the database cannot be reached.
        """
        engine = sa.create_engine(url_for(self._settings, SCHEMA), poolclass=sa.NullPool)
        with _reachable(engine.url), engine.connect() as connection:
            release = connection.exec_driver_sql("SHOW server_version").scalar_one()
        return str(release), migrations.recorded_revision(engine)

    @property
    def address(self) -> str:
        """How the database is called, without what opens it."""
        return called(sa.make_url(url_for(self._settings, SCHEMA, "")).difference_update_query(["options"]))

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read over.

        Raises:
            WarehouseUnavailable: the database cannot be reached, or is lost on the way.
        """
        with _reachable(self.engine.url), self.engine.connect() as connection:
            yield connection

    def revive(self) -> None:
        """Start the embedded server again where it was killed; another one is somebody else's.

        Raises:
            WarehouseUnavailable: it does not start.
        """
        if self._settings.database_url is None:
            revive_embedded(self._settings.home_dir / "postgres")

    @contextmanager
    def adbc(self) -> Iterator[Any]:
        """An ADBC connection for bulk work, inside a transaction."""
        with self._connect() as connection:
            yield connection

    def _connect(self) -> Any:
        import adbc_driver_postgresql.dbapi as adbc

        self.open()  # the schema exists before anything is copied into it
        return adbc.connect(url_for(self._settings, SCHEMA, ""))

    def load(
        self,
        load: Load,
        partitions: Collection[PartitionKey],
        *,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> LoadReport:
        """Load in batches, as `warehouse.loader` says; with `dry_run` everything is done but the commit.

        Raises:
            LoadError: a table is unusable or too many of its rows are; nothing was loaded.
            WarehouseUnavailable: the database cannot be reached.
        """
        self.open()
        return run_load(
            self._connect,
            load,
            partitions,
            batch_size=self._settings.batch_size,
            commit=not dry_run,
            progress=progress,
        )

    def remove(self, source: str, *, dry_run: bool) -> Removal:
        """Remove a source with all that hangs on it; with `dry_run` only find out what would go.

        Raises:
            NoSuchSource: nothing is of that source.
        """
        self.open()
        return remove(self._connect, source, commit=not dry_run)

    @contextmanager
    def snapshot(self, brand: str, indication: str) -> Iterator[Snapshot]:
        """The partition as it is at this moment, whatever loads commit while the block lasts."""
        with snapshots.taken(self.engine, self._connect, brand, indication) as snapshot:
            yield snapshot

    def extract(self, table: str, brand: str, indication: str) -> pl.DataFrame:
        """Rows of one partition, ordered by key, with the contract's columns and types."""
        with self.snapshot(brand, indication) as snapshot:
            return snapshot.extract(table).frame

    def table(self, table: str) -> pl.DataFrame:
        """All rows of a table, ordered by key, with the contract's columns and types."""
        with self.adbc() as connection, connection.cursor() as cursor:
            return snapshots.rows(cursor, table)

    def watermark(self, brand: str, indication: str) -> int | None:
        """Number of the last committed load that touched a partition; None when none did."""
        with self.engine.connect() as connection:
            return snapshots.watermark(connection, brand, indication)

    def status(self) -> list[TableStatus]:
        """What every data table holds, in loading order."""
        with self.engine.connect() as connection:
            return table_status.of_tables(connection)

    def status_of(self, partitions: Collection[PartitionKey]) -> dict[PartitionKey, list[TableStatus]]:
        """What every data table holds of each partition."""
        with self.engine.connect() as connection:
            return table_status.of_partitions(connection, partitions)

    def not_collected(self, partition: PartitionKey) -> dict[str, frozenset[str]]:
        """Columns by table that no source of a partition has, by the last load of each source."""
        with self.engine.connect() as connection:
            return table_status.not_collected(connection, partition)

    def record(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows to a record table."""
        if rows:
            with self.engine.begin() as connection:
                connection.execute(sa.insert(table), list(rows))


def _require_own_session(engine: sa.Engine) -> None:
    """Refuse a pooler that leaves out the options of a connection: all tables would be in one schema."""
    with engine.connect() as connection:
        path = connection.exec_driver_sql("SHOW search_path").scalar_one()
    if path != SCHEMA:
        raise WarehouseUnavailable(
            f"{called(engine.url)} takes no options of a connection: its search path is {path}.",
            "In E2I_DATABASE_URL name the server itself, not a pooler before it.",
        )


@contextmanager
def _reachable(url: sa.URL) -> Iterator[None]:
    try:
        yield
    except sa.exc.OperationalError as error:
        raise unavailable(called(url), str(error.orig or "")) from error
