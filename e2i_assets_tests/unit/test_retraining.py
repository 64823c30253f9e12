"""When a model is trained again, and what comes next of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from e2i_assets.modeling.metrics.intervals import Interval
from e2i_assets.monitoring.retraining import (
    Next,
    Progress,
    RetrainingRules,
    Run,
    Watched,
    decide,
    next_of,
    verdict_of,
)
from e2i_assets_tests.conftest import ROOT

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
RULES = RetrainingRules.from_yaml(ROOT / "config" / "retraining.yaml")
WELL = Watched(
    drift={"data": 0.1, "prediction": 0.1, "concept": 0.1}, overall=0.1, accuracy=0.8, relative_loss=0.0,
    samples=1000, newest_record=dt.date(2025, 12, 1), last_ended=NOON - dt.timedelta(hours=24), attempts=2,
)  # fmt: skip
DRIFTED = replace(WELL, drift={"data": 0.5}, overall=0.5)


def test_the_shipped_rules_are_the_defaults_and_ask_for_nothing_by_themselves() -> None:
    assert RetrainingRules() == RULES
    assert not RULES.auto
    with pytest.raises(ValueError, match="cool_down_hours"):
        RetrainingRules(cool_down_hours=1e300)  # no calendar has as many


@pytest.mark.parametrize(
    ("change", "trigger"),
    [
        ({}, None),
        ({"drift": {"data": 0.49, "prediction": 0.39, "concept": 0.29}}, None),
        ({"drift": {"data": 0.5}}, "drift"),
        ({"drift": {"prediction": 0.4}}, "drift"),
        ({"drift": {"concept": 0.3}}, "drift"),
        ({"accuracy": 0.7}, None),
        ({"accuracy": 0.69}, "performance"),
        ({"relative_loss": 0.099}, None),
        ({"relative_loss": 0.1}, "performance"),
        ({"accuracy": 0.5, "drift": {"data": 1.0}}, "drift"),
        ({"scheduled": True}, "scheduled"),
        ({"scheduled": True, "accuracy": 0.5}, "performance"),
        ({"scheduled": True, "drift": {"data": 0.5}}, "drift"),
        ({"drift": {}, "overall": None, "accuracy": None, "relative_loss": None}, None),
    ],
)
def test_what_asks_for_it(change: dict[str, Any], trigger: str | None) -> None:
    decision = decide(replace(WELL, **change), RULES, NOON)
    assert (decision.trigger, decision.due) == (trigger, trigger is not None)
    assert len(decision.reasons) == 11


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"is_open": True}, "no other"),
        ({"last_ended": NOON - dt.timedelta(hours=23, minutes=59)}, "cool-down"),
        ({"attempts": 3}, "attempts"),
        ({"samples": 999}, "samples"),
        ({"samples": None}, "samples"),
        ({"newest_record": dt.date(2025, 11, 30)}, "age of the data"),
        ({"newest_record": None}, "age of the data"),
    ],
)
def test_what_speaks_against_it(change: dict[str, Any], rule: str) -> None:
    assert decide(DRIFTED, RULES, NOON).due
    decision = decide(replace(DRIFTED, **change), RULES, NOON)
    assert (decision.trigger, decision.due) == ("drift", False)
    assert [one.rule for one in decision.against] == [rule]
    assert decision.given_up is (rule == "attempts")
    assert "drift of data is 0.5 (at least 0.5)" in decision.summary


@pytest.mark.parametrize(
    ("ahead", "due"), [(dt.timedelta(minutes=59), False), (dt.timedelta(hours=1, minutes=1), True)]
)
def test_nobody_waits_for_a_clock_that_was_set_back(ahead: dt.timedelta, due: bool) -> None:
    assert decide(replace(DRIFTED, last_ended=NOON + ahead), RULES, NOON).due is due


@pytest.mark.parametrize(("overall", "approval"), [(None, True), (0.79, True), (0.8, False)])
def test_a_person_approves_unless_the_drift_is_large(overall: float | None, approval: bool) -> None:
    assert decide(replace(DRIFTED, overall=overall), RULES, NOON).approval is approval


@pytest.mark.parametrize(
    ("interval", "of_more", "of_less"),
    [
        ((0.001, 0.1), "better", "worse"),
        ((-0.1, -0.001), "worse", "better"),
        ((-0.001, 0.2), "level", "level"),
        ((0.0, 0.2), "level", "level"),
        (None, None, None),
    ],
)
def test_versions_are_told_apart_beyond_noise(
    interval: tuple[float, float] | None, of_more: str | None, of_less: str | None
) -> None:
    difference = Interval(*interval) if interval else None
    assert verdict_of(difference, greater_is_better=True) == of_more
    assert verdict_of(difference, greater_is_better=False) == of_less


def runs(*outcomes: Any) -> list[Run]:
    return [Run(f"r{number}", outcome) for number, outcome in enumerate(outcomes, 1)]


@pytest.mark.parametrize(
    ("trained", "compared", "step"),
    [
        ((), (), Next("run", 1)),
        (("in flight",), (), Next("wait", run_id="r1")),
        (("died",), (), Next("run", 2, "r1")),
        (("died", "died", "died"), (), Next("failed", run_id="r3")),
        (("died", "refused"), (), Next("refused", run_id="r2")),
        (("died", "succeeded"), (), Next("compare", 1, "r2")),
        (("succeeded",), ("in flight",), Next("wait", run_id="r1")),
        (("succeeded",), ("died",), Next("compare", 2, "r1")),
        (("succeeded",), ("died", "died", "died"), Next("failed", run_id="r1")),
        (("succeeded",), ("died", "succeeded"), Next("wait", run_id="r1")),
    ],
)
def test_what_comes_next(trained: tuple[str, ...], compared: tuple[str, ...], step: Next) -> None:
    assert next_of(Progress(runs(*trained), runs(*compared))) == step
