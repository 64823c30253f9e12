"""Who is told of an alert, and when: pure decisions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from e2i_assets.monitoring.alerts.alert import SEVERITIES, Alert, RaisedAlert
from e2i_assets.monitoring.alerts.config import AlertRules, ChannelName, Notices, Rule


def channels_for(alert: Alert, rules: AlertRules) -> tuple[ChannelName, ...]:
    """The channels that are on of all rules that fit an alert, each once."""
    named = {channel for rule in rules.rules if _fits(rule, alert) for channel in rule.channels}
    return tuple(channel for channel in rules.channels.enabled if channel in named)


def _fits(rule: Rule, alert: Alert) -> bool:
    return (
        SEVERITIES.index(alert.severity) >= SEVERITIES.index(rule.at_least)
        and (not rule.kinds or alert.kind in rule.kinds)
        and (not rule.scopes or alert.scope in rule.scopes)
        and (not rule.partitions or alert.partition in rule.partitions)
    )


def is_due(alert: RaisedAlert, earlier: Sequence[dt.datetime], notices: Notices, now: dt.datetime) -> bool:
    """Whether a person is to be told of an alert now.

    Args:
        earlier: moments of the notices of its subject, kind and severity, of this alert and of those before.
    """
    if alert.status != "active" or alert.held_back == 0:
        return False
    again = dt.timedelta(minutes=notices.again_after_minutes)
    if alert.told_at is not None and now < alert.told_at + again:
        return False
    if any(now < moment + dt.timedelta(seconds=notices.seconds_between) for moment in earlier):
        return False
    return sum(moment > now - dt.timedelta(hours=1) for moment in earlier) < notices.per_hour


def next_attempt(attempts: int, now: dt.datetime) -> dt.datetime:
    """When a notice is tried again whose attempt number `attempts` failed: 1, 2, 4, … up to 60 minutes on."""
    return now + dt.timedelta(minutes=min(2 ** (min(attempts, 10) - 1), 60))
