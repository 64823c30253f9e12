"""Whether a load has been answered: by a run of every stage that ended with publications or a refusal."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import dagster as dg

from e2i_assets.clocks import APART, is_recent
from e2i_assets.warehouse.queries.gates import refused_runs
from e2i_assets.warehouse.warehouse import Warehouse

LOAD = "e2i/load"
"""Run tag: the load that the run is an attempt to answer."""
PARTITION = "dagster/partition"
MAX_ATTEMPTS = 5
"""Runs for one load that die before somebody has to look."""
LAUNCHED = ".dagster/grpc_info"
"""Tag of a run that Dagster's daemon or web server launched, and whose process Dagster watches. A command's
own run that was killed stays unfinished for ever and says nothing."""
FINISHED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
UNFINISHED = [status for status in dg.DagsterRunStatus if status not in FINISHED]


@dataclass(frozen=True)
class Attempt:
    """A run of a partition and how it ended; `answered` is published, reused or refused by a gate.

    Attributes:
        task: what it is an attempt at, as its tag says.
        whole: whether it covers every stage.
    """

    run_id: str
    outcome: Literal["in flight", "answered", "died"]
    created: datetime
    ended: datetime | None
    task: str | None
    whole: bool


@dataclass(frozen=True)
class Step:
    """What is to be done: request attempt `number`, nothing yet, or nothing any more (`alert`)."""

    number: int | None
    alert: bool = False


def next_step(load: int, extracted_by: str | None, attempts: Sequence[Attempt], now: datetime) -> Step | None:
    """What to do for a partition's newest load; None when it has been answered.

    Args:
        extracted_by: run that extracted this load's raw tables; None when they are of an earlier load.
        attempts: the runs of the partition.
        now: with time zone.
    """
    if extracted_by is not None:
        since = min((a.created for a in attempts if a.run_id == extracted_by), default=None)
        later = [a for a in attempts if since is None or a.created >= since]
        if any(a.whole and a.outcome == "answered" for a in later):
            return None
    return next_attempt(str(load), attempts, now)


def next_attempt(task: str, attempts: Sequence[Attempt], now: datetime) -> Step:
    """Which attempt at what is not answered comes next.

    Args:
        attempts: the runs of the partition, at this and at other things.
        now: with time zone. Attempt n + 1 waits 2^n minutes after the end of attempt n.
    """
    mine = [attempt for attempt in attempts if attempt.task == task]
    if any(attempt.outcome == "in flight" for attempt in attempts):
        return Step(None)
    if len(mine) >= MAX_ATTEMPTS:
        return Step(None, alert=True)
    ended = max((attempt.ended for attempt in mine if attempt.ended), default=None)
    if ended is not None and is_recent(ended, timedelta(minutes=2 ** len(mine)), now):
        return Step(None)
    return Step(len(mine) + 1)


def attempts_of(
    instance: dg.DagsterInstance,
    warehouse: Warehouse,
    stages: Mapping[str, Collection[dg.AssetKey]],
    since: datetime,
) -> dict[str, list[Attempt]]:
    """The runs of each partition that are under way, or were later than `since`.

    A run that answers a load ends after the load was committed, whenever it was begun.

    Args:
        stages: partition to every asset that applies to it; a run of fewer is not `whole`.
    """
    tags = {PARTITION: list(stages)}
    records = watched_records(
        instance,
        dg.RunsFilter(tags=tags, updated_after=since - APART),
        dg.RunsFilter(tags=tags, statuses=UNFINISHED),
    )
    refused = refused_runs(warehouse, [record.dagster_run.run_id for record in records])
    attempts = defaultdict(list)
    for record in records:
        run = record.dagster_run
        selected, partition = run.asset_selection, run.tags[PARTITION]
        if selected is not None and selected.isdisjoint(stages[partition]):
            continue  # it watches, or deploys
        whole = selected is None or set(stages[partition]) <= selected
        attempts[partition].append(
            attempt_of(record, LOAD, answered=run.is_success or run.run_id in refused, whole=whole)
        )
    return attempts


def watched_records(instance: dg.DagsterInstance, *filters: dg.RunsFilter) -> list[dg.RunRecord]:
    """Runs that fit any of the filters, of the unfinished ones those whose process Dagster watches."""
    records = {record.dagster_run.run_id: record for of in filters for record in instance.get_run_records(of)}
    return [
        record
        for record in records.values()
        if (run := record.dagster_run).is_finished
        or run.status == dg.DagsterRunStatus.QUEUED
        or LAUNCHED in run.tags
    ]


def attempt_of(record: dg.RunRecord, tag: str, *, answered: bool, whole: bool) -> Attempt:
    """A run as an attempt at what its tag says."""
    run = record.dagster_run
    return Attempt(
        run_id=run.run_id,
        outcome="in flight" if not run.is_finished else "answered" if answered else "died",
        created=_utc(record.create_timestamp),
        ended=_ended(record) if run.is_finished else None,
        task=run.tags.get(tag),
        whole=whole,
    )


def _ended(record: dg.RunRecord) -> datetime:
    """A run that was never begun has no end; then it is when Dagster last wrote of it."""
    if record.end_time:
        return datetime.fromtimestamp(record.end_time, UTC)
    return _utc(record.update_timestamp)


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
