"""Schedules, all off until somebody turns them on in Dagit (Automation): what goes by the calendar alone."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from e2i_assets.automation.jobs import ARCHIVE, REFRESH, WATCH, served_assets
from e2i_assets.automation.loaded import loaded_cohort_configs
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.stages.stage import FORCE


def build_schedules() -> list[dg.ScheduleDefinition]:
    """Nightly watching, weekly training of every model, nightly archive; in UTC."""
    return [
        _of_partitions(
            "nightly_drift",
            "0 2 * * *",
            WATCH,
            "Every answering version against what came since it was trained.",
        ),
        _of_partitions(
            "weekly_retraining",
            "0 3 * * 0",
            REFRESH,
            "Every model anew from the data that are published, up to the registry and its gates.",
        ),
        dg.ScheduleDefinition(
            name="nightly_archive",
            cron_schedule="0 4 * * *",
            job_name=ARCHIVE,
            execution_timezone="UTC",
            description="Archives what left production 30 days ago, or as long as the rules say.",
        ),
    ]


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
            served = served_assets(keys, cohort.scopes, scopes, job)
            # Shared stages stand: what is trained again is trained on what was published last.
            stages = [key for key in served if key.path[0] in scopes]
            if stages:
                yield dg.RunRequest(
                    run_key=f"{partition}-{name}-{context.scheduled_execution_time.date()}",
                    partition_key=partition,
                    asset_selection=stages,
                    tags={FORCE: "true"} if job == REFRESH else {},
                )

    return of_partitions
