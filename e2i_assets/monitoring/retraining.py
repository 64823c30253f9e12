"""Whether a served model is to be trained again, and what comes next of a retraining: pure decisions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field

from e2i_assets.clocks import is_recent
from e2i_assets.config_files import ConfigModel
from e2i_assets.modeling.config import YamlModel
from e2i_assets.modeling.metrics.intervals import Interval

FILE = "retraining.yaml"
"""Below the configuration folder."""
MAX_RUNS = 3
"""Runs of one retraining that die before it is given up."""
SCHEDULE, ATTEMPTS = "schedule", "attempts"
"""Rules of the decision that are asked for by name."""


class DriftRules(ConfigModel):
    """Mean severity of a kind's comparisons, none 0 to critical 1, from which drift asks for a retraining."""

    data: float = Field(default=0.5, gt=0, le=1)
    prediction: float = Field(default=0.4, gt=0, le=1)
    concept: float = Field(default=0.3, gt=0, le=1)


class RetrainingRules(YamlModel):
    """The whole file.

    Attributes:
        auto: whether a retraining that is due is asked for; else an alert says that it is due.
        approval_unless_drift: drift of all kinds together from which nobody needs to approve.
    """

    auto: bool = False
    drift: DriftRules = DriftRules()
    min_accuracy: float = Field(default=0.7, ge=0, le=1)
    max_relative_loss: float = Field(default=0.1, gt=0)
    cool_down_hours: float = Field(default=24, ge=0, le=8_760)
    max_attempts: int = Field(default=3, ge=1)
    min_samples: int = Field(default=1000, ge=1)
    max_data_age_days: int = Field(default=90, ge=1)
    approval_unless_drift: float = Field(default=0.8, gt=0, le=1)


@dataclass(frozen=True)
class Watched:
    """What is known of a served version and of the data that there are for a new one.

    Attributes:
        drift: kind (`data`, `prediction`, `concept`) to the mean severity of its comparisons.
        overall: of all comparisons together; None where nothing was compared.
        accuracy: upper end of its 95 % interval, so that what lies below the floor is lower than chance
            explains; None where it was not measured on outcomes.
        relative_loss: of the primary metric against what it was at training; positive is worse than chance
            explains.
        samples: patients in train; None where it is not known.
        newest_record: day of the newest record; None where it is not known.
        last_ended: when the last retraining of the model ended.
        attempts: retrainings of this version that came to nothing.
        is_open: whether one is asked for or under way.
        scheduled: whether its time by the schedule has come.
    """

    drift: Mapping[str, float]
    overall: float | None
    accuracy: float | None
    relative_loss: float | None
    samples: int | None
    newest_record: dt.date | None
    last_ended: dt.datetime | None
    attempts: int
    is_open: bool = False
    scheduled: bool = False


@dataclass(frozen=True)
class Reason:
    """One rule of the decision. `asks` of those that ask for a retraining; the others must hold for it."""

    rule: str
    wanted: str
    found: str
    met: bool
    asks: bool = False


@dataclass(frozen=True)
class Decision:
    """Whether to retrain, with every reason.

    Attributes:
        trigger: `drift`, `performance` or `scheduled`; None where nothing asks for it.
        approval: whether a person must approve.
    """

    trigger: Literal["drift", "performance", "scheduled"] | None
    approval: bool
    reasons: tuple[Reason, ...]

    @property
    def due(self) -> bool:
        """Whether something asks for it and nothing speaks against it."""
        return self.trigger is not None and not self.against

    @property
    def against(self) -> tuple[Reason, ...]:
        """What speaks against it."""
        return tuple(one for one in self.reasons if not one.asks and not one.met)

    @property
    def given_up(self) -> bool:
        """Whether something asks for it, and all attempts came to nothing."""
        return self.trigger is not None and any(one.rule == ATTEMPTS for one in self.against)

    @property
    def asking(self) -> tuple[Reason, ...]:
        """What asks for it."""
        return tuple(one for one in self.reasons if one.asks and one.met)

    @property
    def summary(self) -> str:
        """What asks for it, in a sentence."""
        return "; ".join(f"{one.rule} is {one.found} ({one.wanted})" for one in self.asking) or "nothing asks"


def decide(watched: Watched, rules: RetrainingRules, now: dt.datetime) -> Decision:
    """Whether a model is to be trained again. What is not known asks for nothing, and speaks against it.

    Args:
        now: with time zone.
    """
    reasons = (*_asking(watched, rules), *_holding(watched, rules, now))
    met = [one.rule for one in reasons if one.asks and one.met]
    large = watched.overall is not None and watched.overall >= rules.approval_unless_drift
    return Decision(_trigger(met), not large, reasons)


def _trigger(met: Sequence[str]) -> Literal["drift", "performance", "scheduled"] | None:
    if any(rule.startswith("drift") for rule in met):
        return "drift"
    if any(rule != SCHEDULE for rule in met):
        return "performance"
    return "scheduled" if met else None


