"""What `e2i alerts` does and shows."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from e2i_assets.cli.output import print_json, say, show_table
from e2i_assets.cli.session import open_session, quiet
from e2i_assets.errors import E2IError
from e2i_assets.json_files import to_json
from e2i_assets.modeling.errors import ConfigError
from e2i_assets.monitoring.alerts.alert import RaisedAlert
from e2i_assets.monitoring.alerts.config import FILE, AlertRules, ChannelName
from e2i_assets.monitoring.alerts.notice import Notice
from e2i_assets.monitoring.alerts.sending import send
from e2i_assets.registry.people import require_person
from e2i_assets.settings import settings
from e2i_assets.warehouse.queries.alert_deliveries import Delivery, deliveries_of, unsent
from e2i_assets.warehouse.queries.alerts import acknowledge, alert_of, alerts
from e2i_assets.warehouse.warehouse import Warehouse


def show_alerts(*, every: bool, limit: int, as_json: bool) -> None:
    """The alerts that were raised last, and what could not be sent."""
    here, warehouse = open_session()
    raised = alerts(warehouse, status=None if every else "active", limit=limit)
    waiting = unsent(warehouse)
    channels, wrong = _channels(here.config_dir / FILE)
    if as_json:
        print_json({
            "alerts": [to_json(one) for one in raised],
            "unsent": [to_json(one) for one in waiting],
            "channels": list(channels),
            "channels_error": wrong,
        })  # fmt: skip
        return
    show_table(
        "Alerts",
        ["alert", "severity", "kind", "subject", "raised", "first", "last", "taken on by", "what to do"],
        [
            (
                one.id, one.severity, one.kind, one.subject, one.raised, f"{one.first_at:%Y-%m-%d %H:%M}",
                f"{one.last_at:%Y-%m-%d %H:%M}", one.acknowledged_by, one.next_step,
            )
            for one in raised
        ],
    )  # fmt: skip
    if wrong:
        say(f"Nobody is told but by this list: {wrong}")
    elif not channels:
        say(f"No channel is on: nobody is told but by this list. Turn one on in {here.config_dir / FILE}.")
    for delivery in waiting:
        say(_waiting(delivery))


def _channels(file: Path) -> tuple[tuple[ChannelName, ...], str | None]:
    """The channels that are on, or why none can be told of."""
    try:
        return AlertRules.from_yaml(file).channels.enabled, None
    except ConfigError as error:
        return (), error.summary


def _waiting(delivery: Delivery) -> str:
    why = delivery.error or "it is sent with the next tick of alerts_sensor (`e2i up`)"
    return (
        f"alert {delivery.alert_id} is not sent over {delivery.channel} yet ({delivery.attempts} attempts, "
        f"next after {delivery.next_attempt_at:%H:%M} UTC): {why}"
    )


def show_alert(number: int, *, as_json: bool) -> None:
    """One alert, and its notices.

    Raises:
        E2IError: there is none of that number.
    """
    _, warehouse = open_session()
    alert, deliveries = _known(warehouse, number), deliveries_of(warehouse, number)
    if as_json:
        print_json({"alert": to_json(alert), "notices": [to_json(one) for one in deliveries]})
        return
    say(f"alert {alert.id}, {alert.severity} {alert.kind}: {alert.subject}")
    say(alert.message)
    say(f"What to do: {alert.next_step}")
    say(
        f"raised {alert.raised} times, from {alert.first_at:%Y-%m-%d %H:%M} to "
        f"{alert.last_at:%Y-%m-%d %H:%M} UTC; {alert.held_back} of them since anybody was told"
    )
    if alert.acknowledged_at:
        remark = f": {alert.note}" if alert.note else ""
        say(f"taken on by {alert.acknowledged_by} at {alert.acknowledged_at:%Y-%m-%d %H:%M} UTC{remark}")
    for one in deliveries:
        say(f"{one.channel}: sent at {one.sent_at:%Y-%m-%d %H:%M} UTC" if one.sent_at else _waiting(one))


def acknowledge_alert(number: int, *, by: str, note: str | None, as_json: bool) -> None:
    """Take an alert on.

    Raises:
        RegistryError: `by` is no person's name.
        E2IError: there is no such alert, or somebody took it on already.
    """
    person = require_person(by)
    _, warehouse = open_session()
    taken = acknowledge(warehouse, number, by=person, note=note)
    if taken is None:
        alert = _known(warehouse, number)
        raise E2IError(
            f"{alert.acknowledged_by} took alert {number} on at {alert.acknowledged_at:%Y-%m-%d %H:%M} UTC",
            f"`e2i alerts show {number}` has what they say.",
            code="taken_on",
        )
    if as_json:
        print_json({"alert": to_json(taken)})
        return
    say(f"{person} takes alert {number} on ({taken.subject}). What to do: {taken.next_step}")


def try_channel(name: str, *, as_json: bool) -> None:
    """Send a message that says that it is a test.

    Raises:
        ChannelFailed: it was not taken.
        ConfigError: config/alerts.yaml cannot be used.
        E2IError: there is no such channel.
    """
    quiet()
    known: tuple[ChannelName, ...] = get_args(ChannelName)
    channel = next((one for one in known if one == name), None)
    if channel is None:
        raise E2IError(f"there is no channel {name!r}", f"Channels: {', '.join(known)}.", code="no_channel")
    rules = AlertRules.from_yaml(settings().config_dir / FILE)
    message = RaisedAlert(
        kind="test",
        severity="low",
        subject=f"the channel {channel}",
        message="Somebody tries whether alerts arrive here.",
        next_step="Nothing: they do.",
    )
    send(Notice(message, up_to=1, held_back=1), channel, rules.channels)
    on = channel in rules.channels.enabled
    if as_json:
        print_json({"channel": channel, "sent": True, "enabled": on})
        return
    say(f"{channel} took the message" + ("" if on else "; it is off, so no alert goes there"))


def _known(warehouse: Warehouse, number: int) -> RaisedAlert:
    alert = alert_of(warehouse, number)
    if alert is None:
        raise E2IError(
            f"there is no alert {number}", "`e2i alerts list --all` shows those there are.", code="no_alert"
        )
    return alert
