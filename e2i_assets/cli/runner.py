"""Run partitions in this process, one Dagster run each, and follow them on the terminal."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster_postgres.utils import DagsterPostgresException
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from e2i_assets.automation.jobs import REFRESH, served_assets
from e2i_assets.contracts import markdown
from e2i_assets.errors import E2IError
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.partitions import cohort_config, wrong_files
from e2i_assets.settings import Settings
from e2i_assets.stages.display import CODE_CHANGED, REUSED
from e2i_assets.stages.stage import FORCE
from e2i_assets.warehouse.failures import DriverError
from e2i_assets.warehouse.postgres import import_whole_driver

_EXAMPLES = (
    "For instance: cohort, 'cohort+' (and what is made of it), 'key:\"conversion/trained_model\"', "
    "group:splits; Dagit's graph shows the names."
)
POLL_SECONDS = 1.0
NARROW = 75
"""Columns below which the display does without bars."""


class NothingSelected(E2IError, ValueError):
    """A selection without an asset for a partition."""

    code = "nothing_selected"


class Interrupted(E2IError, RuntimeError):
    """The user stopped a run; the partitions after it are not begun."""

    code = "interrupted"
    next_step = "Run the same command again: it goes on with what is not done."
    exit_code = 130


@dataclass
class PartitionRun:
    """How the run of one partition went.

    Attributes:
        computed, reused: stages that were made, and stages whose published version is current.
        code_changed: the computed ones whose published version other code had made.
        failed_gates: gate and message of each gate that blocked.
        warnings: check and message of each that only warns, and did.
        error: why the run failed, or was not begun, where no gate blocked it.
        passed_over: why nothing was to be run.
    """

    partition: str
    run_id: str
    success: bool
    seconds: float
    computed: list[str] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    code_changed: list[str] = field(default_factory=list)
    gates_passed: int = 0
    failed_gates: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)
    error: str | None = None
    passed_over: str | None = None


def run_partitions(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    here: Settings,
    partitions: Sequence[str],
    *,
    select: str = "*",
    force: bool = False,
    show: bool = True,
    job: str = REFRESH,
) -> list[PartitionRun]:
    """Materialize the selected assets of each partition, one run after the other.

    A partition whose files are wrong is not run, and stops no other.

    Raises:
        NothingSelected: the selection is none, or selects no asset.
    """
    definition = defs.resolve_job_def(job)
    selected = selected_assets(defs, select)
    wrong = wrong_files(here.config_dir)
    scopes = load_scopes(here.config_dir / "scopes")
    runs = []
    with progress_of(show) as progress:
        for partition in partitions:
            if partition in wrong:
                runs.append(PartitionRun(partition, "", False, 0.0, error=wrong[partition]))
                continue
            served = cohort_config(here.config_dir, partition).scopes
            keys = served_assets(sorted(selected), served, scopes, job)
            if not keys:
                reason = f"nothing of {select!r} applies to it; its scopes are {', '.join(served)}"
                reason += ", and `e2i deploy run` is what deploys" if job == REFRESH else ""
                runs.append(PartitionRun(partition, "", True, 0.0, passed_over=reason))
                continue
            task = progress.add_task(partition, total=len(keys), stage="")
            with following(instance, progress, task, partition):
                runs.append(_run(definition, instance, partition, keys, force))
            if runs[-1].success:
                progress.update(task, completed=len(keys), stage="done")
            else:
                progress.update(task, stage="failed")
    return runs


def selected_assets(defs: dg.Definitions, select: str) -> set[dg.AssetKey]:
    """The assets of a selection in Dagster's syntax.

    Raises:
        NothingSelected: it is none, or selects no asset.
    """
    graph = defs.resolve_asset_graph()
    try:
        keys = dg.AssetSelection.from_string(select).resolve(graph)
    except (dg.DagsterError, NotImplementedError) as error:
        raise NothingSelected(f"--select {select!r} is no selection of our assets.", _EXAMPLES) from error
    if not keys:
        raise NothingSelected(f"--select {select!r} selects no asset.", _EXAMPLES)
    return set(keys)


def _run(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    partition: str,
    keys: Sequence[dg.AssetKey],
    force: bool,
) -> PartitionRun:
    started = time.perf_counter()
    result = job.execute_in_process(
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        partition_key=partition,
        asset_selection=list(keys),
        instance=instance,
        raise_on_error=False,
        tags={FORCE: "true"} if force else {},
    )
    if _was_interrupted(result):
        raise Interrupted(
            f"interrupted while {partition} ran. What was published stays; the same command goes on."
        )
    run = PartitionRun(partition, result.run_id, result.success, time.perf_counter() - started)
    for materialization in result.get_asset_materialization_events():
        made = materialization.materialization
        name = "/".join(made.asset_key.path)
        (run.reused if made.metadata[REUSED].value else run.computed).append(name)
        if CODE_CHANGED in made.metadata:
            run.code_changed.append(name)
    for evaluation in result.get_asset_check_evaluations():
        name = f"{'/'.join(evaluation.asset_key.path)}: {evaluation.check_name}"
        gate = evaluation.severity is dg.AssetCheckSeverity.ERROR
        if not evaluation.passed:
            not_passed = run.failed_gates if gate else run.warnings
            not_passed[name] = markdown.unescaped(str(evaluation.description))
        elif gate:
            run.gates_passed += 1
    if not result.success and not run.failed_gates:
        run.error = _error(result)
    return run


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Dagster turns Ctrl-C into the failure of the step that was running, or of the run before its first."""
    names = {dg.DagsterExecutionInterruptedError.__name__, KeyboardInterrupt.__name__}
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    errors += _of_the_run(result)
    return any(
        names & {error.cls_name, error.cause.cls_name if error.cause else None} for error in errors if error
    )


