"""The composition root: assets, jobs, sensors and resources meet here, and policy is applied once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from e2i_assets.assets.bento_bundle import build_bento_bundle
from e2i_assets.assets.cohort import cohort
from e2i_assets.assets.cross_validation import build_cross_validation
from e2i_assets.assets.deployment import build_deployment
from e2i_assets.assets.drift_report import build_drift_report
from e2i_assets.assets.effect_drift import build_effect_drift
from e2i_assets.assets.effect_estimate import build_effect_estimate
from e2i_assets.assets.effect_profile import build_effect_profile
from e2i_assets.assets.evaluation import build_evaluation
from e2i_assets.assets.features import features
from e2i_assets.assets.holdout_validation import build_holdout_validation
from e2i_assets.assets.kpi_report import kpi_report
from e2i_assets.assets.model_candidate import build_model_candidate
from e2i_assets.assets.model_card import build_model_card
from e2i_assets.assets.preprocessor import build_preprocessor
from e2i_assets.assets.qc_report import qc_report
from e2i_assets.assets.raw import build_raw_assets
from e2i_assets.assets.reference_profile import build_reference_profile
from e2i_assets.assets.registered_effect import build_registered_effect
from e2i_assets.assets.registered_model import build_registered_model
from e2i_assets.assets.splits import splits
from e2i_assets.assets.trained_model import build_trained_model
from e2i_assets.assets.tuned_params import build_tuned_params
from e2i_assets.assets.uplift_bundle import build_uplift_bundle
from e2i_assets.assets.uplift_card import build_uplift_card
from e2i_assets.assets.uplift_evaluation import build_uplift_evaluation
from e2i_assets.assets.uplift_holdout import build_uplift_holdout
from e2i_assets.assets.uplift_model import build_uplift_model
from e2i_assets.automation.alerts import build_alerts_sensor
from e2i_assets.automation.comparison import build_comparison_job
from e2i_assets.automation.freshness import build_freshness_sensor
from e2i_assets.automation.jobs import build_jobs
from e2i_assets.automation.retirement import build_archive_job, build_retirement_sensor
from e2i_assets.automation.retraining import (
    build_comparison_sensor,
    build_retraining_job,
    build_retraining_sensor,
)
from e2i_assets.automation.schedules import build_schedules
from e2i_assets.automation.sensors import build_new_data_sensor
from e2i_assets.automation.staleness import build_staleness_sensor
from e2i_assets.automation.watching import build_watching_sensor
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.scopes.files import load_scopes, wrong_scopes
from e2i_assets.modeling.scopes.scope import PredictiveScope, Scope
from e2i_assets.resources.io_manager import ArtifactIOManager
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.resources.traces import run_traces
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.resources.turns import partition_turn
from e2i_assets.resources.vault import SplitVault
from e2i_assets.settings import Settings, settings
from e2i_assets.warehouse.warehouse import Warehouse

OWNERS = ["team:brand-analytics"]
STAGES_OF_A_PREDICTION = (
    build_model_candidate,
    build_preprocessor,
    build_tuned_params,
    build_trained_model,
    build_evaluation,
    build_model_card,
    build_bento_bundle,
    build_registered_model,
    build_reference_profile,
    build_deployment,
    build_holdout_validation,
    build_drift_report,
)
STAGES_OF_AN_EFFECT = (
    build_effect_estimate,
    build_cross_validation,
    build_uplift_model,
    build_uplift_evaluation,
    build_uplift_card,
    build_uplift_bundle,
    build_registered_effect,
    build_effect_profile,
    build_deployment,
    build_uplift_holdout,
    build_effect_drift,
)


def build_defs(
    here: Settings | None = None,
    *,
    resource_overrides: Mapping[str, Any] | None = None,
    check_overrides: Sequence[dg.AssetChecksDefinition] | None = None,
    sensor_overrides: Sequence[dg.SensorDefinition] | None = None,
    schedule_overrides: Sequence[dg.ScheduleDefinition] | None = None,
    executor: dg.ExecutorDefinition = dg.in_process_executor,
) -> dg.Definitions:
    """A fresh set of definitions.

    Gates are part of the assets that they guard; no override takes one away.

    Args:
        here: the installation; the one of the environment when left out.
        resource_overrides: resource key to object, instead of ours of that key.
        check_overrides: checks that only report, instead of ours.
        sensor_overrides: sensors instead of all of `build_sensors`; empty for a location without automation.
        schedule_overrides: schedules instead of all of `build_schedules`.
        executor: how the stages of a run are run; a process per stage costs more than most stages do.
    """
    here = here or settings()
    scopes = load_scopes(here.config_dir / "scopes")
    for reason in wrong_scopes(here.config_dir / "scopes").values():
        # Its assets are not there; the partitions that list it say so when they run.
        dg.get_dagster_logger().error(f"A scope is left out: {reason}")
    return dg.Definitions(
        assets=[_with_policy(asset) for asset in build_assets(list(scopes.values()))],
        jobs=[
            *build_jobs(scopes),
            build_comparison_job(),
            build_archive_job(),
            build_retraining_job(),
        ],
        asset_checks=check_overrides or (),
        sensors=build_sensors() if sensor_overrides is None else sensor_overrides,
        schedules=build_schedules() if schedule_overrides is None else schedule_overrides,
        resources={**build_resources(here), **(resource_overrides or {})},
        executor=executor,
    )


def build_assets(scopes: list[Scope]) -> list[dg.AssetsDefinition]:
    """Every asset: the shared stages, then those of each scope."""
    shared = [*build_raw_assets(), qc_report, cohort, features, splits, kpi_report]
    return shared + [asset for scope in scopes for asset in build_stages(scope)]


def build_stages(scope: Scope) -> list[dg.AssetsDefinition]:
    """The stages of a scope: of an effect, or of a prediction.

    Raises:
        TypeError: nobody has said how such a scope is answered.
    """
    match scope:
        case CausalScope():
            return [build(scope) for build in STAGES_OF_AN_EFFECT]
        case PredictiveScope():
            return [build(scope) for build in STAGES_OF_A_PREDICTION]
    raise TypeError(f"no stages for a {type(scope).__name__}")


def build_sensors() -> list[dg.SensorDefinition]:
    """What happens without a person."""
    return [
        build_new_data_sensor(),
        build_watching_sensor(),
        build_freshness_sensor(),
        build_retirement_sensor(),
        build_alerts_sensor(),
        build_retraining_sensor(),
        build_comparison_sensor(),
        build_staleness_sensor(),
    ]


def build_resources(here: Settings) -> dict[str, Any]:
    """The doors to the outside; none opens before it is used."""
    warehouse = Warehouse(here)
    store = open_store(here)
    return {
        "settings": here,
        "warehouse": warehouse,
        "store": store,
        "vault": SplitVault(here, warehouse),
        "tracking": ExperimentTracking(here),
        "turn": partition_turn,
        "trace": run_traces(here),
        "io_manager": dg.IOManagerDefinition.hardcoded_io_manager(ArtifactIOManager(store, warehouse, here)),
    }


def _with_policy(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    return asset.map_asset_specs(lambda spec: spec.replace_attributes(owners=OWNERS))
