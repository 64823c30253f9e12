"""Who is told of an alert, and when."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from e2i_assets.monitoring.alerts.alert import RaisedAlert
from e2i_assets.monitoring.alerts.config import AlertRules, Notices
from e2i_assets.monitoring.alerts.notice import Notice
from e2i_assets.monitoring.alerts.routing import channels_for, is_due, next_attempt
from e2i_assets_tests.conftest import ROOT

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
ON = {
    "log": {"enabled": True},
    "webhook": {"enabled": True, "url_from": "W"},
    "slack": {"enabled": True, "url_from": "S"},
    "email": {"enabled": True, "host": "h", "port": 25, "sender": "a@b.c", "recipients": ["d@e.f"]},
}
SHIPPED = AlertRules.from_yaml(ROOT / "config" / "alerts.yaml")


def raised(**of: Any) -> RaisedAlert:
    values: dict[str, Any] = {
        "kind": "drift", "severity": "high", "subject": "s", "message": "m", "next_step": "n",
        "id": 7, "first_at": NOON, "last_at": NOON,
    }  # fmt: skip
    return RaisedAlert(**values | of)


def before(**time: float) -> dt.datetime:
    return NOON - dt.timedelta(**time)


def test_nobody_is_told_until_a_channel_is_turned_on() -> None:
    assert channels_for(raised(severity="critical"), SHIPPED) == ()


@pytest.mark.parametrize(
    ("severity", "channels"),
    [
        ("low", ("log",)),
        ("medium", ("log", "slack")),
        ("high", ("log", "slack", "email")),
        ("critical", ("log", "webhook", "slack", "email")),
    ],
)
def test_the_shipped_rules_go_by_severity(severity: str, channels: tuple[str, ...]) -> None:
    rules = AlertRules.model_validate(
        {"channels": ON, "rules": [rule.model_dump() for rule in SHIPPED.rules]}
    )
    assert channels_for(raised(severity=severity), rules) == channels


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({}, True),
        ({"at_least": "critical"}, False),
        ({"kinds": ["drift", "gate"]}, True),
        ({"kinds": ["gate"]}, False),
        ({"scopes": ["conversion"]}, True),
        ({"scopes": ["churn"]}, False),
        ({"partitions": ["p", "q"], "scopes": ["conversion"]}, True),
        ({"partitions": ["q"], "scopes": ["conversion"]}, False),
    ],
)
def test_a_rule_fits_by_all_that_it_asks_for(rule: dict[str, Any], fits: bool) -> None:
    rules = AlertRules.model_validate(
        {"channels": ON, "rules": [{"at_least": "high", "channels": ["slack"]} | rule] * 2}
    )
    assert channels_for(raised(scope="conversion", partition="p"), rules) == (("slack",) if fits else ())
    without = channels_for(raised(), rules)
    assert not without or not {"scopes", "partitions"} & rule.keys()


@pytest.mark.parametrize(
    ("alert", "earlier", "due"),
    [
        ({}, [], True),
        ({"status": "acknowledged", "acknowledged_by": "a", "acknowledged_at": NOON}, [], False),
        ({"raised": 3, "told": 3}, [], False),
        ({"raised": 3, "told": 1, "told_at": before(minutes=59)}, [before(minutes=59)], False),
        ({"raised": 3, "told": 1, "told_at": before(minutes=60)}, [before(minutes=60)], True),
        ({}, [before(seconds=299)], False),
        ({}, [before(seconds=300)], True),
        ({}, [before(minutes=6 + i) for i in range(19)], True),
        ({}, [before(minutes=6 + i) for i in range(20)], False),
        ({}, [before(minutes=41 + i) for i in range(20)], True),
        # The clock was a day ahead when they were sent, and has been set back.
        ({"raised": 3, "told": 1, "told_at": before(days=-1)}, [before(days=-1)] * 20, True),
    ],
)
def test_the_same_is_told_at_most_so_often(
    alert: dict[str, Any], earlier: list[dt.datetime], due: bool
) -> None:
    assert is_due(raised(**alert), earlier, Notices(), NOON) is due


def test_a_channel_that_is_down_is_tried_ever_more_seldom() -> None:
    waits = [
        (next_attempt(attempts, NOON) - NOON).total_seconds() / 60 for attempts in (1, 2, 3, 6, 7, 9_999)
    ]
    assert waits == [1, 2, 4, 32, 60, 60]


def test_a_notice_says_what_to_do_and_what_was_held_back() -> None:
    notice = Notice(raised(subject="a\nBcc: x@y.z", message="1 < 2 & 3", next_step="look", raised=9), 9, 8)
    assert "What to do: look" in notice.text
    assert "Raised 9 times since 2026-03-01 12:00 UTC, 8 of them since the last notice." in notice.text
    assert "e2i alerts ack 7" in notice.text
    assert "1 &lt; 2 &amp; 3" in notice.slack()["text"]
    mail = notice.email("a@b.c", ("d@e.f",))
    assert (mail["Subject"], mail["Bcc"]) == ("[high] drift: a Bcc: x@y.z", None)
    assert notice.key in mail["Message-ID"]
    assert notice.document()["alert"]["next_step"] == "look"
    assert Notice(raised(), 1, 1).key != Notice(raised(), 2, 1).key == Notice(raised(), 2, 1).key


def test_no_pause_is_longer_than_a_calendar() -> None:
    for minutes in (1e300, 525_601, -1):
        with pytest.raises(ValueError, match="again_after_minutes"):
            Notices(again_after_minutes=minutes)
    assert not is_due(raised(told_at=NOON), [], Notices(again_after_minutes=525_600), NOON)


def test_a_configuration_without_the_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"alerts.yaml: cannot be read"):
        AlertRules.from_yaml(tmp_path / "alerts.yaml")
