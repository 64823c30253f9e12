"""Which versions that answer are to be trained again: by what has become of them, or on schedule."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from e2i_assets.assets.attribute_names import NEWEST
from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.json_files import to_json
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.modeling.scopes.scope import PredictiveScope
from e2i_assets.monitoring.alerts.alert import Alert
from e2i_assets.monitoring.retraining import FILE, Decision, RetrainingRules, Watched, decide
from e2i_assets.monitoring.watching import ACCURACY
from e2i_assets.registry.ledger import Version
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.alerts import raise_alert
from e2i_assets.warehouse.queries.monitoring import drift_of, monitoring_history, performance_of
from e2i_assets.warehouse.queries.registry import served_versions
from e2i_assets.warehouse.queries.retraining import CAME_TO_NOTHING, Wanted, request_retraining, retrainings
from e2i_assets.warehouse.queries.splits import patients_in
from e2i_assets.warehouse.warehouse import Warehouse

BY_ITSELF = "e2i"
NEW = 1000
"""Comparisons that are looked at in a tick, the newest."""
Comparison = Mapping[str, Any]
"""A row of `ml_monitoring_runs`."""


def ask_for_due(
    here: Settings, warehouse: Warehouse, store: ArtifactStore, judged: int, now: dt.datetime
) -> int:
    """Judge every comparison since the last that was judged; ask for what is due, or say that it is.

    Where nothing is asked for by itself (`auto: false`), an alert says what is due.

    Args:
        judged: number of the last comparison that was judged.
        now: with time zone.

    Returns:
        The number of the last comparison there is.

    Raises:
        ConfigError: config/retraining.yaml cannot be used.
    """
    rules = RetrainingRules.from_yaml(here.config_dir / FILE)
    scopes = load_scopes(here.config_dir / "scopes")
    history = monitoring_history(warehouse, after=judged, most=NEW)
    for version, comparison in newest_of_served(warehouse, history):
        scope = scopes.get(version.scope)
        if isinstance(scope, PredictiveScope):
            watched = watched_of(warehouse, store, scope, version, comparison)
            _carry_out(warehouse, version, watched, decide(watched, rules, now), asks=rules.auto, now=now)
    return max([judged, *(one["id"] for one in history)])


def ask_on_schedule(
    here: Settings, warehouse: Warehouse, store: ArtifactStore, now: dt.datetime
) -> Iterator[str]:
    """Ask for a retraining of every version that answers, by the same rules as ever.

    Whoever turned the schedule on has asked for it, whatever `auto` says. Models of an effect are left out.

    Args:
        now: with time zone.

    Yields:
        Of each version what was decided, in words.

    Raises:
        ConfigError: config/retraining.yaml cannot be used.
    """
    rules = RetrainingRules.from_yaml(here.config_dir / FILE)
    scopes = load_scopes(here.config_dir / "scopes")
    for version in _answering(warehouse):
        scope = scopes.get(version.scope)
        if isinstance(scope, PredictiveScope):
            last = monitoring_history(
                warehouse, model_name=version.model_name, version=version.version, most=1
            )
            watched = watched_of(warehouse, store, scope, version, last[0] if last else None, scheduled=True)
            decision = decide(watched, rules, now)
            _carry_out(warehouse, version, watched, decision, asks=True, now=now)
            against = "; ".join(f"{one.rule}: {one.found}, wanted {one.wanted}" for one in decision.against)
            yield f"{version.title}: {f'not asked for ({against})' if against else 'asked for'}"


def _answering(warehouse: Warehouse) -> list[Version]:
    return [one.version for one in served_versions(warehouse) if one.role == "active"]


def newest_of_served(
    warehouse: Warehouse, comparisons: Sequence[Comparison]
) -> Iterator[tuple[Version, Comparison]]:
    """Each version that answers now and was compared, with the last comparison of it."""
    newest = {
        (one["model_name"], one["model_version"]): one
        for one in sorted(comparisons, key=lambda one: int(one["id"]))
    }
    for version in _answering(warehouse):
        comparison = newest.get((version.model_name, version.version))
        if comparison is not None:
            yield version, comparison


def watched_of(
    warehouse: Warehouse,
    store: ArtifactStore,
    scope: PredictiveScope,
    version: Version,
    comparison: Comparison | None,
    *,
    scheduled: bool = False,
) -> Watched:
    """What is known of a version and of the data that there are for a new one.

    Args:
        comparison: the last one of the version; None where it never was compared with new data.

    Raises:
        ArtifactRefused: it cannot be read how new the data are.
    """
    scores = defaultdict(list)
    for row in drift_of(warehouse, comparison["id"]) if comparison else ():
        scores[row["drift_type"]].append(row["drift_score"])
    measured = {
        row["metric_name"]: row
        for row in (performance_of(warehouse, comparison["id"]) if comparison else ())
        if row["source"] == "measured"
    }
    earlier = retrainings(warehouse, partition=version.partition, scope=scope.name, limit=10_000)
    of_version = [one for one in earlier if one.old_model_version == version.version]
    return Watched(
        drift={kind: fmean(values) for kind, values in scores.items()},
        overall=comparison["drift_score"] if comparison and comparison["judged"] else None,
        accuracy=measured[ACCURACY]["ci_upper"] if ACCURACY in measured else None,
        relative_loss=_relative_loss(measured.get(scope.problem.primary_metric), scope),
        samples=patients_in(warehouse, version.partition, "train"),
        newest_record=_newest_record(store, version.partition),
        last_ended=max((one.completed_at for one in earlier if one.completed_at), default=None),
        attempts=sum(one.status in CAME_TO_NOTHING for one in of_version),
        is_open=any(one.completed_at is None for one in earlier),
        scheduled=scheduled,
    )


def _relative_loss(row: Mapping[str, Any] | None, scope: PredictiveScope) -> float | None:
    """How much worse the primary metric is than at training, as a share of that; negative of a better one.

    Nothing where chance explains it: of some fifty outcomes a tenth is soon lost.
    """
    if row is None or not row["baseline_value"]:
        return None
    change = (row["metric_value"] - row["baseline_value"]) / abs(row["baseline_value"])
    loss = float(-change if scope.problem.greater_is_better else change)
    return loss if row["is_degraded"] else min(loss, 0.0)


def _newest_record(store: ArtifactStore, partition: str) -> dt.date | None:
    published = [store.current(f"raw/{name}", partition) for name in RAW_TABLES]
    days = [one.attributes.get(NEWEST) for one in published if one]
    return max((dt.date.fromisoformat(day) for day in days if day), default=None)


def _carry_out(
    warehouse: Warehouse,
    version: Version,
    watched: Watched,
    decision: Decision,
    *,
    asks: bool,
    now: dt.datetime,
) -> None:
    """Ask for what is due, or say that it is; say also that nothing more is tried."""
    by_hand = f"e2i retrain request {version.scope} -p {version.partition} --by NAME --reason TEXT"
    if decision.given_up:
        next_step = f"`e2i retrain status` says why they came to nothing; mend that, then: {by_hand}"
        raise_alert(warehouse, _alert(version, decision, "is given up", next_step), now=now)
    if not decision.due:
        return
    if not asks:
        next_step = f"{by_hand} (by itself with `auto: true` in config/{FILE})"
        raise_alert(warehouse, _alert(version, decision, "is due", next_step), now=now)
        return
    assert decision.trigger is not None
    wanted = Wanted(
        version.partition, version.scope, version.model_name, version.version, decision.trigger,
        decision.summary, BY_ITSELF, to_json(decision), watched.overall, watched.relative_loss,
    )  # fmt: skip
    request_retraining(warehouse, wanted, approval=decision.approval, now=now)


def _alert(version: Version, decision: Decision, what: str, next_step: str) -> Alert:
    against = [f"{one.rule}: {one.found}, wanted {one.wanted}" for one in decision.against]
    return Alert(
        "retraining",
        "medium",
        subject=f"retraining of {version.title} {what}",
        message=f"{version.title}: {'; '.join([decision.summary, *against])}.",
        next_step=next_step,
        partition=version.partition,
        scope=version.scope,
        model_name=version.model_name,
        model_version=version.version,
        details=to_json(decision),
    )
