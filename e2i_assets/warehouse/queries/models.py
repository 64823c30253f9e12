"""What was trained and bundled."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from e2i_assets.modeling.selection.candidate import Record
from e2i_assets.warehouse.records import bento_bundles, gate_results, training_runs

if TYPE_CHECKING:
    from e2i_assets.modeling.training.model import TrainedModel
    from e2i_assets.modeling.uplift.model import UpliftModel
    from e2i_assets.serving import Bundle
    from e2i_assets.warehouse.warehouse import Warehouse

SUCCESS_CRITERIA = "success_criteria"
"""The gate that judges an evaluation."""


def record_training(
    warehouse: Warehouse,
    partition: str,
    scope: str,
    run_id: str,
    trained: TrainedModel | UpliftModel,
    *,
    data_versions: Mapping[str, str],
    mlflow_run_id: str,
) -> None:
    """Write down a trained model; sealed splits open for those that are here alone."""
    row = {
        "partition": partition,
        "scope": scope,
        "algorithm": trained.algorithm,
        "model_fingerprint": trained.fingerprint,
        "hyperparameters": dict(trained.params),
        "training_samples": trained.n_train,
        "validation_samples": trained.n_validation,
        "metrics": dict(trained.metrics),
        "data_versions": dict(data_versions),
        "mlflow_run_id": mlflow_run_id,
        "run_id": run_id,
    }
    warehouse.record(training_runs, [row])


@dataclass(frozen=True)
class Training:
    """The record of a trained model."""

    algorithm: str
    training_samples: int
    validation_samples: int
    metrics: Mapping[str, float]
    data_versions: Mapping[str, str]
    mlflow_run_id: str


def training_of(warehouse: Warehouse, partition: str, scope: str, model_fingerprint: str) -> Training | None:
    """How a model was trained last; None where it is not on record."""
    trained = training_runs.c
    query = (
        sa.select(*(trained[field.name] for field in fields(Training)))
        .where(
            trained.partition == partition,
            trained.scope == scope,
            trained.model_fingerprint == model_fingerprint,
        )
        .order_by(trained.id.desc())
        .limit(1)
    )
    with warehouse.engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else Training(*row)


def mlflow_runs(warehouse: Warehouse, partition: str) -> set[str]:
    """MLflow runs of all models that were trained for a partition."""
    trained = training_runs.c
    query = sa.select(trained.mlflow_run_id).where(
        trained.partition == partition, trained.mlflow_run_id.is_not(None)
    )
    with warehouse.engine.connect() as connection:
        return set(connection.scalars(query))


def bundle_tags(warehouse: Warehouse, partition: str) -> set[str]:
    """Tags of all bundles that were built for a partition."""
    built = bento_bundles.c
    with warehouse.engine.connect() as connection:
        return set(connection.scalars(sa.select(built.bento_tag).where(built.partition == partition)))


def record_bundle(
    warehouse: Warehouse, partition: str, scope: str, run_id: str, bundle: Bundle, model_fingerprint: str
) -> None:
    """Write down a bundle that was built; one that is on record stays as it is."""
    row = {
        "service_name": bundle.service_name,
        "bento_tag": bundle.tag,
        "partition": partition,
        "scope": scope,
        "model_fingerprint": model_fingerprint,
        "status": "built",
        "run_id": run_id,
    }
    with warehouse.engine.begin() as connection:
        connection.execute(insert(bento_bundles).values(row).on_conflict_do_nothing())


def evaluations_before(
    warehouse: Warehouse, moment: dt.datetime | None, scopes: Sequence[str]
) -> dict[str, Record]:
    """How often models of these scopes met their success criteria, by algorithm.

    Args:
        moment: only evaluations before it count, so that the order of partitions changes no result; none do
            where it is None.

    Returns:
        A model counts once, by its last evaluation before the moment.
    """
    if moment is None:
        return {}
    judged, trained = gate_results.c, training_runs.c
    # An evaluation is of the model that its partition and scope had last.
    of_model = (
        sa.select(judged.id, judged.evaluated_at, judged.passed, trained.algorithm, trained.model_fingerprint)
        .distinct(judged.id)
        .join(
            training_runs,
            sa.and_(
                judged.asset == trained.scope + "/evaluation",
                judged.partition == trained.partition,
                trained.completed_at <= judged.evaluated_at,
            ),
        )
        .where(judged.gate == SUCCESS_CRITERIA, judged.evaluated_at < moment, trained.scope.in_(list(scopes)))
        .order_by(judged.id, trained.completed_at.desc())
        .subquery()
    )
    last = (
        sa.select(of_model.c.algorithm, of_model.c.passed)
        .distinct(of_model.c.model_fingerprint)
        .order_by(of_model.c.model_fingerprint, of_model.c.evaluated_at.desc())
        .subquery()
    )
    met = sa.func.count().filter(last.c.passed)
    query = sa.select(last.c.algorithm, met, sa.func.count()).group_by(last.c.algorithm)
    with warehouse.engine.connect() as connection:
        rows = connection.execute(query.order_by(last.c.algorithm))
        return {algorithm: Record(passed, evaluated) for algorithm, passed, evaluated in rows}