def _of_the_run(result: dg.ExecuteInProcessResult) -> list[Any]:
    """Errors that are no step's: of a resource, such as a turn that the run waited for."""
    events = result.all_events
    failed, unmade = dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RESOURCE_INIT_FAILURE
    return [event.engine_event_data.error for event in events if event.event_type is unmade] + [
        event.job_failure_data.error for event in events if event.event_type is failed
    ]


def _error(result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data
            asset = str(event.step_key).replace("__", "/")
            if failure.user_failure_data and failure.user_failure_data.description:
                return f"{asset}: {failure.user_failure_data.description}"
            return f"{asset}: {_message(failure.error) or 'failed'}"
    messages = [_message(error) for error in _of_the_run(result)]
    return next((message for message in messages if message), "the run failed before its first step")


def _message(error: Any) -> str:
    cause = error.cause or error if error else None
    # Our own errors speak for themselves; the module they come from is no news to a user.
    return re.sub(r"^e2i_assets\.[\w.]+: ", "", cause.message.strip()) if cause else ""


@contextmanager
def progress_of(show: bool) -> Iterator[Progress]:
    """The display of partitions that run; nothing where it is not shown."""
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        *([] if console.width < NARROW else [BarColumn(bar_width=20)]),
        MofNCompleteColumn(),
        TextColumn("{task.fields[stage]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not show) as progress:
        yield progress


def last_line(instance: dg.DagsterInstance, run_id: str) -> str:
    """What a run logged last; nothing where it was an event of Dagster."""
    newest = instance.get_records_for_run(run_id, limit=1, ascending=False).records
    entry = newest[0].event_log_entry if newest else None
    return "" if entry is None or entry.is_dagster_event else entry.user_message


@contextmanager
def following(instance: dg.DagsterInstance, progress: Progress, task: Any, partition: str) -> Iterator[None]:
    """Show the stage that is running, read from the event log as Dagit does."""
    if progress.disable:
        yield
        return
    import_whole_driver()
    stop = threading.Event()
    begun = time.time()

    def follow() -> None:
        # The run itself tells of a database that is gone.
        with suppress(DriverError, DagsterPostgresException):
            while not stop.wait(POLL_SECONDS):
                poll()

    def poll() -> None:
        runs = instance.get_runs(dg.RunsFilter(tags={"dagster/partition": partition}), limit=1)
        if not runs:
            return
        of_run = instance.get_run_stats(runs[0].run_id)
        if (of_run.launch_time or begun) < begun - 1:
            return
        stats = instance.get_run_step_stats(runs[0].run_id)
        running = [s.step_key.replace("__", "/") for s in stats if s.start_time and not s.end_time]
        stage = running[-1] if running else "" if stats else last_line(instance, runs[0].run_id)
        if progress.console.width < NARROW:
            stage = stage.rpartition("/")[2]
        elif stage.endswith("tuned_params"):
            stage = f"{stage}  {last_line(instance, runs[0].run_id)}"
        progress.update(task, completed=of_run.materializations, stage=stage)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
