"""Sensor: what a load brought is held against the versions that answer, once it is published."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from e2i_assets.assets.attribute_names import LOAD
from e2i_assets.automation.attempts import (
    MAX_ATTEMPTS,
    PARTITION,
    UNFINISHED,
    Attempt,
    attempt_of,
    next_attempt,
    watched_records,
)
from e2i_assets.automation.jobs import WATCH, job_of
from e2i_assets.automation.loaded import loaded_cohort_configs
from e2i_assets.automation.sensors import NEWEST_RAW, published, tell, unreadable
from e2i_assets.automation.unreadable import alerting
from e2i_assets.json_files import json_hash, to_json
from e2i_assets.monitoring.alerts.alert import Alert
from e2i_assets.registry.ledger import Version
from e2i_assets.resources.store import ArtifactRefused, Published
from e2i_assets.warehouse.queries.loads import newest_loads
from e2i_assets.warehouse.queries.monitoring import compared_versions
from e2i_assets.warehouse.queries.registry import served_versions

TASK = "e2i/watch"
"""Run tag: which versions are held against which load, as a hash."""
FEATURES = "features"


@dataclass(frozen=True)
class Watch:
    """What is to be compared in one run of a partition.

    Attributes:
        load: the newest that touched it.
        features: version of the features that were published of it.
        versions: scope to the version that answers and has not been compared with them.
    """

    partition: str
    load: int
    features: str
    versions: Mapping[str, int]

    @property
    def task(self) -> str:
        """A hash of it all."""
        return json_hash(to_json(self))


def due_watch(
    partition: str,
    load: int,
    raw: Published | None,
    features: Published | None,
    answering: Collection[Version],
    compared: Mapping[tuple[str, int], str | None],
) -> Watch | None:
    """What a partition's newest load asks to be compared; None where nothing is, or not yet.

    Nothing is before the load is extracted, nor where it left the features as they were, or a gate refused
    it: what is published then was compared before, or is what the version was trained on.

    Args:
        answering: the versions that answer.
        compared: version to the features that it was compared with last, of those that can be compared.
    """
    if raw is None or features is None or raw.attributes.get(LOAD) != load:
        return None
    versions = {}
    for version in sorted(answering, key=lambda one: one.scope):
        key = version.model_name, version.version
        seen = version.trained_on.get(FEATURES), compared.get(key)
        if key in compared and features.version not in seen:
            versions[version.scope] = version.version
    return Watch(partition, load, features.version, versions) if versions else None


def build_watching_sensor() -> dg.SensorDefinition:
    """The sensor over published features and the versions that answer."""

    @dg.sensor(
        job_name=WATCH,
        name="watching_sensor",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"settings", "warehouse", "store"},
        description="Requests a comparison of the versions that answer with what a load brought, once its "
        "features are published and no other run of the partition is under way.",
    )
    @alerting
    def watching_sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.SensorResult]:
        assets = _assets(context)
        due = {watch.task: watch for watch in _due(context, assets.keys())}
        # Of what is due no more nothing is remembered.
        given_up = due.keys() & set(json.loads(context.cursor or "[]"))
        attempts, now = _attempts(context.instance, due), datetime.now(UTC)
        requests = []
        for task, watch in due.items():
            step = next_attempt(task, attempts[watch.partition], now)
            if step.alert and task not in given_up:
                tell(context, context.resources.warehouse, _given_up(watch))
                given_up.add(task)
            elif step.number is not None:
                requests.append(_request(assets, watch, step.number))
        yield dg.SensorResult(
            run_requests=requests,
            cursor=json.dumps(sorted(given_up)),
            skip_reason=None if requests else f"{len(due)} comparisons wait" if due else "nothing to compare",
        )

    return watching_sensor


def _due(context: dg.SensorEvaluationContext, scopes: Collection[str]) -> Iterator[Watch]:
    warehouse, config = context.resources.warehouse, context.resources.settings.config_dir
    known, touched = loaded_cohort_configs(context, config), newest_loads(warehouse)
    answering = defaultdict(list)
    for one in served_versions(warehouse):
        cohort = known.get(one.version.partition)
        if (
            one.role == "active"
            and cohort
            and one.version.scope in scopes
            and one.version.scope in cohort.scopes
        ):
            answering[one.version.partition].append(one.version)
    loads = {
        key: touched[name].load_id
        for key in sorted(answering)
        if (name := known[key].partition_key.touched) in touched
    }
    compared = compared_versions(warehouse)
    for partition, raw, features in _published(context, loads):
        watch = due_watch(partition, loads[partition], raw, features, answering[partition], compared)
        if watch is not None:
            yield watch


def _assets(context: dg.SensorEvaluationContext) -> dict[str, dg.AssetKey]:
    """Scope to the asset that watches it."""
    assert context.repository_def is not None
    keys = context.repository_def.asset_graph.executable_asset_keys
    return {key.path[0]: key for key in keys if job_of(key) == WATCH}


def _published(
    context: dg.SensorEvaluationContext, loads: Mapping[str, int]
) -> Iterator[tuple[str, Published | None, Published | None]]:
    """Partition, its raw tables and its features; without those that cannot be read, which are told of."""
    store, warehouse = context.resources.store, context.resources.warehouse
    sides = (published(store, asset, loads) for asset in (NEWEST_RAW, FEATURES))
    for (partition, raw), (_, features) in zip(*sides, strict=True):
        for one in (raw, features):
            if isinstance(one, ArtifactRefused):
                tell(context, warehouse, unreadable("watching_sensor", partition, loads[partition], one))
        if not isinstance(raw, ArtifactRefused) and not isinstance(features, ArtifactRefused):
            yield partition, raw, features


def _attempts(instance: dg.DagsterInstance, due: Mapping[str, Watch]) -> dict[str, list[Attempt]]:
    """By partition: runs that are under way, whatever of, and those at what is due."""
    attempts = defaultdict(list)
    if due:
        partitions = sorted({watch.partition for watch in due.values()})
        for record in watched_records(
            instance,
            dg.RunsFilter(tags={TASK: list(due)}),
            dg.RunsFilter(tags={PARTITION: partitions}, statuses=UNFINISHED),
        ):
            run = record.dagster_run
            attempt = attempt_of(record, TASK, answered=run.is_success, whole=False)
            attempts[run.tags[PARTITION]].append(attempt)
    return attempts


def _request(assets: Mapping[str, dg.AssetKey], watch: Watch, attempt: int) -> dg.RunRequest:
    return dg.RunRequest(
        # Dagster never runs the same key twice: a tick repeated after a crash starts nothing new.
        run_key=f"{watch.partition}-watch-load-{watch.load}-{watch.task}-attempt-{attempt}",
        partition_key=watch.partition,
        asset_selection=[assets[scope] for scope in watch.versions],
        tags={TASK: watch.task},
    )


def _given_up(watch: Watch) -> Alert:
    scopes = ", ".join(watch.versions)
    return Alert(
        "refresh",
        "high",
        subject=f"watching of {watch.partition}",
        message=f"{watch.partition}: {MAX_ATTEMPTS} runs that were to hold load {watch.load} against the "
        f"versions of {scopes} came to nothing; none is requested any more.",
        next_step=f"Read the last one's error in Dagit, mend it, then: e2i drift --run -p {watch.partition}",
        partition=watch.partition,
        details={"load": watch.load, "attempts": MAX_ATTEMPTS},
    )
