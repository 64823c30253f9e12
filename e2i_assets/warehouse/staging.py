"""Where a load waits until it is published: unlogged tables in a schema of its own, written batch by batch.

Everything here is unlogged, the ledger of what was written as well: a crash of the server empties all of it
together, so what the ledger names is there. Each function is one transaction's work on a cursor.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from e2i_assets.contracts.base import columns, key_of
from e2i_assets.contracts.rejected import REJECTED_ROW
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.load import ROW, Write
from e2i_assets.ingest.problems import ROWS_NAMED, Judged, Problem
from e2i_assets.warehouse.ddl import SCHEMA

if TYPE_CHECKING:
    import pyarrow as pa

WRITE = "_write"
WORK_MEM = "64MB"
"""Memory for hashing the keys of some million rows; with the server's default they are sorted on disk."""
PIECE = 1_000
"""Rows that are sent at a time: while the server takes in some, the next are made ready."""
STATISTICS = 10
"""Detail of statistics on staged rows: enough to order joins, at a tenth of what the default costs."""


@dataclass(frozen=True)
class Tally:
    """Rows of one table: given by the source, and rejected."""

    given: int
    rejected: int

    @property
    def accepted(self) -> int:
        """Rows that can be loaded."""
        return self.given - self.rejected


@dataclass(frozen=True)
class Addition:
    """What one write adds: rows by table of the schema, and the first and last key where keys ascend."""

    rows: Mapping[str, pa.Table]
    span: tuple[str | None, str | None]


