"""Record tables of watching: profiles of what models were trained on, and what was found since."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from e2i_assets.monitoring.severity import SEVERITIES
from e2i_assets.warehouse.alert_records import metadata
from e2i_assets.warehouse.columns import identity, one_of, text
from e2i_assets.warehouse.ddl import SCHEMA
from e2i_assets.warehouse.registry_records import of_version

DRIFT_TYPES = ("data", "prediction", "concept")


def _number(name: str, comment: str | None = None, *, nullable: bool = True) -> sa.Column:
    return sa.Column(name, sa.Double, nullable=nullable, comment=comment)


def _count(name: str, comment: str | None = None, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Integer, nullable=nullable, comment=comment)


def _moment(name: str) -> sa.Column:
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=False)


reference_profiles = sa.Table(
    "ml_reference_profiles",
    metadata,
    sa.Column("model_name", sa.Text, primary_key=True),
    sa.Column("model_version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("profile", JSONB, nullable=False, comment="no row, and no cell of fewer than five"),
    text("run_id"),
    _moment("created_at"),
    of_version("model_version"),
    schema=SCHEMA,
    comment="What each registered version was trained on, and how it did, for comparison with what comes.",
)

monitoring_runs = sa.Table(
    "ml_monitoring_runs",
    metadata,
    identity(),
    text("partition"),
    text("scope"),
    text("model_name"),
    _count("model_version"),
    text("run_id", "of Dagster"),
    text("data_version", "of the features that were compared"),
    _moment("measured_at"),
    _count("new_patients", "that the version was not trained or judged on"),
    _count("predictions", "answered by the version, of the prediction log"),
    sa.Column("judged", sa.Boolean, nullable=False, comment="false where there were too few rows"),
    _count("total_checks", "columns and figures that were judged"),
    _count("drift_detected_count"),
    text("severity", "the worst that was found"),
    _number("drift_score", "mean severity of all checks, none 0 to critical 1", nullable=False),
    sa.Column("summary", JSONB, nullable=False, comment="verdicts in words. Aggregates only"),
    of_version("model_version"),
    sa.CheckConstraint(one_of("severity", SEVERITIES), name="ml_monitoring_runs_severity"),
    sa.Index("ml_monitoring_runs_newest", "partition", "scope", "id"),
    schema=SCHEMA,
    comment="Every time that a version was compared with what came since.",
)

drift_history = sa.Table(
    "ml_drift_history",
    metadata,
    identity(),
    sa.Column("monitoring_run_id", sa.ForeignKey(monitoring_runs.c.id), nullable=False),
    text("partition"),
    text("scope"),
    text("model_name"),
    _count("model_version"),
    text("drift_type", "of the features, of what is predicted, or of how predictions come true"),
    text("feature_name", "column or figure"),
    text("test_type", "of the finding that decided; empty where a column was not tested", nullable=True),
    _number("test_statistic"),
    _number("p_value"),
    _number("p_adjusted", "corrected for the number of tests"),
    sa.Column("drift_detected", sa.Boolean, nullable=False),
    text("severity"),
    _number("drift_score", "none 0 to critical 1", nullable=False),
    _number("effect", "size of the effect as measured"),
    _number("psi", "population stability index"),
    _count("baseline_count", nullable=True),
    _count("current_count", nullable=True),
    _number("baseline_mean"),
    _number("baseline_std"),
    _number("current_mean"),
    _number("current_std"),
    text("reason"),
    _moment("measured_at"),
    of_version("model_version"),
    sa.CheckConstraint(one_of("drift_type", DRIFT_TYPES), name="ml_drift_history_type"),
    sa.CheckConstraint(one_of("severity", SEVERITIES), name="ml_drift_history_severity"),
    sa.CheckConstraint("drift_detected = (severity <> 'none')", name="ml_drift_history_detected"),
    sa.Index("ix_e2i_ml_drift_history_run", "monitoring_run_id"),
    sa.Index("ml_drift_history_newest", "partition", "scope", "id"),
    schema=SCHEMA,
    comment="What was found of each column and figure. Aggregates only.",
)

performance_metrics = sa.Table(
    "ml_performance_metrics",
    metadata,
    identity(),
    sa.Column("monitoring_run_id", sa.ForeignKey(monitoring_runs.c.id), nullable=False),
    text("partition"),
    text("scope"),
    text("model_name"),
    _count("model_version"),
    text("metric_name"),
    _number("metric_value", nullable=False),
    text("source", "measured on outcomes, or estimated without them"),
    _count("sample_size"),
    _number("ci_lower"),
    _number("ci_upper"),
    _number("baseline_value", "on test, at training"),
    _number("baseline_lower"),
    _number("baseline_upper"),
    _number("delta", "from the baseline"),
    sa.Column("is_degraded", sa.Boolean, nullable=False, comment="worse than chance explains"),
    _moment("measured_at"),
    of_version("model_version"),
    sa.CheckConstraint("source IN ('measured', 'estimated')", name="ml_performance_metrics_source"),
    sa.Index("ix_e2i_ml_performance_metrics_run", "monitoring_run_id"),
    sa.Index("ml_performance_metrics_newest", "partition", "scope", "id"),
    schema=SCHEMA,
    comment="How versions do on patients that they never saw.",
)
