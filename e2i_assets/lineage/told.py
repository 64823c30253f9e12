"""A lineage, and a reproduction, as what OpenLineage is told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping

from e2i_assets.assets.attribute_names import LOAD
from e2i_assets.contracts.base import columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.lineage.reproduce import Reproduction
from e2i_assets.lineage.trace import Lineage, Step, asset_of
from e2i_assets.resources.openlineage import Data, Work
from e2i_assets.warehouse.queries.loads import LoadBatch


def works_of(lineage: Lineage) -> Iterator[Work]:
    """Loads, stages and releases of a lineage; of a step whose making is not on record nothing is told."""
    partition = lineage.version.partition
    by_version = {(step.asset, step.version): step for step in lineage.steps}
    for load in lineage.loads:
        yield _load(load)
    for step in lineage.steps:
        if step.made_at is None or step.run_id is None:
            continue
        inputs = [
            _data(partition, by_version.get((made.asset, made.version)), made.asset, made.version)
            for made in step.inputs
        ]
        yield Work(
            job=f"{step.asset}/{partition}",
            key=step.run_id,
            started=step.made_at,
            ended=step.made_at,
            inputs=inputs or _warehouse(step),
            outputs=[_data(partition, step, step.asset, step.version)],
            gates=gates_of(step),
            parent=step.run_id,
        )
    registered = f"{lineage.version.scope}/registered_model"
    last = lineage.step(registered)
    for release in lineage.releases:
        service = Data(f"service/{release.service_name}", release.release)
        failed = release.reason or "it never answered" if release.status == "failed" else None
        yield Work(
            job=f"release/{release.service_name}",
            key=str(release.id),
            started=release.created_at,
            ended=release.answered_at or release.ended_at,
            inputs=[_data(partition, last, registered, last.version if last else None)],
            outputs=[service],
            failed=failed,
        )


def work_of(done: Reproduction, started: dt.datetime, ended: dt.datetime) -> Work:
    """A reproduction: what it read, and whether each figure was the same."""
    version = done.version
    verdicts = {"model": done.same_model} | {name: figure.same for name, figure in done.metrics.items()}
    return Work(
        job=f"reproduce/{version.model_name}",
        key=f"{version.version} {started.isoformat()}",
        started=started,
        ended=ended,
        inputs=[
            Data(f"{asset_of(version.scope, name)}/{version.partition}", of)
            for name, of in done.made_of.items()
        ],
        outputs=[Data(f"reproduced/{version.model_name}", done.again[:16])],
        gates=verdicts,
        failed=None if done.equal else "the model or its figures are not the same",
    )


def gates_of(step: Step) -> Mapping[str, bool]:
    """Each gate that judged a step, and whether it passed."""
    return {gate.gate: gate.passed for gate in step.gates}


def table_columns(asset: str) -> Mapping[str, str]:
    """Columns of a raw table, as its contract has them; none of anything else."""
    _, raw, table = asset.rpartition("raw/")
    return {c.name: str(c.dtype) for c in columns(TABLES[table])} if raw and table in TABLES else {}


def _data(partition: str, step: Step | None, asset: str, version: str | None) -> Data:
    gates = gates_of(step) if step else {}
    return Data(f"{asset}/{partition}", version, table_columns(asset), gates=gates)


def _load(load: LoadBatch) -> Work:
    files = sorted(set(load.files.values()) | {load.source})
    return Work(
        job="load",
        key=str(load.load_id),
        started=load.started_at,
        ended=load.committed_at,
        inputs=[Data(f"source/{name}") for name in files],
        outputs=[
            Data(f"warehouse/{table}", str(load.load_id), table_columns(f"raw/{table}"), rows)
            for table, rows in load.rows.items()
        ],
    )


def _warehouse(step: Step) -> list[Data]:
    """What a raw table was extracted from: its table of the warehouse, as of its last load."""
    load = step.facts.get(LOAD)
    return [] if load is None else [Data(f"warehouse/{step.asset.removeprefix('raw/')}", str(load))]
