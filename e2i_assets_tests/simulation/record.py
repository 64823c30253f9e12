"""What happened, read from the platform's own records: what is new in them since they were read last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import dagster as dg
import sqlalchemy as sa

from e2i_assets.warehouse.alert_records import monitoring_alerts, retraining_history
from e2i_assets.warehouse.monitoring_records import monitoring_runs
from e2i_assets.warehouse.queries.gates import refused_runs
from e2i_assets.warehouse.records import gate_results, load_batches
from e2i_assets.warehouse.registry_records import model_stage_history
from e2i_assets.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        text: what, without figures that depend on the data.
        more: the platform's own words for it, with figures.
    """

    text: str
    more: str = ""


@dataclass
class Record:
    """Reads the records of an installation, each entry once."""

    warehouse: Warehouse
    instance: dg.DagsterInstance
    _known: set[tuple[object, ...]] = field(default_factory=set)

    def news(self) -> list[Event]:
        """What happened since this was asked last, in the order of its kinds."""
        readers = (self._loads, self._runs, self._refusals, self._comparisons, self._stages, self._retrainings, self._alerts)  # fmt: skip
        return [event for reader in readers for event in self._new(reader)]

    def _new(self, reader: Callable[[], Iterator[tuple[tuple[object, ...], Event]]]) -> Iterator[Event]:
        for key, event in reader():
            if (reader.__name__, *key) not in self._known:
                self._known.add((reader.__name__, *key))
                yield event

    def _rows(self, table: sa.Table, *order: sa.ColumnElement) -> list[sa.RowMapping]:
        with self.warehouse.engine.connect() as connection:
            return list(connection.execute(sa.select(table).order_by(*order)).mappings())

    def _loads(self) -> Iterator[tuple[tuple[object, ...], Event]]:
        for row in self._rows(load_batches, load_batches.c.load_id):
            rejected = sum(row["rejected"].values())
            text = f"load {row['load_id']} of {', '.join(row['partitions'])} is {row['status']}"
            more = f"{sum(row['rows'].values()):,} rows, {rejected} of them rejected"
            yield (row["load_id"], row["status"]), Event(text, more)

    def _runs(self) -> Iterator[tuple[tuple[object, ...], Event]]:
        runs = self.instance.get_runs()[::-1]
        refused = refused_runs(self.warehouse, [run.run_id for run in runs])
        for run in runs:
            named = run.tags.get("dagster/run_key", "").rpartition("-watch-load-")
            of = f"watch of {named[0]}" if named[0] else named[2]
            again = ", launched again" if "dagster/parent_run_id" in run.tags else ""
            outcome = "refused by a gate" if run.run_id in refused else run.status.value.lower()
            yield (run.run_id, run.status.value), Event(f"run {of}{again}: {outcome}")

    def _refusals(self) -> Iterator[tuple[tuple[object, ...], Event]]:
        for row in self._rows(gate_results, gate_results.c.id):
            if not row["passed"]:
                text = f"{row['gate']} refuses {row['asset']} of {row['partition']}: {row['reason']}"
                yield (row["id"],), Event(text)

    def _comparisons(self) -> Iterator[tuple[tuple[object, ...], Event]]:
        for row in self._rows(monitoring_runs, monitoring_runs.c.id):
            text = f"{row['model_name']} {row['model_version']} against what came: {row['severity']}"
            yield (row["id"],), Event(text, row["summary"]["verdict"])

    def _stages(self) -> Iterator[tuple[tuple[object, ...], Event]]:
        of = model_stage_history.c
        for row in self._rows(model_stage_history, of.at, of.model_name, of.sequence):
            by = f" by {row['actor']}" + (f", approved by {row['approved_by']}" if row["approved_by"] else "")
            text = f"{row['model_name']} {row['version']} {row['event']} → {row['to_stage']}{by}"
            yield (row["model_name"], row["sequence"]), Event(text, row["note"] or "")

    def _retrainings(self) -> Iterator[tuple[tuple[object, ...], Event]]:
        for row in self._rows(retraining_history, retraining_history.c.id):
            text = f"retraining {row['id']} of {row['scope']} of {row['partition']} for {row['trigger_type']}: {row['status']}"
            yield (row["id"], row["status"]), Event(text, row["note"] or row["trigger_reason"])

    def _alerts(self) -> Iterator[tuple[tuple[object, ...], Event]]:
        for row in self._rows(monitoring_alerts, monitoring_alerts.c.id):
            text = f"alert {row['id']} [{row['severity']}] {row['kind']}: {row['subject']}, raised {row['raised']}"
            yield (row["id"], row["raised"]), Event(text, f"{row['message']} What to do: {row['next_step']}")
