"""Record tables of alerts, what was sent of them, and retraining."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from e2i_assets.monitoring.alerts.alert import SEVERITIES
from e2i_assets.warehouse.columns import identity, one_of, text
from e2i_assets.warehouse.ddl import SCHEMA
from e2i_assets.warehouse.deployment_records import metadata
from e2i_assets.warehouse.registry_records import of_version

RETRAINING = (
    "requested", "approved", "running", "better", "level", "worse", "refused", "failed", "rejected",
)  # fmt: skip
"""Status of a retraining: waits for approval; waits for its run; its run goes; its version is better than the
one before, not to be told apart from it, or worse; a gate refused it; its runs died; a person did."""
OPEN = RETRAINING[:3]


def _moment(name: str, comment: str | None = None, *, nullable: bool = True) -> sa.Column:
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable, comment=comment)


def _json(name: str, comment: str) -> sa.Column:
    return sa.Column(name, JSONB, nullable=False, server_default=sa.text("'{}'"), comment=comment)


def _count(name: str, default: int, comment: str) -> sa.Column:
    return sa.Column(name, sa.Integer, nullable=False, server_default=str(default), comment=comment)


monitoring_alerts = sa.Table(
    "ml_monitoring_alerts",
    metadata,
    identity(),
    text("kind"),
    text("severity"),
    text("subject", "what it is about, the same each time it happens"),
    text("message", "of the last time that it was raised"),
    text("next_step", "what to do about it"),
    text("partition", nullable=True),
    text("scope", nullable=True),
    text("model_name", nullable=True),
    sa.Column("model_version", sa.Integer),
    _json("details", "figures. Aggregates only"),
    sa.Column("status", sa.Text, nullable=False, server_default="active"),
    _count("raised", 1, "how often it was raised"),
    _count("told", 0, "how many of these the notices stand for that were queued"),
    _moment("first_at", nullable=False),
    _moment("last_at", nullable=False),
    _moment("told_at", "when its last notice was queued"),
    text("acknowledged_by", nullable=True),
    _moment("acknowledged_at"),
    text("note", "of who acknowledged it", nullable=True),
    of_version("model_version"),
    sa.CheckConstraint(one_of("severity", SEVERITIES), name="ml_monitoring_alerts_severity"),
    sa.CheckConstraint("status IN ('active', 'acknowledged')", name="ml_monitoring_alerts_status"),
    sa.CheckConstraint("told >= 0 AND raised >= told AND raised >= 1", name="ml_monitoring_alerts_counts"),
    sa.CheckConstraint(
        "(status = 'acknowledged') = (acknowledged_by IS NOT NULL AND acknowledged_at IS NOT NULL)",
        name="ml_monitoring_alerts_acknowledged",
    ),
    sa.Index(
        "ml_monitoring_alerts_one_active",
        "subject",
        "kind",
        "severity",
        unique=True,
        postgresql_where=sa.text("status = 'active'"),
    ),
    sa.Index("ml_monitoring_alerts_newest", "subject", "kind", "severity", "id"),
    schema=SCHEMA,
    comment="What deserved a person's attention; one active row for each subject, kind and severity.",
)

alert_deliveries = sa.Table(
    "ml_alert_deliveries",
    metadata,
    identity(),
    sa.Column("alert_id", sa.ForeignKey(monitoring_alerts.c.id), nullable=False),
    text("channel", "its name in config/alerts.yaml"),
    sa.Column("up_to", sa.Integer, nullable=False, comment="how often the alert had been raised"),
    sa.Column("held_back", sa.Integer, nullable=False, comment="of these since the notice before"),
    _moment("queued_at", nullable=False),
    _count("attempts", 0, "how often sending it was tried"),
    _moment("next_attempt_at", nullable=False),
    _moment("sent_at"),
    text("error", "why the last attempt failed; without addresses and secrets", nullable=True),
    sa.UniqueConstraint("alert_id", "channel", "up_to", name="ml_alert_deliveries_once"),
    sa.Index("ml_alert_deliveries_unsent", "next_attempt_at", postgresql_where=sa.text("sent_at IS NULL")),
    schema=SCHEMA,
    comment="Notices of alerts by channel: sent, or still to be sent.",
)

retraining_history = sa.Table(
    "ml_retraining_history",
    metadata,
    identity(),
    text("partition"),
    text("scope"),
    text("model_name"),
    sa.Column(
        "old_model_version", sa.Integer, nullable=False, comment="that is served, or was registered last"
    ),
    sa.Column("new_model_version", sa.Integer),
    text("trigger_type", "drift, performance, scheduled, or a person"),
    text("trigger_reason"),
    _json("decision", "every reason for and against, with what was wanted and found"),
    sa.Column("alert_id", sa.ForeignKey(monitoring_alerts.c.id)),
    sa.Column("drift_score", sa.Double, comment="composite, from 0 to 1; empty where none was measured"),
    sa.Column("performance_delta", sa.Double, comment="relative loss; empty where none was measured"),
    sa.Column("status", sa.Text, nullable=False),
    text("requested_by"),
    text("approved_by", "empty where none was needed", nullable=True),
    _moment("approved_at"),
    text("note", "of who approved or refused it, or why it failed", nullable=True),
    text("run_id", "its last run", nullable=True),
    _count("attempts", 0, "runs that were asked for"),
    text("metric_name", nullable=True),
    sa.Column("old_metric_value", sa.Double),
    sa.Column("new_metric_value", sa.Double),
    sa.Column("improvement", sa.Double, comment="positive is better"),
    _json("comparison", "the two versions on the same rows. Aggregates only"),
    _moment("triggered_at", nullable=False),
    _moment("completed_at"),
    of_version("old_model_version"),
    of_version("new_model_version"),
    sa.CheckConstraint(one_of("status", RETRAINING), name="ml_retraining_history_status"),
    sa.CheckConstraint("approved_by <> requested_by", name="ml_retraining_history_two_people"),
    sa.CheckConstraint(
        f"({one_of('status', OPEN)}) = (completed_at IS NULL)", name="ml_retraining_history_completed"
    ),
    sa.Index(
        "ml_retraining_history_one_open",
        "partition",
        "scope",
        unique=True,
        postgresql_where=sa.text("completed_at IS NULL"),
    ),
    sa.Index("ml_retraining_history_newest", "partition", "scope", "id"),
    schema=SCHEMA,
    comment="Every retraining that was asked for, and what came of it.",
)
