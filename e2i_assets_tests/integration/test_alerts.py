"""Alerts on a real database: folded, never lost, and acknowledged."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
import sqlalchemy as sa

from e2i_assets.monitoring.alerts.alert import Alert, AlertRefused
from e2i_assets.warehouse.queries.alerts import acknowledge, alert_of, alerts, raise_alert
from e2i_assets.warehouse.warehouse import Warehouse

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