def _asking(watched: Watched, rules: RetrainingRules) -> Iterator[Reason]:
    for kind, limit in rules.drift.model_dump().items():
        yield _asks(f"drift of {kind}", watched.drift.get(kind), limit)
    accuracy = watched.accuracy
    yield Reason("accuracy", f"below {rules.min_accuracy:g}",
                 "not known" if accuracy is None else f"{accuracy:.3g} at most",
                 accuracy is not None and accuracy < rules.min_accuracy, asks=True)  # fmt: skip
    yield _asks("relative loss of the primary metric", watched.relative_loss, rules.max_relative_loss)
    yield Reason(SCHEDULE, "its time has come", "due" if watched.scheduled else "not due",
                 watched.scheduled, asks=True)  # fmt: skip


def _asks(rule: str, value: float | None, limit: float) -> Reason:
    wanted = f"at least {limit:g}"
    if value is None:
        return Reason(rule, wanted, "not known", met=False, asks=True)
    return Reason(rule, wanted, f"{value:.3g}", value >= limit, asks=True)


def _holding(watched: Watched, rules: RetrainingRules, now: dt.datetime) -> Iterator[Reason]:
    yield Reason("no other", "none asked for or under way", "one" if watched.is_open else "none",
                 not watched.is_open)  # fmt: skip
    cool_down = dt.timedelta(hours=rules.cool_down_hours)
    rested = watched.last_ended is None or not is_recent(watched.last_ended, cool_down, now)
    ended = f"{watched.last_ended:%Y-%m-%d %H:%M} UTC" if watched.last_ended else "never"
    yield Reason("cool-down", f"{rules.cool_down_hours:g} hours since the last ended", ended, rested)
    yield Reason(ATTEMPTS, f"fewer than {rules.max_attempts} that came to nothing", str(watched.attempts),
                 watched.attempts < rules.max_attempts)  # fmt: skip
    enough = watched.samples is not None and watched.samples >= rules.min_samples
    yield Reason("samples", f"at least {rules.min_samples} in train",
                 "not known" if watched.samples is None else str(watched.samples), enough)  # fmt: skip
    age = None if watched.newest_record is None else (now.date() - watched.newest_record).days
    yield Reason("age of the data", f"at most {rules.max_data_age_days} days",
                 "not known" if age is None else f"{age} days",
                 age is not None and age <= rules.max_data_age_days)  # fmt: skip


Verdict = Literal["better", "level", "worse"]


def verdict_of(difference: Interval | None, greater_is_better: bool) -> Verdict | None:
    """Whether a new version is better or worse than the one before, or not to be told apart from it.

    Better or worse where the interval has no zero: of versions that are equally good one in 40 is told as
    better, one in 40 as worse.

    Args:
        difference: 95 % interval of the new one's metric less the other's, paired by row; None where there is
            none, which decides nothing.
    """
    if difference is None:
        return None
    if difference.low <= 0 <= difference.high:
        return "level"
    return "better" if (difference.low > 0) == greater_is_better else "worse"


@dataclass(frozen=True)
class Retraining:
    """A retraining as it is recorded; `alert_records.retraining_history` says what its columns are."""

    id: int
    partition: str
    scope: str
    model_name: str
    old_model_version: int
    new_model_version: int | None
    trigger_type: str
    trigger_reason: str
    decision: Mapping[str, Any]
    alert_id: int | None
    drift_score: float | None
    performance_delta: float | None
    status: str
    requested_by: str
    approved_by: str | None
    approved_at: dt.datetime | None
    note: str | None
    run_id: str | None
    attempts: int
    metric_name: str | None
    old_metric_value: float | None
    new_metric_value: float | None
    improvement: float | None
    comparison: Mapping[str, Any]
    triggered_at: dt.datetime
    completed_at: dt.datetime | None

    @property
    def title(self) -> str:
        """What is trained again, for a person."""
        return f"{self.scope} of {self.partition}"


@dataclass(frozen=True)
class Run:
    """A run of a retraining, or of the comparison after it."""

    run_id: str
    outcome: Literal["in flight", "succeeded", "refused", "died"]


@dataclass(frozen=True)
class Next:
    """What is to be done for a retraining that was approved.

    Attributes:
        action: ask for run or comparison number `number`, wait, or end it as refused or failed.
        run_id: of the last run.
    """

    action: Literal["run", "compare", "wait", "refused", "failed"]
    number: int = 0
    run_id: str | None = None


@dataclass(frozen=True)
class Progress:
    """The runs of a retraining and of its comparison, each in the order in which they were asked for."""

    runs: Sequence[Run] = field(default_factory=tuple)
    comparisons: Sequence[Run] = field(default_factory=tuple)


def next_of(progress: Progress) -> Next:
    """What comes next; asked again after a crash it says the same."""
    if not progress.runs:
        return Next("run", 1)
    last = progress.runs[-1]
    if last.outcome == "refused":
        return Next("refused", run_id=last.run_id)
    if last.outcome == "succeeded":
        if progress.comparisons and progress.comparisons[-1].outcome in ("in flight", "succeeded"):
            return Next("wait", run_id=last.run_id)
        return _again("compare", progress.comparisons, last.run_id)
    return Next("wait", run_id=last.run_id) if last.outcome == "in flight" else _again("run", progress.runs)


def _again(action: Literal["run", "compare"], runs: Sequence[Run], run_id: str | None = None) -> Next:
    last = run_id or (runs[-1].run_id if runs else None)
    return Next("failed", run_id=last) if len(runs) >= MAX_RUNS else Next(action, len(runs) + 1, last)
