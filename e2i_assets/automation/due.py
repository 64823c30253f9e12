"""Which served versions are to be trained again, by what the last comparison with new data found."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from e2i_assets.assets.attribute_names import NEWEST
from e2i_assets.contracts.tables import TABLES
from e2i_assets.json_files import to_json
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.modeling.scopes.scope import PredictiveScope
from e2i_assets.monitoring.alerts.alert import Alert
from e2i_assets.monitoring.retraining import FILE, Decision, RetrainingRules, Watched, decide
from e2i_assets.monitoring.watching import ACCURACY
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
    for comparison in newest_of_served(warehouse, history):
        scope = scopes.get(comparison["scope"])
        if isinstance(scope, PredictiveScope):
            watched = watched_of(warehouse, store, scope, comparison)
            decision = decide(watched, rules, now)
            if decision.due:
                _ask(warehouse, comparison, watched, decision, auto=rules.auto, now=now)
    return max([judged, *(one["id"] for one in history)])


def newest_of_served(warehouse: Warehouse, comparisons: Sequence[Comparison]) -> Iterator[Comparison]:
    """Of each model the last comparison of the version that answers now."""
    served = {
        (one.version.model_name, one.version.version)
        for one in served_versions(warehouse)
        if one.role == "active"
    }
    of_served = [one for one in comparisons if (one["model_name"], one["model_version"]) in served]
    newest = {one["model_name"]: one for one in sorted(of_served, key=lambda one: int(one["id"]))}
    yield from newest.values()


def watched_of(
    warehouse: Warehouse, store: ArtifactStore, scope: PredictiveScope, comparison: Comparison
) -> Watched:
    """What is known of a version and of the data that there are for a new one.

    Raises:
        ArtifactRefused: it cannot be read how new the data are.
    """
    partition = comparison["partition"]
    scores = defaultdict(list)
    for row in drift_of(warehouse, comparison["id"]):
        scores[row["drift_type"]].append(row["drift_score"])
    measured = {
        row["metric_name"]: row
        for row in performance_of(warehouse, comparison["id"])
        if row["source"] == "measured"
    }
    earlier = retrainings(warehouse, partition=partition, scope=scope.name, limit=10_000)
    of_version = [one for one in earlier if one.old_model_version == comparison["model_version"]]
    return Watched(
        drift={kind: fmean(values) for kind, values in scores.items()},
        overall=comparison["drift_score"] if comparison["judged"] else None,
        accuracy=measured[ACCURACY]["metric_value"] if ACCURACY in measured else None,
        relative_loss=_relative_loss(measured.get(scope.problem.primary_metric), scope),
        samples=patients_in(warehouse, partition, "train"),
        newest_record=_newest_record(store, partition),
        last_ended=max((one.completed_at for one in earlier if one.completed_at), default=None),
        attempts=sum(one.status in CAME_TO_NOTHING for one in of_version),
        is_open=any(one.completed_at is None for one in earlier),
    )


def _relative_loss(row: Mapping[str, Any] | None, scope: PredictiveScope) -> float | None:
    """How much worse the primary metric is than at training, as a share of that; negative of a better one."""
    if row is None or not row["baseline_value"]:
        return None
    change = (row["metric_value"] - row["baseline_value"]) / abs(row["baseline_value"])
    return float(-change if scope.problem.greater_is_better else change)


def _newest_record(store: ArtifactStore, partition: str) -> dt.date | None:
    published = [store.current(f"raw/{name}", partition) for name in TABLES]
    days = [one.attributes.get(NEWEST) for one in published if one]
    return max((dt.date.fromisoformat(day) for day in days if day), default=None)


def _ask(
    warehouse: Warehouse,
    comparison: Comparison,
    watched: Watched,
    decision: Decision,
    *,
    auto: bool,
    now: dt.datetime,
) -> None:
    partition, scope = comparison["partition"], comparison["scope"]
    if not auto:
        raise_alert(warehouse, _due(comparison, decision), now=now)
        return
    assert decision.trigger is not None
    wanted = Wanted(
        partition, scope, comparison["model_name"], comparison["model_version"], decision.trigger,
        decision.summary, BY_ITSELF, to_json(decision), watched.overall, watched.relative_loss,
    )  # fmt: skip
    request_retraining(warehouse, wanted, approval=decision.approval, now=now)


def _due(comparison: Comparison, decision: Decision) -> Alert:
    partition, scope = comparison["partition"], comparison["scope"]
    return Alert(
        "retraining",
        "medium",
        subject=f"retraining of {scope} of {partition} is due",
        message=f"{comparison['model_name']} version {comparison['model_version']}: {decision.summary}.",
        next_step=f"e2i retrain request {scope} -p {partition} --by NAME --reason TEXT "
        f"(by itself with `auto: true` in config/{FILE})",
        partition=partition,
        scope=scope,
        model_name=comparison["model_name"],
        model_version=comparison["model_version"],
        details=to_json(decision),
    )
