"""What is due is asked for, what was approved is carried out, and what came of it written down."""

import datetime as dt
from collections.abc import Collection, Iterator

import dagster as dg

from e2i_assets.automation.comparison import COMPARISON, JOB, RETRAINING, outcome_alert
from e2i_assets.automation.due import ask_for_due, ask_on_schedule
from e2i_assets.automation.jobs import REFRESH, RETRAIN, job_of
from e2i_assets.automation.loaded import loaded_cohort_configs
from e2i_assets.automation.unreadable import alerting
from e2i_assets.monitoring.retraining import MAX_RUNS, Progress, Retraining, Run, next_of
from e2i_assets.partitions import cohort_files
from e2i_assets.stages.stage import FORCE
from e2i_assets.warehouse.queries.gates import refused_runs
from e2i_assets.warehouse.queries.retraining import ended, retrainings, started
from e2i_assets.warehouse.warehouse import Warehouse


def build_retraining_sensor() -> dg.SensorDefinition:
    """The sensor over `ml_retraining_history`."""

    @dg.sensor(
        job_name=REFRESH,
        name="retraining_sensor",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"settings", "warehouse", "store"},
        description="Asks for retrainings that are due, requests the runs of those that were approved, and "
        "says what came of them.",
    )
    @alerting
    def retraining_sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        resources, warehouse = context.resources, context.resources.warehouse
        judged = ask_for_due(
            resources.settings, warehouse, resources.store, int(context.cursor or 0), dt.datetime.now(dt.UTC)
        )
        known = loaded_cohort_configs(context, resources.settings.config_dir)
        approved = _approved(warehouse)
        requests = [
            request
            for one in approved
            if (request := _carried_on(context, warehouse, one, known)) is not None
        ]
        yield from requests
        context.update_cursor(str(judged))
        if not requests:
            yield dg.SkipReason(f"{len(approved)} retrainings under way" if approved else "none is approved")

    return retraining_sensor


def build_retraining_job() -> dg.JobDefinition:
    """The job of a schedule; `retraining_sensor` goes on with what it asked for."""

    @dg.op(required_resource_keys={"settings", "warehouse", "store"})
    def ask(context: dg.OpExecutionContext) -> None:
        resources = context.resources
        now = dt.datetime.now(dt.UTC)
        for decided in ask_on_schedule(resources.settings, resources.warehouse, resources.store, now):
            context.log.info(decided)

    @dg.job(
        name=RETRAIN,
        description="Asks for a retraining of every version that answers, where the rules allow.",
    )
    def ask_for_retraining() -> None:
        ask()

    return ask_for_retraining


def build_comparison_sensor() -> dg.SensorDefinition:
    """The sensor over retrainings whose run has succeeded; a sensor asks for runs of one job."""

    @dg.sensor(
        job_name=JOB,
        name="retraining_comparison_sensor",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"warehouse"},
        description="Has retrained versions compared with those before them, on the same rows.",
    )
    @alerting
    def retraining_comparison_sensor(
        context: dg.SensorEvaluationContext,
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        warehouse = context.resources.warehouse
        steps = {
            one.id: next_of(_progress(context.instance, warehouse, one.id)) for one in _approved(warehouse)
        }
        trained = {number: step for number, step in steps.items() if step.action == "compare"}
        for number, step in trained.items():
            yield dg.RunRequest(
                run_key=f"retraining-{number}-comparison-{step.number}", tags={COMPARISON: str(number)}
            )
        if not trained:
            yield dg.SkipReason("no retrained version waits for its comparison")

    return retraining_comparison_sensor


def _approved(warehouse: Warehouse) -> list[Retraining]:
    return [one for one in retrainings(warehouse, only_open=True, limit=10_000) if one.status != "requested"]


def _carried_on(
    context: dg.SensorEvaluationContext,
    warehouse: Warehouse,
    retraining: Retraining,
    known: Collection[str],
) -> dg.RunRequest | None:
    """The next run of a retraining, if one is to be asked for; what ends here is written down."""
    if retraining.partition not in known:
        if retraining.partition in cohort_files(context.resources.settings.config_dir):
            context.log.error(
                f"{retraining.title} waits: its cohort file is wrong, or newer than what is loaded"
            )
        else:
            _give_up(warehouse, retraining, "failed", "its cohort file is not there any more")
        return None
    progress = _progress(context.instance, warehouse, retraining.id)
    if progress.runs:
        started(warehouse, retraining.id, len(progress.runs), progress.runs[-1].run_id)
    step = next_of(progress)
    if step.action == "run":
        return _run_of(context, retraining, step.number)
    if step.action == "refused":
        _give_up(warehouse, retraining, "refused", "a gate refused it")
    elif step.action == "failed":
        _give_up(warehouse, retraining, "failed", f"{MAX_RUNS} of its runs died")
    return None


def _give_up(warehouse: Warehouse, retraining: Retraining, status: str, reason: str) -> None:
    ended(warehouse, retraining.id, status, outcome_alert(retraining, status, reason, "medium"), note=reason)


def _run_of(context: dg.SensorEvaluationContext, retraining: Retraining, number: int) -> dg.RunRequest:
    """All stages of the scope anew, up to the registry; the data are those that were published last."""
    assert context.repository_def is not None
    keys = context.repository_def.asset_graph.executable_asset_keys
    stages = sorted(key for key in keys if key.path[0] == retraining.scope and job_of(key) == REFRESH)
    return dg.RunRequest(
        # Dagster never runs the same key twice: a tick repeated after a crash starts nothing new.
        run_key=f"retraining-{retraining.id}-attempt-{number}",
        partition_key=retraining.partition,
        asset_selection=stages,
        tags={RETRAINING: str(retraining.id), FORCE: "true"},
    )


def _progress(instance: dg.DagsterInstance, warehouse: Warehouse, number: int) -> Progress:
    runs, comparisons = (
        instance.get_runs(dg.RunsFilter(tags={tag: str(number)}))[::-1] for tag in (RETRAINING, COMPARISON)
    )
    refused = refused_runs(warehouse, [run.run_id for run in runs])

    def outcome(run: dg.DagsterRun) -> Run:
        if not run.is_finished:
            return Run(run.run_id, "in flight")
        if run.is_success:
            return Run(run.run_id, "succeeded")
        return Run(run.run_id, "refused" if run.run_id in refused else "died")

    return Progress([outcome(run) for run in runs], [outcome(run) for run in comparisons])