class Staging:
    """The staging schema of one load.

    Args:
        name: the schema.
        tables: the tables of the load, parents first.
        replaces, keeps_rejected: as in `Load`.
    """

    def __init__(
        self, name: str, tables: Collection[str], replaces: str | None, *, keeps_rejected: bool
    ) -> None:
        self.name = name
        self.tables = tuple(tables)
        self.replaces = replaces
        self.keeps_rejected = keeps_rejected

    def create(self, cursor: Any) -> None:
        """An empty staging schema, in place of any other."""
        self.drop(cursor)
        cursor.execute(f"CREATE SCHEMA {self.name}")
        cursor.execute(
            f"CREATE UNLOGGED TABLE {self.name}.writes (table_name text, number bigint, origin text, "
            "given bigint, digest text, first_key text, last_key text, PRIMARY KEY (table_name, number))"
        )
        nulls = ", ".join(
            f"NULL::{'bigint' if c.dtype == pl.Int64 else 'text'} AS {c.name}" for c in REJECTED_ROW
        )
        cursor.execute(
            f"CREATE UNLOGGED TABLE {self.name}.rejected AS SELECT {nulls}, 0::bigint AS {WRITE} WITH NO DATA"
        )
        for table in self.tables:
            names = ", ".join(f"{c.name}::text" if c.json else c.name for c in columns(TABLES[table]))
            cursor.execute(
                f"CREATE UNLOGGED TABLE {self.name}.{table} WITH (autovacuum_enabled = false) AS "
                f"SELECT {names}, 0::bigint AS {ROW}, 0::bigint AS {WRITE} FROM {SCHEMA}.{table} WITH NO DATA"
            )

    def exists(self, cursor: Any) -> bool:
        """Whether the schema is there; it goes in the transaction that publishes the load."""
        cursor.execute(f"SELECT count(*) FROM pg_namespace WHERE nspname = '{self.name}'")
        return bool(cursor.fetchone()[0])

    def drop(self, cursor: Any) -> None:
        """Remove the schema and all in it."""
        cursor.execute(f"DROP SCHEMA IF EXISTS {self.name} CASCADE")

    def ledger(self, cursor: Any) -> dict[str, dict[int, str]]:
        """Of each table, the digest of every write that is there."""
        cursor.execute(f"SELECT table_name, number, digest FROM {self.name}.writes")
        digests: dict[str, dict[int, str]] = {table: {} for table in self.tables}
        for table, number, digest in cursor.fetchall():
            digests[table][number] = digest
        return digests

    def addition(self, table: str, write: Write, judged: Judged) -> Addition:
        """What a write adds to the tables of the schema."""
        number = pl.lit(write.number, pl.Int64)
        where = {"table_name": pl.lit(table), WRITE: number, "origin": pl.lit(write.origin)}
        frames = {
            table: judged.good.with_columns(number.alias(WRITE)),
            "rejected": judged.rejected.with_columns(**where),
        }
        rows = {name: frame.to_arrow() for name, frame in frames.items() if frame.height}
        keys = judged.good.get_column(key_of(TABLES[table]))
        ascends = bool(keys.len()) and (keys.slice(1) > keys.head(keys.len() - 1)).all()
        return Addition(rows, (keys[0], keys[-1]) if ascends else (None, None))

    def write(self, cursor: Any, table: str, write: Write, digest: str, added: Addition) -> None:
        """Add one write; nothing happens when it is there already."""
        # A crash of the server loses unlogged rows anyway.
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute(
            f"WITH entered AS (INSERT INTO {self.name}.writes VALUES ($1, $2, $3, $4, $5, $6, $7) "
            "ON CONFLICT DO NOTHING RETURNING 1) SELECT count(*) FROM entered",
            (table, write.number, write.origin, write.given, digest, *added.span),
        )
        if not cursor.fetchone()[0]:
            return
        for name, frame in added.rows.items():
            pieces = frame.to_reader(max_chunksize=PIECE)
            cursor.adbc_ingest(name, pieces, mode="append", db_schema_name=self.name)

    def forget(self, cursor: Any, table: str, number: int) -> None:
        """Remove a table's writes from `number` on, and later tables: what they refer to may change."""
        later = self.tables[self.tables.index(table) + 1 :]
        for name, first in [(table, number), *[(t, 0) for t in later]]:
            cursor.execute(f"DELETE FROM {self.name}.{name} WHERE {WRITE} >= {first}")
            cursor.execute(
                f"DELETE FROM {self.name}.writes WHERE table_name = '{name}' AND number >= {first}"
            )
            cursor.execute(
                f"DELETE FROM {self.name}.rejected WHERE table_name = '{name}' AND {WRITE} >= {first}"
            )

    def judge(self, cursor: Any, table: str) -> None:
        """Reject rows whose keys come twice or are another source's, or whose parents are nowhere.

        The parents are judged already.
        """
        cursor.execute(f"SET LOCAL work_mem = '{WORK_MEM}'")
        cursor.execute(f"SET LOCAL default_statistics_target = {STATISTICS}")
        compared = ", ".join(c.name for c in columns(TABLES[table]) if c.unique or c.references)
        cursor.execute(f"ANALYZE {self.name}.{table} ({compared})")
        cursor.execute(f"ANALYZE {self.name}.rejected (table_name, key)")
        for c in columns(TABLES[table]):
            if c.unique and self._repeats(cursor, table, c.name):
                self._reject(cursor, table, c.name, self._repeated(table, c.name))
            if c.key and self._has_owners(cursor, table):
                self._reject(cursor, table, c.name, self._owned(table, c.name))
            if c.unique and not c.key:
                self._reject(cursor, table, c.name, self._taken(table, c.name))
            if c.references:
                self._reject(cursor, table, c.name, self._orphans(table, c.name, c.references))

    def _repeats(self, cursor: Any, table: str, name: str) -> bool:
        """Whether any value comes twice. Keys arrive in order as a rule, from write to write as well, or can
        be sorted at a third of what grouping costs.
        """
        if name == key_of(TABLES[table]):
            cursor.execute(
                f"SELECT count(*) FROM (SELECT first_key, lag(last_key) OVER (ORDER BY number) AS before "
                f"FROM {self.name}.writes WHERE table_name = '{table}') spans "
                'WHERE first_key IS NULL OR first_key COLLATE "C" <= before COLLATE "C"'
            )
            if not cursor.fetchone()[0]:
                return False
        cursor.execute(f'SELECT count({name}) > count(DISTINCT {name} COLLATE "C") FROM {self.name}.{table}')
        return cursor.fetchone()[0]

    def _repeated(self, table: str, name: str) -> str:
        staged = f"{self.name}.{table}"
        return (
            "SELECT place, 'duplicate' AS rule, 'must be unique, is that of an earlier row' AS reason "
            f"FROM (SELECT s.ctid AS place, row_number() OVER (PARTITION BY s.{name} "
            f"ORDER BY s.{WRITE}, s.{ROW}) AS nth FROM {staged} s WHERE s.{name} IN "
            f"(SELECT {name} FROM {staged} GROUP BY {name} HAVING count(*) > 1)) ranked WHERE nth > 1"
        )

    def _has_owners(self, cursor: Any, table: str) -> bool:
        """Whether there is more than one source, so that a key may be another's: as a rule there is not, and
        to see that takes a hundredth of comparing every row. No other load comes between the two.
        """
        owner = table if _names_source(table) else "patient_journeys"
        places = [SCHEMA, self.name] if owner in self.tables else [SCHEMA]
        named = " UNION ALL ".join(f"SELECT data_source FROM {place}.{owner}" for place in places)
        cursor.execute(f"SELECT coalesce(min(data_source) <> max(data_source), false) FROM ({named}) named")
        return cursor.fetchone()[0]

    def _owned(self, table: str, key: str) -> str:
        """A source owns its rows: none of another may take their place.

        What names no source is of that of its journey; a row that keeps its journey keeps its owner.
        """
        reason = (
            """'is a key of source "' || theirs || '", and this row comes from "' || ours || '"; begin its """
            "keys with the source, or remove the other (e2i data delete --source)'"
        )
        pairs = f"{self.name}.{table} s JOIN {SCHEMA}.{table} t ON t.{key} = s.{key}"
        theirs, ours = "t.data_source", "s.data_source"
        if not _names_source(table):
            pairs += " AND t.patient_journey_id <> s.patient_journey_id"
            pairs += f" JOIN {self._journeys()} tj ON tj.patient_journey_id = t.patient_journey_id"
            pairs += f" JOIN {self._journeys()} sj ON sj.patient_journey_id = s.patient_journey_id"
            theirs, ours = "tj.data_source", "sj.data_source"
        return (
            f"SELECT place, 'source' AS rule, {reason} AS reason FROM (SELECT s.ctid AS place, "
            f"{theirs} AS theirs, {ours} AS ours FROM {pairs}) owned WHERE theirs <> ours"
        )

    def _journeys(self) -> str:
        """SQL of the journeys that there will be, with their sources."""
        loaded = f"SELECT t.patient_journey_id, t.data_source FROM {SCHEMA}.patient_journeys t"
        if "patient_journeys" not in self.tables:
            return f"({loaded})"
        staged = f"{self.name}.patient_journeys"
        return (
            f"(SELECT patient_journey_id, data_source FROM {staged} UNION ALL {loaded} WHERE NOT EXISTS "
            f"(SELECT FROM {staged} s WHERE s.patient_journey_id = t.patient_journey_id))"
        )

    def _taken(self, table: str, name: str) -> str:
        key = key_of(TABLES[table])
        return (
            "SELECT s.ctid AS place, 'duplicate' AS rule, "
            f"'must be unique, is that of a loaded row' AS reason FROM {self.name}.{table} s "
            f"JOIN {SCHEMA}.{table} t ON t.{name} = s.{name} AND t.{key} <> s.{key}"
        )

    def _orphans(self, table: str, name: str, reference: str) -> str:
        parent, key = reference.split(".")
        parents = [f"{SCHEMA}.{parent} p WHERE p.{key} = s.{name}{self._stays(parent)}"]
        if parent in self.tables:
            parents.append(f"{self.name}.{parent} p WHERE p.{key} = s.{name}")
        nowhere = " AND ".join(f"NOT EXISTS (SELECT FROM {where})" for where in parents)
        rejected = f"SELECT DISTINCT key FROM {self.name}.rejected WHERE table_name = '{parent}'"
        return (
            "SELECT s.ctid AS place, "
            "CASE WHEN r.key IS NULL THEN 'reference' ELSE 'parent_rejected' END AS rule, "
            f"CASE WHEN r.key IS NULL THEN 'points to no row of {reference}' "
            f"ELSE 'its row of {parent} was rejected' END AS reason "
            f"FROM {self.name}.{table} s LEFT JOIN ({rejected}) r ON r.key = s.{name} "
            f"WHERE s.{name} IS NOT NULL AND {nowhere}"
        )

    def _stays(self, parent: str) -> str:
        """SQL: a loaded parent `p` that the load does not replace (see `publish.remove_superseded`)."""
        if parent not in self.tables or self.replaces is None:
            return ""
        source = self.replaces.replace("'", "''")
        return f" AND (p.data_source IS DISTINCT FROM '{source}' OR {self.stays(parent, 'p')})"

    def stays(self, table: str, alias: str) -> str:
        """SQL: whether a superseded row stays because the new one is rejected."""
        if not self.keeps_rejected:
            return "false"
        rejected = f"{self.name}.rejected r WHERE r.table_name = '{table}'"
        return f"EXISTS (SELECT FROM {rejected} AND r.key = {alias}.{key_of(TABLES[table])})"

    def _reject(self, cursor: Any, table: str, name: str, faults: str) -> None:
        """Move staged rows to the rejected ones.

        Args:
            faults: SELECT of `place` (ctid), `rule` and `reason`. It runs by itself, for what changes rows is
                never run by several processes.
        """
        cursor.execute(f"CREATE TEMP TABLE fault AS {faults}")
        cursor.execute(
            f"WITH gone AS (DELETE FROM {self.name}.{table} s USING fault WHERE s.ctid = fault.place "
            "RETURNING s.*, fault.rule AS _rule, fault.reason AS _reason) "
            f"INSERT INTO {self.name}.rejected ({', '.join(c.name for c in REJECTED_ROW)}, {WRITE}) "
            f"SELECT '{table}', w.origin, g.{ROW}, g.{key_of(TABLES[table])}, '{name}', g._rule, g._reason, "
            f"(to_jsonb(g) - '{ROW}' - '{WRITE}' - '_rule' - '_reason')::text, g.{WRITE} "
            f"FROM gone g JOIN {self.name}.writes w ON w.table_name = '{table}' AND w.number = g.{WRITE}"
        )
        cursor.execute("DROP TABLE fault")

    def tallies(self, cursor: Any) -> dict[str, Tally]:
        """Rows given and rejected of each table so far."""
        cursor.execute(
            "SELECT w.table_name, w.given::bigint, coalesce(r.rejected, 0) FROM "
            f"(SELECT table_name, sum(given) AS given FROM {self.name}.writes GROUP BY 1) w LEFT JOIN "
            f"(SELECT table_name, count(*) AS rejected FROM {self.name}.rejected GROUP BY 1) r "
            "USING (table_name)"
        )
        tallies = {table: Tally(given, rejected) for table, given, rejected in cursor.fetchall()}
        return {table: tallies.get(table, Tally(0, 0)) for table in self.tables}

    def problems(self, cursor: Any, tables: Iterable[str]) -> list[Problem]:
        """Why rows of these tables were rejected, by rule, with the first row numbers."""
        problems = []
        for table in tables:
            cursor.execute(
                "SELECT origin, column_name, reason, count(*), array_to_string((array_agg(row_number "
                f"ORDER BY {WRITE}, row_number))[:{ROWS_NAMED}], ',') FROM {self.name}.rejected "
                f"WHERE table_name = '{table}' GROUP BY 1, 2, 3 ORDER BY min({WRITE}), 2"
            )
            problems += [
                Problem(origin, table, column, reason, count, tuple(int(n) for n in numbers.split(",") if n))
                for origin, column, reason, count, numbers in cursor.fetchall()
            ]
        return problems


def _names_source(table: str) -> bool:
    return "data_source" in {c.name for c in columns(TABLES[table])}
