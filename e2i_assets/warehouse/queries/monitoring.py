"""Profiles of registered versions, and what was found when they were compared with what came since."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from e2i_assets.warehouse.monitoring_records import (
    drift_history,
    monitoring_runs,
    performance_metrics,
    reference_profiles,
)
from e2i_assets.warehouse.records import split_assignments
from e2i_assets.warehouse.registry_records import prediction_log

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse

MOST_PREDICTIONS = 200_000
"""Answers that are looked at, the newest; what more of them would tell is less than what matters."""


def record_profile(
    warehouse: Warehouse, model_name: str, version: int, profile: Mapping[str, Any], run_id: str
) -> None:
    """Keep a version's profile; the same again replaces it."""
    row = {"model_name": model_name, "model_version": version, "profile": dict(profile), "run_id": run_id}
    statement = insert(reference_profiles).values(**row, created_at=sa.func.clock_timestamp())
    again = {name: statement.excluded[name] for name in ("profile", "run_id", "created_at")}
    with warehouse.engine.begin() as connection:
        connection.execute(
            statement.on_conflict_do_update(index_elements=["model_name", "model_version"], set_=again)
        )


def has_profile(warehouse: Warehouse, model_name: str, version: int) -> bool:
    """Whether a version has a profile."""
    of = reference_profiles.c
    query = sa.select(of.model_name).where(of.model_name == model_name, of.model_version == version)
    with warehouse.engine.connect() as connection:
        return connection.execute(query).first() is not None


def profile_of(warehouse: Warehouse, model_name: str, version: int) -> Mapping[str, Any] | None:
    """A version's profile; None where none was kept."""
    of = reference_profiles.c
    query = sa.select(of.profile).where(of.model_name == model_name, of.model_version == version)
    with warehouse.engine.connect() as connection:
        profile: Mapping[str, Any] | None = connection.execute(query).scalar()
        return profile


def compared_versions(warehouse: Warehouse) -> dict[tuple[str, int], str | None]:
    """Name and number of every version with a profile, to the version of the features that it was compared
    with last; None where it never was.
    """
    of, run = reference_profiles.c, monitoring_runs.c
    newest = (
        sa.select(run.model_name, run.model_version, run.data_version)
        .distinct(run.model_name, run.model_version)
        .order_by(run.model_name, run.model_version, run.id.desc())
        .subquery()
    )
    same = (of.model_name == newest.c.model_name) & (of.model_version == newest.c.model_version)
    query = sa.select(of.model_name, of.model_version, newest.c.data_version)
    with warehouse.engine.connect() as connection:
        rows = connection.execute(query.select_from(reference_profiles.outerjoin(newest, same)))
        return {(row[0], row[1]): row[2] for row in rows}


def patients_seen(warehouse: Warehouse, partition: str, until: dt.datetime) -> set[str]:
    """Patients who had a split before a moment: what was trained then was trained or judged on them."""
    of = split_assignments.c
    query = sa.select(of.patient_id).where(of.partition == partition, of.assigned_at <= until)
    with warehouse.engine.connect() as connection:
        return set(connection.execute(query).scalars())


def answers_counted(warehouse: Warehouse, model_name: str, version: int) -> int:
    """How many predictions a version has answered."""
    of = prediction_log.c
    query = sa.select(sa.func.count()).where(of.model_name == model_name, of.version == str(version))
    with warehouse.engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def answers_of(warehouse: Warehouse, model_name: str, version: int) -> pd.DataFrame:
    """What a version answered as the one that answers, the newest last.

    Columns `predicted_at`, `patient_journey_id`, `prediction`, `prediction_class`, `probabilities`,
    `features`.
    """
    of = prediction_log.c
    names = (
        "predicted_at", "patient_journey_id", "prediction", "prediction_class", "probabilities", "features"
    )  # fmt: skip
    wanted = [of[name] for name in names]
    query = (
        sa.select(*wanted)
        .where(of.model_name == model_name, of.version == str(version))
        .order_by(of.predicted_at.desc(), of.request_id, of.row)
        .limit(MOST_PREDICTIONS)
    )
    with warehouse.engine.connect() as connection:
        rows = connection.execute(query).all()
    return pd.DataFrame([tuple(row) for row in rows[::-1]], columns=[column.name for column in wanted])


def record_monitoring(
    warehouse: Warehouse,
    run: Mapping[str, Any],
    drift: Sequence[Mapping[str, Any]],
    performance: Sequence[Mapping[str, Any]],
) -> None:
    """Write down one comparison with all that was found; once for a run of Dagster.

    Args:
        run: columns of `ml_monitoring_runs` but `id` and `measured_at`.
        drift: columns of `ml_drift_history` beyond those that it shares with the run.
        performance: columns of `ml_performance_metrics`, likewise.
    """
    common = {name: run[name] for name in ("partition", "scope", "model_name", "model_version")}
    same = [monitoring_runs.c[name] == run[name] for name in ("run_id", *common)]
    with warehouse.engine.begin() as connection:
        if connection.execute(sa.select(monitoring_runs.c.id).where(*same)).first():
            return
        moment = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        made = sa.insert(monitoring_runs).values(**run, measured_at=moment).returning(monitoring_runs.c.id)
        common |= {"monitoring_run_id": connection.execute(made).scalar_one(), "measured_at": moment}
        for table, rows in ((drift_history, drift), (performance_metrics, performance)):
            if rows:
                connection.execute(sa.insert(table), [{**common, **row} for row in rows])


def monitoring_history(
    warehouse: Warehouse,
    *,
    model_name: str | None = None,
    version: int | None = None,
    partition: str | None = None,
    scope: str | None = None,
    after: int = 0,
    most: int = 100,
) -> list[dict[str, Any]]:
    """The newest comparisons, the last first: of a version, of a partition, or all; those with a number
    above `after`.
    """
    of = monitoring_runs.c
    wanted = {
        of.model_name: model_name, of.model_version: version, of.partition: partition, of.scope: scope
    }  # fmt: skip
    asked = [column == value for column, value in wanted.items() if value is not None]
    query = sa.select(monitoring_runs).where(of.id > after, *asked)
    return _records(warehouse, query.order_by(of.id.desc()).limit(most))


def drift_of(warehouse: Warehouse, monitoring_run_id: int) -> list[dict[str, Any]]:
    """What one comparison found of each column, the worst first."""
    of = drift_history.c
    query = sa.select(drift_history).where(of.monitoring_run_id == monitoring_run_id)
    return _records(warehouse, query.order_by(of.drift_score.desc(), of.id))


def performance_of(warehouse: Warehouse, monitoring_run_id: int) -> list[dict[str, Any]]:
    """The figures of one comparison."""
    of = performance_metrics.c
    query = sa.select(performance_metrics).where(of.monitoring_run_id == monitoring_run_id)
    return _records(warehouse, query.order_by(of.id))


def _records(warehouse: Warehouse, query: sa.Select) -> list[dict[str, Any]]:
    with warehouse.engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
