"""Schedules, all off until somebody turns them on in Dagit (Automation): what goes by the calendar alone."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from e2i_assets.automation.jobs import ARCHIVE, KPIS, RETRAIN, WATCH, served_assets
from e2i_assets.automation.loaded import loaded_cohort_configs
from e2i_assets.modeling.scopes.files import load_scopes


def build_schedules() -> list[dg.ScheduleDefinition]:
    """Nightly watching and KPIs, weekly retraining, nightly archive; in UTC."""
    return [
        _of_partitions(
            "nightly_drift",
            "0 2 * * *",
            WATCH,
            "Every answering version against what came since it was trained.",
        ),
        _of_partitions(
            "nightly_kpis",
            "30 2 * * *",
            KPIS,
            "The indicators of every partition, from the warehouse as it is.",
        ),
        _of_job(
            "weekly_retraining",
            "0 3 * * 0",
            RETRAIN,
            "Asks that every version that answers be trained again, by the rules of config/retraining.yaml.",
        ),
        _of_job(
            "nightly_archive",
            "0 4 * * *",
            ARCHIVE,
            "Archives what left production 30 days ago, or as long as the rules say.",
        ),
    ]


def _of_job(name: str, cron: str, job: str, description: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name, cron_schedule=cron, job_name=job, execution_timezone="UTC", description=description
    )


def _of_partitions(name: str, cron: str, job: str, description: str) -> dg.ScheduleDefinition:
    """A run of each partition, once for each time of the calendar."""

    @dg.schedule(
        name=name,
        cron_schedule=cron,
        job_name=job,
        execution_timezone="UTC",
        required_resource_keys={"settings"},
        description=description,
    )
    def of_partitions(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        config = context.resources.settings.config_dir
        assert context.repository_def is not None
        keys = sorted(context.repository_def.asset_graph.executable_asset_keys)
        scopes = load_scopes(config / "scopes")
        for partition, cohort in loaded_cohort_configs(context, config).items():
            stages = served_assets(keys, cohort.scopes, scopes, job)
            if stages:
                yield dg.RunRequest(
                    run_key=f"{partition}-{name}-{context.scheduled_execution_time.date()}",
                    partition_key=partition,
                    asset_selection=stages,
                )

    return of_partitions
