"""Sensor: a feed that has stopped is judged again, although no load asks for a run, and told of."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg

from e2i_assets.assets.attribute_names import NEWEST, STALE
from e2i_assets.automation.jobs import REFRESH
from e2i_assets.automation.loaded import loaded_cohort_configs
from e2i_assets.automation.unreadable import alerting
from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.monitoring.alerts.alert import Alert
from e2i_assets.quality.freshness import stale_tables
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.settings import Settings
from e2i_assets.stages.context import quality_of
from e2i_assets.warehouse.queries.alerts import raise_alert

JUDGED = [dg.AssetKey("qc_report"), dg.AssetKey("cohort")]
"""What a verdict on the age of data concerns; nothing behind the cohort changes with it."""


def outdated(judged: Mapping[str, list[str]], now: Mapping[str, list[str]]) -> list[str]:
    """Partitions whose published report says of other tables than today's verdict that they are stale.

    Args:
        judged: partition to the tables that its published report calls stale; absent without a report.
        now: partition to those that are.
    """
    return [partition for partition, stale in judged.items() if sorted(stale) != sorted(now[partition])]


def build_freshness_sensor() -> dg.SensorDefinition:
    """The sensor over the published reports and the calendar."""

    @dg.sensor(
        job_name=REFRESH,
        name="freshness_sensor",
        minimum_interval_seconds=3600,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"settings", "store", "warehouse"},
        description="Requests a judgement of each partition whose newest records have become too old, and "
        "tells of it.",
    )
    @alerting
    def freshness_sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        settings, store = context.resources.settings, context.resources.store
        judged = _judged(loaded_cohort_configs(context, settings.config_dir), store)
        now = {key: _stale_now(settings, store, key) for key in judged}
        known: dict[str, list[str]] = json.loads(context.cursor or "{}")
        for partition, stale in now.items():
            if stopped := sorted(set(stale) - set(known.get(partition, ()))):
                raise_alert(context.resources.warehouse, _stopped(partition, stopped))
        context.update_cursor(json.dumps({key: stale for key, stale in sorted(now.items()) if stale}))
        requests = outdated(judged, now)
        for partition in requests:
            # Once a day: a report that is refused stays unpublished, and its partition outdated.
            key = f"{partition}-stale-{settings.today.isoformat()}"
            yield dg.RunRequest(run_key=key, partition_key=partition, asset_selection=JUDGED)
        if not requests:
            yield dg.SkipReason("every report judges the age of its data as it is today")

    return freshness_sensor


def _judged(known: Iterable[str], store: ArtifactStore) -> dict[str, list[str]]:
    reports = {key: store.current("qc_report", key) for key in known}
    return {key: list(report.attributes.get(STALE, ())) for key, report in reports.items() if report}


def _stale_now(settings: Settings, store: ArtifactStore, partition: str) -> list[str]:
    raw: dict[str, Any] = {name: store.current(f"raw/{name}", partition) for name in RAW_TABLES}
    newest = {name: current.attributes.get(NEWEST) for name, current in raw.items() if current}
    return stale_tables(newest, settings.today, quality_of(settings, partition))


def _stopped(partition: str, tables: list[str]) -> Alert:
    return Alert(
        "refresh",
        "medium",
        subject=f"feed of {partition}",
        message=f"{partition}: the newest record of {', '.join(tables)} is older than allowed, or from "
        "the future.",
        next_step="Ask the source for its next delivery. Where it delivers less often, say so in the cohort "
        "file (quality: max_staleness_days), or that the data are complete (refresh: none).",
        partition=partition,
        details={"tables": tables},
    )
