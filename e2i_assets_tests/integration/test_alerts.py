"""Alerts on a real database: folded, told once, never lost, and acknowledged."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from typer.testing import CliRunner

from e2i_assets.automation.alerts import build_alerts_sensor, tell
from e2i_assets.build import build_resources
from e2i_assets.cli.main import app
from e2i_assets.errors import E2IError
from e2i_assets.monitoring.alerts.alert import Alert, AlertRefused
from e2i_assets.monitoring.alerts.config import AlertRules
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.alert_deliveries import claim, deliveries_of, unsent
from e2i_assets.warehouse.queries.alerts import acknowledge, alert_of, alerts, raise_alert
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import shipped_config
from e2i_assets_tests.integration.receivers import Webhook, webhook

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
DRIFT = Alert(
    kind="drift",
    severity="high",
    subject="conversion of remibrutinib_csu",
    message="3 of 12 features moved, the most age with a PSI of 0.31",
    next_step="Read the report: e2i watch show conversion -p remibrutinib_csu",
    partition="remibrutinib_csu",
    scope="conversion",
)


def after(**time: float) -> dt.datetime:
    return NOON + dt.timedelta(**time)


def test_equal_alerts_are_one_with_a_count(warehouse: Warehouse) -> None:
    first = raise_alert(warehouse, DRIFT, now=NOON)
    assert (first.raised, first.first_at, first.status) == (1, NOON, "active")
    again = raise_alert(warehouse, replace(DRIFT, message="4 of 12 features moved"), now=after(days=1))
    assert (again.id, again.raised, again.first_at, again.last_at) == (first.id, 2, NOON, after(days=1))
    assert again.message == "4 of 12 features moved"
    others = [{"severity": "critical"}, {"kind": "performance"}, {"subject": "churn of remibrutinib_csu"}]
    assert {raise_alert(warehouse, replace(DRIFT, **other)).raised for other in others} == {1}
    assert len(alerts(warehouse)) == 4


def test_what_somebody_took_on_is_told_again_only_when_it_comes_back(warehouse: Warehouse) -> None:
    first = raise_alert(warehouse, DRIFT, now=NOON)
    taken = acknowledge(warehouse, first.id, by="Anna Smith", note="new supplier", now=after(minutes=5))
    assert taken is not None
    assert (taken.status, taken.acknowledged_by, taken.note) == ("acknowledged", "Anna Smith", "new supplier")
    assert acknowledge(warehouse, first.id, by="Bert Jones", note=None) is None
    known = raise_alert(warehouse, DRIFT, now=after(minutes=60))
    assert (known.id, known.status, known.raised) == (first.id, "acknowledged", 2)
    back = raise_alert(warehouse, DRIFT, now=after(minutes=121))
    assert (back.id != first.id, back.status, back.raised) == (True, "active", 1)
    assert alert_of(warehouse, first.id) == known


def test_many_at_once_lose_none_and_make_one(warehouse: Warehouse) -> None:
    warehouse.open()
    together = Barrier(6)

    def raise_some(_: int) -> None:
        own = Warehouse(warehouse._settings)
        own.open()
        together.wait()
        for _ in range(5):
            raise_alert(own, DRIFT)
        own.engine.dispose()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(raise_some, range(6)))
    (only,) = alerts(warehouse)
    assert only.raised == 30


@pytest.mark.parametrize(
    "change",
    [{"kind": "noise"}, {"severity": "none"}, {"subject": " "}, {"message": ""}, {"next_step": ""}],
)
def test_an_alert_nobody_could_act_on_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(AlertRefused):
        replace(DRIFT, **change)


@pytest.mark.parametrize("table", ["ml_monitoring_alerts", "ml_alert_deliveries", "ml_retraining_history"])
def test_nothing_is_deleted(warehouse: Warehouse, table: str) -> None:
    raise_alert(warehouse, DRIFT)
    with pytest.raises(sa.exc.IntegrityError, match="is only ever added to"), warehouse.engine.begin() as c:
        c.execute(sa.text(f"DELETE FROM e2i.{table}"))


def rules(**notices: float) -> AlertRules:
    hook = {"enabled": True, "timeout_seconds": 5}
    return AlertRules.model_validate({
        "notices": notices,
        "channels": {
            "webhook": hook | {"url_from": "ALERT_HOOK"}, "slack": hook | {"url_from": "ALERT_SLACK"},
        },
        "rules": [{"at_least": "high", "channels": ["webhook", "slack"]}],
    })  # fmt: skip


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Webhook, Webhook]]:
    with webhook() as hook, webhook() as slack:
        monkeypatch.setenv("ALERT_HOOK", hook.url)
        monkeypatch.setenv("ALERT_SLACK", slack.url)
        yield hook, slack


def test_a_channel_that_is_down_loses_nothing(warehouse: Warehouse, servers: tuple[Webhook, Webhook]) -> None:
    hook, slack = servers
    slack.status = 503
    alert = raise_alert(warehouse, DRIFT, now=NOON)
    raise_alert(warehouse, replace(DRIFT, severity="medium"), now=NOON)
    told = tell(warehouse, rules(), NOON)
    assert (dict(told.sent), list(told.failed)) == ({"webhook": 1}, ["slack"])
    (waiting,) = unsent(warehouse)
    assert (waiting.channel, waiting.attempts, waiting.error) == ("slack", 1, "the server answered 503")
    assert not tell(warehouse, rules(), after(seconds=59)).failed
    assert list(tell(warehouse, rules(), after(minutes=1)).failed) == ["slack"]
    slack.status = 200
    assert not tell(warehouse, rules(), after(minutes=2, seconds=59)).sent
    assert dict(tell(warehouse, rules(), after(minutes=3)).sent) == {"slack": 1}
    assert (unsent(warehouse), len(hook.keys), len(slack.keys)) == ([], 1, 1)
    assert hook.keys == slack.keys
    assert [one.attempts for one in deliveries_of(warehouse, alert.id)] == [1, 3]


def test_a_clock_that_is_set_back_holds_nothing_up(
    warehouse: Warehouse, servers: tuple[Webhook, Webhook]
) -> None:
    servers[1].status = 503
    raise_alert(warehouse, DRIFT, now=NOON)
    assert list(tell(warehouse, rules(), after(days=365)).failed) == ["slack"]
    servers[1].status = 200
    assert dict(tell(warehouse, rules(), NOON).sent) == {"slack": 1}


def test_what_is_held_back_is_told_with_the_next_notice(
    warehouse: Warehouse, servers: tuple[Webhook, Webhook]
) -> None:
    hook, _ = servers
    for minute in range(0, 130, 10):
        alert = raise_alert(warehouse, DRIFT, now=after(minutes=minute))
        tell(warehouse, rules(), after(minutes=minute))
    assert [document["held_back"] for document in hook.documents] == [1, 6, 6]
    assert (alert.raised, len(set(hook.keys))) == (13, 3)
    acknowledge(warehouse, alert.id, by="Anna Smith", note=None, now=after(minutes=121))
    raise_alert(warehouse, DRIFT, now=after(minutes=182))
    assert not tell(warehouse, rules(per_hour=1, seconds_between=3600), after(minutes=179)).sent
    assert tell(warehouse, rules(), after(minutes=182)).sent.total() == 2


def test_two_who_tell_at_once_send_each_notice_once(
    warehouse: Warehouse, servers: tuple[Webhook, Webhook]
) -> None:
    hook, slack = servers
    for number in range(8):
        raise_alert(warehouse, replace(DRIFT, subject=f"model {number}"), now=NOON)
    together = Barrier(3)

    def tell_all(_: int) -> None:
        own = Warehouse(warehouse._settings)
        own.open()
        together.wait()
        tell(own, rules(), NOON)
        own.engine.dispose()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(tell_all, range(3)))
    assert [len(server.keys) for server in servers] == [8, 8]
    assert len({*hook.keys, *slack.keys}) == 8
    assert not unsent(warehouse)


def test_a_sender_that_dies_leaves_its_notice_and_holds_up_nobody(
    warehouse: Warehouse, servers: tuple[Webhook, Webhook]
) -> None:
    raise_alert(warehouse, DRIFT, now=NOON)
    servers[0].status = servers[1].status = 500
    tell(warehouse, rules(), NOON)
    servers[0].status = servers[1].status = 200

    def die_sending() -> None:
        with claim(warehouse, ["webhook"], after(minutes=1)) as mine:
            assert mine is not None
            raise_alert(warehouse, DRIFT, now=after(minutes=1))
            raise_alert(warehouse, replace(DRIFT, subject="another"), now=after(minutes=1))
            assert dict(tell(warehouse, rules(), after(minutes=1)).sent) == {"webhook": 1, "slack": 2}
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        die_sending()
    assert dict(tell(warehouse, rules(), after(minutes=1)).sent) == {"webhook": 1}


def test_the_sensor_tells_and_says_what_it_cannot(
    here: Settings, warehouse: Warehouse, servers: tuple[Webhook, Webhook], tmp_path: Path
) -> None:
    own = here.model_copy(update={"config": shipped_config(tmp_path)})
    raise_alert(warehouse, DRIFT)

    def tick() -> str:
        with dg.DagsterInstance.ephemeral() as instance:
            resources = {name: build_resources(own)[name] for name in ("settings", "warehouse")}
            context = dg.build_sensor_context(instance, resources=resources)
            return str(build_alerts_sensor().evaluate_tick(context).skip_message)

    assert "no channel of config/alerts.yaml is on" in tick()
    file = own.config_dir / "alerts.yaml"
    stated = rules().model_dump(mode="json")
    file.write_text(yaml.safe_dump(stated))
    servers[0].status = 500
    assert "1 sent over slack; webhook took none: the server answered 500" in tick()
    file.write_text("channels: {pager: {}}")
    for expected in ("alerts_sensor cannot read", "channels.pager: no such key"):
        assert expected in tick()
    (told,) = [one for one in alerts(warehouse) if one.kind == "sensor"]
    assert (told.subject, told.raised) == ("alerts_sensor", 2)
    assert "channels.pager" in told.message


def test_commands_list_show_and_take_on(
    here: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, servers: tuple[Webhook, Webhook]
) -> None:
    assert here.database_url is not None
    monkeypatch.setenv("E2I_DATABASE_URL", here.database_url.get_secret_value())
    monkeypatch.setenv("COLUMNS", "40")
    run = CliRunner().invoke

    def said(*arguments: str) -> str:
        result = run(app, ["alerts", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    number = str(raise_alert(warehouse, DRIFT, now=NOON).id)
    servers[1].status = 500
    tell(warehouse, rules(), NOON)
    listed = said("list")
    for shown in (DRIFT.subject, DRIFT.next_step, "No channel is on", "over slack yet (1 attempts"):
        assert shown in listed
    assert [one["id"] for one in json.loads(said("list", "--json"))["alerts"]] == [int(number)]
    whole = said("show", number)
    for shown in (DRIFT.message, f"What to do: {DRIFT.next_step}", "webhook: sent at 2026-03-01 12:00 UTC"):
        assert shown in whole
    assert DRIFT.next_step in said("ack", number, "--by", "Anna Smith", "--note", "new supplier")
    assert "Anna Smith at" in said("show", number)
    assert json.loads(said("list", "--json")) == {
        "alerts": [], "unsent": [], "channels": [], "channels_error": None,
    }  # fmt: skip
    for arguments, reason in {
        ("ack", number, "--by", "Bert Jones"): "Anna Smith took alert",
        ("ack", number, "--by", "7"): "no person's name",
        ("show", "999"): "there is no alert 999",
        ("test", "--channel", "pager"): "there is no channel 'pager'",
        ("test", "--channel", "slack"): "E2I_ALERTS_SLACK_URL is not set",
    }.items():
        with pytest.raises(E2IError, match=reason):
            run(app, ["alerts", *arguments], catch_exceptions=False)
    servers[1].status = 200
    monkeypatch.setenv("E2I_ALERTS_SLACK_URL", os.environ["ALERT_SLACK"])
    assert "took the message; it is off" in said("test", "--channel", "slack")
    assert "Nothing: they do." in servers[1].documents[-1]["text"]
