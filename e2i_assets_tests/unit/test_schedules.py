"""Schedules are off until somebody turns them on, and ask for one run of each partition and time."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from e2i_assets.automation.jobs import ARCHIVE, RETRAIN, WATCH
from e2i_assets.build import build_defs
from e2i_assets.partitions import cohort_configs
from e2i_assets.settings import Settings
from e2i_assets_tests.conftest import CONFIG

NIGHT = datetime(2026, 1, 4, 2, tzinfo=UTC)


def test_every_night_what_answers_is_watched() -> None:
    here = Settings(config=CONFIG)
    defs = build_defs(here)
    schedule = defs.resolve_schedule_def("nightly_drift")
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=NIGHT,
            resources={"settings": here},
            repository_def=defs.get_repository_def(),
        )
        requests = schedule.evaluate_tick(context).run_requests or []
    assert {request.partition_key for request in requests} == set(cohort_configs(CONFIG))
    for request in requests:
        assert [key.to_user_string() for key in request.asset_selection or ()] == ["conversion/drift_report"]
        assert request.run_key == f"{request.partition_key}-nightly_drift-2026-01-04"


def test_no_schedule_makes_a_model_itself() -> None:
    defs = build_defs(Settings(config=CONFIG))
    jobs = {
        name: defs.resolve_schedule_def(name).job_name
        for name in ("nightly_drift", "weekly_retraining", "nightly_archive")
    }
    assert jobs == {
        "nightly_drift": WATCH, "weekly_retraining": RETRAIN, "nightly_archive": ARCHIVE,
    }  # fmt: skip
