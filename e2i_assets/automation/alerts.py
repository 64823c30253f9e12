"""Sensor: whoever the rules name is told of alerts; what a channel does not take is tried again."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import dagster as dg

from e2i_assets.automation.unreadable import alerting
from e2i_assets.monitoring.alerts.config import FILE, AlertRules, ChannelName
from e2i_assets.monitoring.alerts.notice import Notice
from e2i_assets.monitoring.alerts.routing import channels_for, is_due, next_attempt
from e2i_assets.monitoring.alerts.sending import ChannelFailed, send
from e2i_assets.warehouse.queries.alert_deliveries import claim, queue_notices
from e2i_assets.warehouse.warehouse import Warehouse

AT_MOST = 30.0
"""Seconds that a tick begins to send for; the next goes on."""


@dataclass
class Told:
    """What a round of telling did: notices sent by channel, and why a channel took none."""

    sent: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)


def tell(warehouse: Warehouse, rules: AlertRules, now: dt.datetime) -> Told:
    """Queue what is due, and send what is queued. Of two who tell at once each sends what the other does not.

    Args:
        now: with time zone.
    """
    queue_notices(
        warehouse,
        lambda alert, earlier: (
            channels_for(alert, rules) if is_due(alert, earlier, rules.notices, now) else ()
        ),
        now,
    )
    outcome, until = Told(), time.monotonic() + AT_MOST
    while time.monotonic() < until and (asked := set(rules.channels.enabled) - outcome.failed.keys()):
        with claim(warehouse, asked, now) as mine:
            if mine is None:
                break
            delivery = mine.delivery
            notice = Notice(mine.alert, delivery.up_to, delivery.held_back)
            try:
                send(notice, cast(ChannelName, delivery.channel), rules.channels)
            except ChannelFailed as error:
                outcome.failed[delivery.channel] = error.summary
                mine.failed(str(error), next_attempt(delivery.attempts + 1, now))
            else:
                outcome.sent[delivery.channel] += 1
                mine.sent(now)
    return outcome


def build_alerts_sensor() -> dg.SensorDefinition:
    """The sensor over `ml_monitoring_alerts`; without a channel that is on it sends nothing."""

    @dg.sensor(
        name="alerts_sensor",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"settings", "warehouse"},
        description="Tells of alerts over the channels of config/alerts.yaml; requests no run.",
    )
    @alerting
    def alerts_sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.SkipReason]:
        resources = context.resources
        rules = AlertRules.from_yaml(resources.settings.config_dir / FILE)
        outcome = tell(resources.warehouse, rules, dt.datetime.now(dt.UTC))
        for channel, reason in outcome.failed.items():
            context.log.error(f"{channel}: {reason}")
        yield dg.SkipReason(_summary(outcome, rules))

    return alerts_sensor


def _summary(outcome: Told, rules: AlertRules) -> str:
    if not rules.channels.enabled:
        return "no channel of config/alerts.yaml is on; `e2i alerts` lists what was raised"
    parts = [f"{count} sent over {channel}" for channel, count in outcome.sent.items()]
    parts += [f"{channel} took none: {reason}" for channel, reason in outcome.failed.items()]
    return "; ".join(parts) or "nobody is to be told of anything"
