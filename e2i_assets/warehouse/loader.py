"""The batch loader: rows are judged and staged batch by batch, then published in one transaction.

A row that breaks a rule is rejected and kept (`ml_rejected_rows`); a table of which too many are rejected
fails the load. What was staged survives a kill: the same load, run again, goes on where it stopped. Nothing
of a load is to be seen before all of it is. Loading the same data again changes nothing, touches no partition
and asks for no refresh.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any, Literal

from e2i_assets.contracts.base import columns
from e2i_assets.contracts.partition_key import PartitionKey
from e2i_assets.contracts.tables import TABLES
from e2i_assets.errors import E2IError
from e2i_assets.ingest.load import ROW, Load, LoadReport, Part, Write, read_ahead, writes
from e2i_assets.ingest.problems import (
    ROWS_NAMED,
    Judged,
    LoadError,
    Problem,
    judge,
    rules_for,
    structural_problems,
)
from e2i_assets.warehouse import load_records, publish
from e2i_assets.warehouse.ddl import SCHEMA
from e2i_assets.warehouse.load_records import LOADS
from e2i_assets.warehouse.staging import Addition, Staging, Tally
from e2i_assets.warehouse.transactions import Transactions

Progress = Callable[[Literal["read", "published"], str, int], None]
"""Called with what was done, the table and how many rows."""

BATCH_SIZE = 1_000
"""Rows of a batch (the guide's figure)."""
BATCHES_PER_WRITE = 50
"""Batches that one transaction writes: at one each, transactions cost twice what the rows do."""
ENOUGH = 95
"""Percent of a table's rows that must be loadable (the guide's figure)."""
STAGING, REHEARSAL = "e2i_staging", "e2i_dry_run"
"""Schema of a load's staged rows, and how that of a dry run begins: it leaves an unfinished load alone."""
LOST = "the server lost staged rows in a crash; nothing was loaded"


class LoadInterrupted(E2IError, RuntimeError):
    """Staged rows are gone, because the server crashed or another load began. The load can be run again."""

    code = "load_interrupted"
    next_step = "Run the same load again."
    on_data = False


def run_load(
    connect: Callable[[], Any],
    load: Load,
    partitions: Collection[PartitionKey],
    *,
    batch_size: int = BATCH_SIZE,
    commit: bool = True,
    progress: Progress | None = None,
) -> LoadReport:
    """Load, or with `commit=False` do all the same and leave nothing behind.

    Args:
        connect: opens an ADBC connection to the warehouse, not in autocommit mode.
        partitions: pairs of brand and indication that exist.

    Raises:
        LoadError: a table has wrong columns, is empty, or fails; nothing was loaded.
        DatabaseRefused: the database did not take it, or does not answer.
        LoadInterrupted: staged rows are gone; run the load again.
    """
    with Transactions(connect) as transactions:
        return _Loader(transactions, load, partitions, batch_size, commit, progress or _silent).run()


def _silent(done: str, table: str, rows: int) -> None:
    """No progress is shown."""


def _no_matter(cursor: Any) -> None:
    """What another load did meanwhile."""


class _Loader:
    """One load on its way. `load_id` is None until it begins, and in a dry run."""

    def __init__(
        self,
        transactions: Transactions,
        load: Load,
        partitions: Collection[PartitionKey],
        batch_size: int,
        commit: bool,
        progress: Progress,
    ) -> None:
        self.transactions = transactions
        self.load = load
        self.commit = commit
        self.progress = progress
        self.batch_size = batch_size
        self.order = [table for table in TABLES if table in load.tables]
        self.rules = {table: rules_for(table, partitions) for table in self.order}
        schema = STAGING if commit else f"{REHEARSAL}_{uuid.uuid4().hex[:12]}"
        self.staging = Staging(schema, self.order, load.replaces, keeps_rejected=load.keeps_rejected)
        self.fingerprint = load_records.fingerprint(load, self.rules, batch_size * BATCHES_PER_WRITE)
        self.load_id: int | None = None
        self.ledger: dict[str, dict[int, str]] = {table: {} for table in self.order}
        self.given = dict.fromkeys(self.order, 0)
        self.tallies: dict[str, Tally] = {}
        self.resumed = 0

    def run(self) -> LoadReport:
        """Stage and judge every table, then publish, or record why not."""
        opened = self._open()
        self.transactions.run("the load cannot begin", self._begin)
        self.transactions.on_open = self._still_mine
        try:
            self._stage(opened)
            self._refuse_failed()
            return self.transactions.run("the load cannot be published", self._publish, commit=self.commit)
        except LoadError:
            self.transactions.run("the load cannot be put away", self._discard)
            raise
        finally:
            if not self.commit:
                self.transactions.on_open = _no_matter
                self.transactions.run("the dry run cannot be put away", self.staging.drop)

    def _open(self) -> dict[str, Iterator[Write]]:
        """Each table's writes, the first one read already, so that a mistake in any table is told at once."""
        opened: dict[str, Iterator[Write]] = {}
        table_names = ", ".join(TABLES)
        problems = [
            Problem(self.load.origin(table), table, None, f"is none of {table_names}", 0)
            for table in self.load.tables
            if table not in TABLES
        ]
        for table in self.order:
            try:
                rest = writes(self._sound(table), self.batch_size * BATCHES_PER_WRITE)
                first = next(rest, None)
            except LoadError as error:
                problems += error.problems
                continue
            if first is None:
                problems.append(Problem(self.load.origin(table), table, None, "is empty", 0))
            else:
                opened[table] = chain([first], rest)
        if problems:
            raise LoadError(problems)
        return opened

    def _sound(self, table: str) -> Iterator[Part]:
        """The parts of a table, as long as their columns are those of the contract."""
        for part in self.load.parts(table):
            problems = structural_problems(table, part.frame, part.origin or self.load.origin(table))
            if problems:
                raise LoadError(problems)
            yield part

    def _begin(self, cursor: Any) -> None:
        """Go on with the load that was interrupted if it is this one, else begin anew."""
        cursor.execute(f"SELECT nspname FROM pg_namespace WHERE starts_with(nspname, '{REHEARSAL}')")
        for (killed,) in cursor.fetchall():
            cursor.execute(f"DROP SCHEMA {killed} CASCADE")
        if not self.commit:
            self.staging.create(cursor)
            return
        cursor.execute(f"SELECT load_id, fingerprint FROM {LOADS} WHERE status = 'staging' ORDER BY load_id")
        unfinished = {fingerprint: load_id for load_id, fingerprint in cursor.fetchall()}
        if self.fingerprint in unfinished and self.staging.exists(cursor):
            self.load_id = unfinished[self.fingerprint]
            self.ledger = self.staging.ledger(cursor)
        else:
            self.staging.create(cursor)
            self.load_id = load_records.register(cursor, self.load, self.fingerprint)
        cursor.execute(
            f"UPDATE {LOADS} SET status = 'abandoned' WHERE status = 'staging' AND load_id <> {self.load_id}"
        )

    def _still_mine(self, cursor: Any) -> None:
        """While the connection was lost, and the lock with it, another load may have begun."""
        if self.load_id is None:
            # A load drops the schemas of dry runs, for their connections are gone.
            if not self.staging.exists(cursor):
                raise LoadInterrupted("another load began meanwhile", "Run the dry run again.")
            return
        cursor.execute(
            f"SELECT count(*) FROM {LOADS} WHERE load_id = {self.load_id} AND status = 'abandoned'"
        )
        if cursor.fetchone()[0]:
            raise LoadInterrupted(f"load {self.load_id}: another load began meanwhile")

    def _stage(self, opened: Mapping[str, Iterator[Write]]) -> None:
        """Stage and judge the tables, parents first; those below a failed one are not tried."""
        for table in self.order:
            if all(self._succeeded(parent) for parent in _parents(table) & set(self.order)):
                self._stage_table(table, opened[table])
                self.tallies[table] = self.transactions.run(f"{table} cannot be judged", self._judge(table))

    def _succeeded(self, table: str) -> bool:
        tally = self.tallies.get(table)
        return tally is not None and 100 * tally.accepted >= ENOUGH * tally.given

    def _stage_table(self, table: str, arriving: Iterator[Write]) -> None:
        """Judge and stage the writes of a table that are not there yet.

        Raises:
            LoadError: a rule that no row keeps: the table is not what its mapping says. Nothing is kept then.
        """
        rules, unmet, number = self.rules[table], set(range(len(self.rules[table]))), -1
        first = next(arriving)
        named = tuple(first.frame.get_column(ROW).head(ROWS_NAMED))
        for write, judged, digest, added in read_ahead(self._judged(table, chain([first], arriving))):
            number = write.number
            unmet &= judged.unmet
            if self.ledger[table].get(number) == digest:
                self.resumed += write.given
            else:
                self._forget_from(table, number)
                self._stage_write(table, write, digest, added)
            self.given[table] += write.given
            self.progress("read", table, write.given)
        self._forget_from(table, number + 1)
        if unmet:
            broken = [rules[i] for i in sorted(unmet)]
            raise LoadError(
                [
                    Problem(self.load.origin(table), table, r.column, r.text, self.given[table], named)
                    for r in broken
                ]
            )

    def _judged(self, table: str, arriving: Iterable[Write]) -> Iterator[tuple[Write, Judged, str, Addition]]:
        """Each write with its verdict, its digest and what it adds, also where it is there already: what no
        row keeps is to be known of the whole table.
        """
        for write in arriving:
            judged = judge(table, write, self.rules[table])
            yield write, judged, write.digest(table), self.staging.addition(table, write, judged)

    def _stage_write(self, table: str, write: Write, digest: str, added: Addition) -> None:
        before = self.given[table]
        self.transactions.run(
            f"{write.origin}: table {table}, rows {before + 1:,} to {before + write.given:,}",
            lambda cursor: self.staging.write(cursor, table, write, digest, added),
        )

    def _forget_from(self, table: str, number: int) -> None:
        """The source is not what it was when the load was interrupted: what followed is staged anew."""
        stale = [n for n in self.ledger[table] if n >= number]
        if not stale:
            return
        self.transactions.run(
            f"{table}: stale rows cannot be removed",
            lambda cursor: self.staging.forget(cursor, table, min(stale)),
        )
        for later in self.order[self.order.index(table) :]:
            first = number if later == table else 0
            self.ledger[later] = {n: digest for n, digest in self.ledger[later].items() if n < first}

    def _judge(self, table: str) -> Callable[[Any], Tally]:
        def judged(cursor: Any) -> Tally:
            self.staging.judge(cursor, table)
            tally = self.staging.tallies(cursor)[table]
            if tally.given != self.given[table]:
                raise LoadInterrupted(f"{table}: {LOST}")
            return tally

        return judged

    def _refuse_failed(self) -> None:
        """Record a load of which a table failed; its rejected rows stay to be read.

        Raises:
            LoadError: naming the tables and what was wrong in them.
        """
        failed = {table: tally for table, tally in self.tallies.items() if not self._succeeded(table)}
        if not failed:
            return
        problems = [
            Problem(
                self.load.origin(table), table, None,
                f"fails: {tally.accepted:,} of {tally.given:,} rows can be loaded, {ENOUGH}% must be", 0,
            )
            for table, tally in failed.items()
        ]  # fmt: skip
        problems += self.transactions.run(
            "what was rejected cannot be read", lambda cursor: self.staging.problems(cursor, failed)
        )
        problems += [
            Problem(
                self.load.origin(table), table, None, "is not tried, because a table it refers to fails", 0
            )
            for table in self.order
            if table not in self.tallies
        ]
        note = ""
        if self.load_id is not None:
            self.transactions.run("the failed load cannot be recorded", self._record_failure)
            note = f"The rejected rows are in {SCHEMA}.ml_rejected_rows, load {self.load_id}."
        raise LoadError(problems, note)

    def _record_failure(self, cursor: Any) -> None:
        if self.load_id is not None and self.staging.exists(cursor):
            publish.keep_rejected(cursor, self.staging, self.load_id)
            load_records.finish(cursor, self.load_id, "failed", self._report(self.load_id, {}, ()))
            self.staging.drop(cursor)

    def _discard(self, cursor: Any) -> None:
        """Nothing of the load stays, unless it is recorded as failed."""
        if self.load_id is not None:
            cursor.execute(f"DELETE FROM {LOADS} WHERE load_id = {self.load_id} AND status = 'staging'")
        self.staging.drop(cursor)

    def _publish(self, cursor: Any) -> LoadReport:
        """Merge all tables and record the load, in one transaction."""
        if self.load_id is not None and not self.staging.exists(cursor):
            return self._published(cursor, self.load_id)
        if self.staging.tallies(cursor) != self.tallies:
            raise LoadInterrupted(LOST)
        load_id = self.load_id or load_records.register(cursor, self.load, self.fingerprint)
        publish.prepare(cursor)
        changed, touched = dict.fromkeys(self.order, 0), set[str]()
        if self.load.replaces is not None:
            changed |= publish.remove_superseded(cursor, self.staging, touched)
        for table in self.order:
            accepted = self.tallies[table].accepted
            changed[table] += publish.merge(cursor, self.staging, table, accepted, touched)
            self.progress("published", table, accepted)
        if self.load.replaces is not None:
            for table, removed in publish.remove_unused(cursor, self.staging, touched).items():
                changed[table] += removed
        why = self.staging.problems(cursor, [t for t in self.order if self.tallies[t].rejected])
        report = replace(self._report(load_id, changed, tuple(sorted(touched))), reasons=tuple(map(str, why)))
        if any(changed.values()) or not publish.rejects_as_before(cursor, self.staging, load_id):
            load_records.finish(cursor, load_id, "committed", report)
            publish.keep_rejected(cursor, self.staging, load_id)
        else:
            cursor.execute(f"DELETE FROM {LOADS} WHERE load_id = {load_id}")
            report = replace(report, load_id=None)
        self.staging.drop(cursor)
        return report if self.commit else replace(report, load_id=None)

    def _published(self, cursor: Any, load_id: int) -> LoadReport:
        """The report of an earlier try, which was committed although its connection was lost."""
        cursor.execute(f"SELECT changed::text, partitions::text FROM {LOADS} WHERE load_id = {load_id}")
        record = cursor.fetchone()
        if record is None:
            return self._report(None, dict.fromkeys(self.order, 0), ())
        return self._report(load_id, json.loads(record[0]), tuple(json.loads(record[1])))

    def _report(
        self, load_id: int | None, changed: dict[str, int], partitions: tuple[str, ...]
    ) -> LoadReport:
        return LoadReport(
            load_id=load_id,
            rows={table: tally.given for table, tally in self.tallies.items()},
            changed=changed,
            rejected={table: tally.rejected for table, tally in self.tallies.items()},
            batches={table: -(-tally.given // self.batch_size) for table, tally in self.tallies.items()},
            resumed=self.resumed,
            partitions=partitions,
        )


def _parents(table: str) -> set[str]:
    return {c.references.split(".")[0] for c in columns(TABLES[table]) if c.references}
