"""What was trained and bundled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy.dialects.postgresql import insert

from e2i_assets.warehouse.records import bentoml_services, training_runs

if TYPE_CHECKING:
    from e2i_assets.modeling.training import TrainedModel
    from e2i_assets.serving import Bundle
    from e2i_assets.warehouse.warehouse import Warehouse


def record_training(
    warehouse: Warehouse,
    partition: str,
    scope: str,
    run_id: str,
    trained: TrainedModel,
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
        connection.execute(insert(bentoml_services).values(row).on_conflict_do_nothing())
