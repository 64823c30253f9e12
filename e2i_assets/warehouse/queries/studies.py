"""Hyperparameter studies, and what later ones learn from them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from e2i_assets.contracts.partition_key import PartitionKey
from e2i_assets.json_files import to_json
from e2i_assets.modeling.tuning.warm_start import Pattern, ProblemProfile
from e2i_assets.warehouse.records import hpo_patterns, hpo_studies, load_batches

if TYPE_CHECKING:
    from e2i_assets.modeling.tuning.study import TunedParams
    from e2i_assets.warehouse.warehouse import Warehouse

NEXT_BEST = 5
"""Trials of a study, besides its best one, that later ones may try."""


def learnt_until(warehouse: Warehouse, study: str, partition: PartitionKey) -> dt.datetime | None:
    """The moment before which patterns must have been recorded for a study to start from them.

    When the data of its partition were last changed by a load; for a study that is made again, what it was
    the first time. So neither the order of partitions nor a study that is made again changes a result.

    Returns:
        None where no load touched the partition: then there is nothing to learn from.
    """
    patterns = hpo_patterns.c
    with warehouse.engine.connect() as connection:
        earlier = connection.execute(
            sa.select(patterns.learnt_until).where(patterns.study == study)
        ).one_or_none()
    return data_changed(warehouse, partition) if earlier is None else earlier.learnt_until


def data_changed(warehouse: Warehouse, partition: PartitionKey) -> dt.datetime | None:
    """When a load last changed the data of a partition; None where none did."""
    loads = load_batches.c
    last = sa.select(sa.func.max(loads.committed_at)).where(loads.partitions.contains([partition.touched]))
    with warehouse.engine.connect() as connection:
        return connection.scalar(last)


def patterns_before(
    warehouse: Warehouse, moment: dt.datetime | None, algorithm: str, problem_type: str
) -> list[Pattern]:
    """What studies of an algorithm and problem type found that were recorded before a moment."""
    if moment is None:
        return []
    patterns = hpo_patterns.c
    query = (
        sa.select(hpo_patterns)
        .where(
            patterns.algorithm_name == algorithm,
            patterns.problem_type == problem_type,
            patterns.created_at < moment,
        )
        .order_by(patterns.pattern_id)
    )
    with warehouse.engine.connect() as connection:
        return [
            Pattern(
                pattern_id=row.pattern_id,
                profile=ProblemProfile(
                    algorithm=row.algorithm_name,
                    problem_type=row.problem_type,
                    metric=row.optimization_metric,
                    n_samples=row.n_samples,
                    n_features=row.n_features,
                    n_classes=row.n_classes,
                    class_balance=row.class_balance,
                    feature_types=row.feature_types,
                ),
                best_params=row.best_hyperparameters,
                next_params=row.next_hyperparameters,
                best_value=row.best_value,
                trials_to_best=row.trials_to_best,
                cold=not row.warm_started,
            )
            for row in connection.execute(query)
        ]


def record_study(
    warehouse: Warehouse,
    partition: str,
    scope: str,
    run_id: str,
    tuned: TunedParams,
    *,
    study: str,
    learnt_until: dt.datetime | None,
) -> None:
    """Write down a study with its trials, and once, however often it is made, what it found.

    Args:
        study: hash of data, code and configuration.
    """
    history = {
        "study_name": tuned.study_name,
        "partition": partition,
        "scope": scope,
        "algorithm_name": tuned.algorithm,
        "metric": tuned.metric,
        "n_trials": tuned.n_trials,
        "n_completed": tuned.n_completed,
        "n_pruned": tuned.n_pruned,
        "n_failed": tuned.n_failed,
        "best_value": tuned.best_value,
        "best_params": dict(tuned.best_params),
        "trials": [dict(trial) for trial in tuned.trials],
        "finals": [dict(final) for final in tuned.finals],
        "warm_start": [to_json(start) for start in tuned.warm_start],
        "trials_sooner": tuned.trials_sooner,
        "run_id": run_id,
    }
    profile = tuned.profile
    pattern = {
        "study": study,
        "learnt_until": learnt_until,
        "study_name": tuned.study_name,
        "algorithm_name": tuned.algorithm,
        "problem_type": profile.problem_type,
        "search_space": to_json(tuned.search_space),
        "best_hyperparameters": dict(tuned.trials[tuned.best_trial]["params"]),
        "next_hyperparameters": [dict(trial["params"]) for trial in tuned.next_best(NEXT_BEST)],
        "best_value": tuned.best_value,
        "optimization_metric": tuned.metric,
        "trials_to_best": tuned.best_trial + 1,
        "warm_started": bool(tuned.warm_start),
        "n_samples": profile.n_samples,
        "n_features": profile.n_features,
        "n_classes": profile.n_classes,
        "class_balance": profile.class_balance,
        "feature_types": dict(profile.feature_types or {}),
        "n_trials": tuned.n_trials,
        "n_completed": tuned.n_completed,
        "n_pruned": tuned.n_pruned,
        "duration_seconds": sum(tuned.durations),
    }
    with warehouse.engine.begin() as connection:
        connection.execute(sa.insert(hpo_studies).values(history))
        new = (
            insert(hpo_patterns).values(pattern).on_conflict_do_nothing().returning(hpo_patterns.c.pattern_id)
        )
        if connection.scalar(new) is not None and tuned.warm_start:
            _count_use(connection, tuned)


def _count_use(connection: sa.Connection, tuned: TunedParams) -> None:
    """Note at each pattern that it was used, and by how much the study ended above it."""
    patterns = hpo_patterns.c
    used = patterns.times_used_as_warmstart
    gain = tuned.best_value - patterns.best_value
    connection.execute(
        sa.update(hpo_patterns)
        .where(patterns.pattern_id.in_([start.pattern_id for start in tuned.warm_start]))
        .values(
            times_used_as_warmstart=used + 1,
            warmstart_improvement_avg=(sa.func.coalesce(patterns.warmstart_improvement_avg, 0) * used + gain)
            / (used + 1),
            updated_at=sa.func.now(),
        )
    )
