"""Definitions of cohorts, each once by its content, and every construction of one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from e2i_assets.cohorts.attrition import CohortResult
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.json_files import from_json, to_json
from e2i_assets.warehouse.records import cohort_definitions, cohort_eligibility_log, cohort_executions

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class CohortExecution:
    """One construction of a cohort."""

    run_id: str
    executed_at: dt.datetime
    result: CohortResult


def record_cohort(
    warehouse: Warehouse,
    partition: str,
    run_id: str,
    config: CohortConfig,
    result: CohortResult,
    raw_versions: Mapping[str, str],
) -> None:
    """Write down a construction with its attrition, and its definition where that is new."""
    definition = {
        "config_hash": config.config_hash,
        "cohort_id": config.cohort_id,
        "partition": partition,
        "version": config.version,
        "config_json": config.model_dump(mode="json"),
    }
    with warehouse.engine.begin() as connection:
        connection.execute(insert(cohort_definitions).values(definition).on_conflict_do_nothing())
    plain = to_json(result)
    execution = {
        "config_hash": config.config_hash,
        "partition": partition,
        "run_id": run_id,
        "total_count": result.total_count,
        "eligible_count": result.eligible_count,
        "result": plain,
        "raw_versions": dict(raw_versions),
    }
    warehouse.record(cohort_executions, [execution])
    log = [
        {"config_hash": config.config_hash, "run_id": run_id, "criterion_value": entry["value"]}
        | {name: fact for name, fact in entry.items() if name != "value"}
        for entry in plain["eligibility_log"]
    ]
    warehouse.record(cohort_eligibility_log, log)


def latest_cohort(warehouse: Warehouse, partition: str) -> CohortExecution | None:
    """The last construction of a partition's cohort, also one that a gate refused; None if none was."""
    e = cohort_executions.c
    query = sa.select(e.run_id, e.executed_at, e.result).where(e.partition == partition)
    with warehouse.engine.connect() as connection:
        row = connection.execute(query.order_by(e.id.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    return CohortExecution(row.run_id, row.executed_at, from_json(CohortResult, row.result))


def cohort_versions(warehouse: Warehouse, config: CohortConfig) -> list[dict[str, Any]]:
    """Stored definitions of the same brand and indication, newest first, with their last counts.

    Returns:
        Mappings of `config_hash`, `version`, `created_at`, `total_count` and `eligible_count`; the counts are
        None where the definition was never constructed.
    """
    d, e = cohort_definitions.c, cohort_executions.c
    last = sa.select(sa.func.max(e.id).label("id")).group_by(e.config_hash).subquery()
    executed = cohort_executions.join(last, e.id == last.c.id)
    query = (
        sa.select(d.config_hash, d.version, d.created_at, e.total_count, e.eligible_count)
        .select_from(cohort_definitions.outerjoin(executed, e.config_hash == d.config_hash))
        .where(d.config_json["brand"].astext == config.brand)
        .where(d.config_json["indication"].astext == config.indication)
        .order_by(d.created_at.desc())
    )
    with warehouse.engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def definitions_beginning(warehouse: Warehouse, beginning: str) -> dict[str, Any]:
    """Stored definitions as plain JSON, by hash, of those whose hash begins so."""
    d = cohort_definitions.c
    query = sa.select(d.config_hash, d.config_json).where(d.config_hash.startswith(beginning))
    with warehouse.engine.connect() as connection:
        return {row.config_hash: row.config_json for row in connection.execute(query)}
