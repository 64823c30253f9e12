"""Schedules are off until somebody turns them on, and ask for one run of each partition and time."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from e2i_assets.build import build_defs
from e2i_assets.partitions import cohort_configs
from e2i_assets.settings import Settings
from e2i_assets.stages.stage import FORCE
from e2i_assets_tests.conftest import CONFIG

SUNDAY = datetime(2026, 1, 4, 3, tzinfo=UTC)


def test_every_week_each_model_is_trained_anew_and_nothing_before_it() -> None:
    here = Settings(config=CONFIG)
    defs = build_defs(here)
    schedule = defs.resolve_schedule_def("weekly_retraining")
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=SUNDAY,
            resources={"settings": here},
            repository_def=defs.get_repository_def(),
        )
        requests = schedule.evaluate_tick(context).run_requests or []
    assert {request.partition_key for request in requests} == set(cohort_configs(CONFIG))
    for request in requests:
        stages = {key.to_user_string() for key in request.asset_selection or ()}
        assert stages >= {"conversion/model_candidate", "conversion/registered_model"}
        assert all(stage.startswith("conversion/") for stage in stages)
        assert not stages & {"conversion/deployment", "conversion/holdout_validation"}
        assert request.tags[FORCE] == "true"
        assert request.run_key == f"{request.partition_key}-weekly_retraining-2026-01-04"
