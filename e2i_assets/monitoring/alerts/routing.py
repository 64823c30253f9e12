"""Who is told of an alert, and when: pure decisions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from e2i_assets.clocks import is_recent
from e2i_assets.monitoring.alerts.alert import SEVERITIES, Alert, RaisedAlert
from e2i_assets.monitoring.alerts.config import AlertRules, ChannelName, Notices, Rule

LONGEST_PAUSE = dt.timedelta(minutes=60)
"""Between two attempts to send a notice."""


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
    if alert.told_at is not None and is_recent(alert.told_at, again, now):
        return False
    if any(is_recent(moment, dt.timedelta(seconds=notices.seconds_between), now) for moment in earlier):
        return False
    return sum(is_recent(moment, dt.timedelta(hours=1), now) for moment in earlier) < notices.per_hour


def next_attempt(attempts: int, now: dt.datetime) -> dt.datetime:
    """When a notice is tried again whose attempt number `attempts` failed: 1, 2, 4, … up to 60 minutes on."""
    return now + min(dt.timedelta(minutes=2 ** (min(attempts, 10) - 1)), LONGEST_PAUSE)
