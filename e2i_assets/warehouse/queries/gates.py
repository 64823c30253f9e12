"""Evaluations of gates: which passed for a version, and in which runs one refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from e2i_assets.warehouse.records import gate_results

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class GateResult:
    """One evaluation of one gate; `version` is that of the artifact judged, None where none could be made."""

    asset: str
    partition: str
    version: str | None
    gate: str
    passed: bool
    reason: str | None
    details: Mapping[str, Any]
    run_id: str


def record_gate_results(warehouse: Warehouse, results: Sequence[GateResult]) -> None:
    """Write evaluations down."""
    warehouse.record(gate_results, [asdict(result) for result in results])


def passed_gates(warehouse: Warehouse, asset: str, partition: str, version: str, run_id: str) -> set[str]:
    """Gates that judged a version in a run and passed it each time."""
    judged = gate_results.c
    of_version = sa.select(judged.gate).where(
        judged.asset == asset,
        judged.partition == partition,
        judged.version == version,
        judged.run_id == run_id,
    )
    passed = of_version.group_by(judged.gate).having(sa.func.bool_and(judged.passed))
    with warehouse.engine.connect() as connection:
        return set(connection.scalars(passed))


@dataclass(frozen=True)
class Judgement:
    """What a gate said of a version, last."""

    gate: str
    passed: bool
    reason: str | None
    evaluated_at: dt.datetime


def judgements_of(
    warehouse: Warehouse, asset: str, partition: str, version: str, run_id: str | None = None
) -> list[Judgement]:
    """What each gate said last of a version, in a run or in any."""
    judged = gate_results.c
    query = (
        sa.select(judged.gate, judged.passed, judged.reason, judged.evaluated_at)
        .distinct(judged.gate)
        .where(judged.asset == asset, judged.partition == partition, judged.version == version)
        .order_by(judged.gate, judged.id.desc())
    )
    query = query if run_id is None else query.where(judged.run_id == run_id)
    with warehouse.engine.connect() as connection:
        return [Judgement(*row) for row in connection.execute(query)]


def refused_versions(warehouse: Warehouse, partition: str) -> set[tuple[str, str]]:
    """Asset and version of what gates judged, and no run passed: that was never published."""
    judged = gate_results.c
    of_run = (
        sa.select(judged.asset, judged.version, sa.func.bool_and(judged.passed).label("passed"))
        .where(judged.partition == partition, judged.version.is_not(None))
        .group_by(judged.asset, judged.version, judged.run_id)
        .subquery()
        .c
    )
    never = sa.select(of_run.asset, of_run.version).group_by(of_run.asset, of_run.version)
    with warehouse.engine.connect() as connection:
        return {
            (asset, version)
            for asset, version in connection.execute(never.having(~sa.func.bool_or(of_run.passed)))
        }


def refused_runs(warehouse: Warehouse, run_ids: Iterable[str]) -> set[str]:
    """Those of the runs in which a gate refused."""
    judged = gate_results.c
    refused = sa.select(judged.run_id).where(judged.run_id.in_(list(run_ids)), ~judged.passed).distinct()
    with warehouse.engine.connect() as connection:
        return set(connection.scalars(refused))
