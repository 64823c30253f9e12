"""Keep alerts, what was sent of them, and retraining."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Keep alerts, what was sent of them, and retraining."""
    op.create_table(
        "ml_monitoring_alerts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column(
            "subject", sa.Text(), nullable=False, comment="what it is about, the same each time it happens"
        ),
        sa.Column("message", sa.Text(), nullable=False, comment="of the last time that it was raised"),
        sa.Column("next_step", sa.Text(), nullable=False, comment="what to do about it"),
        sa.Column("partition", sa.Text(), nullable=True),
        sa.Column("scope", sa.Text(), nullable=True),
        sa.Column("model_name", sa.Text(), nullable=True),
        sa.Column("model_version", sa.Integer(), nullable=True),
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="figures. Aggregates only",
        ),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column(
            "raised", sa.Integer(), server_default="1", nullable=False, comment="how often it was raised"
        ),
        sa.Column(
            "told",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="how many of these the notices stand for that were queued",
        ),
        sa.Column("first_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("last_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "told_at", sa.TIMESTAMP(timezone=True), nullable=True, comment="when its last notice was queued"
        ),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("acknowledged_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("note", sa.Text(), nullable=True, comment="of who acknowledged it"),
        sa.CheckConstraint(
            "(status = 'acknowledged') = (acknowledged_by IS NOT NULL AND acknowledged_at IS NOT NULL)",
            name="ml_monitoring_alerts_acknowledged",
        ),
        sa.CheckConstraint(
            "severity IN ('low', 'medium', 'high', 'critical')", name="ml_monitoring_alerts_severity"
        ),
        sa.CheckConstraint("status IN ('active', 'acknowledged')", name="ml_monitoring_alerts_status"),
        sa.CheckConstraint(
            "told >= 0 AND raised >= told AND raised >= 1", name="ml_monitoring_alerts_counts"
        ),
        sa.ForeignKeyConstraint(
            ["model_name", "model_version"],
            ["e2i.ml_model_registry.model_name", "e2i.ml_model_registry.version"],
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="e2i",
        comment="What deserved a person's attention; one active row for each subject, kind and severity.",
    )
    op.create_index(
        "ml_monitoring_alerts_newest",
        "ml_monitoring_alerts",
        ["subject", "kind", "severity", "id"],
        unique=False,
        schema="e2i",
    )
    op.create_index(
        "ml_monitoring_alerts_one_active",
        "ml_monitoring_alerts",
        ["subject", "kind", "severity"],
        unique=True,
        schema="e2i",
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_table(
        "ml_alert_deliveries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("alert_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False, comment="its name in config/alerts.yaml"),
        sa.Column("up_to", sa.Integer(), nullable=False, comment="how often the alert had been raised"),
        sa.Column("held_back", sa.Integer(), nullable=False, comment="of these since the notice before"),
        sa.Column("queued_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "attempts",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="how often sending it was tried",
        ),
        sa.Column("next_attempt_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("sent_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column(
            "error",
            sa.Text(),
            nullable=True,
            comment="why the last attempt failed; without addresses and secrets",
        ),
        sa.ForeignKeyConstraint(
            ["alert_id"],
            ["e2i.ml_monitoring_alerts.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("alert_id", "channel", "up_to", name="ml_alert_deliveries_once"),
        schema="e2i",
        comment="Notices of alerts by channel: sent, or still to be sent.",
    )
    op.create_index(
        "ml_alert_deliveries_unsent",
        "ml_alert_deliveries",
        ["next_attempt_at"],
        unique=False,
        schema="e2i",
        postgresql_where=sa.text("sent_at IS NULL"),
    )
    op.create_table(
        "ml_retraining_history",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column(
            "old_model_version",
            sa.Integer(),
            nullable=False,
            comment="that is served, or was registered last",
        ),
        sa.Column("new_model_version", sa.Integer(), nullable=True),
        sa.Column("trigger_type", sa.Text(), nullable=False, comment="drift, performance, or a person"),
        sa.Column("trigger_reason", sa.Text(), nullable=False),
        sa.Column(
            "decision",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="every reason for and against, with what was wanted and found",
        ),
        sa.Column("alert_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "drift_score",
            sa.Double(),
            nullable=True,
            comment="composite, from 0 to 1; empty where none was measured",
        ),
        sa.Column(
            "performance_delta",
            sa.Double(),
            nullable=True,
            comment="relative loss; empty where none was measured",
        ),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True, comment="empty where none was needed"),
        sa.Column("approved_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column(
            "note", sa.Text(), nullable=True, comment="of who approved or refused it, or why it failed"
        ),
        sa.Column("run_id", sa.Text(), nullable=True, comment="its last run"),
        sa.Column(
            "attempts", sa.Integer(), server_default="0", nullable=False, comment="runs that were asked for"
        ),
        sa.Column("metric_name", sa.Text(), nullable=True),
        sa.Column("old_metric_value", sa.Double(), nullable=True),
        sa.Column("new_metric_value", sa.Double(), nullable=True),
        sa.Column("improvement", sa.Double(), nullable=True, comment="positive is better"),
        sa.Column(
            "comparison",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="the two versions on the same rows. Aggregates only",
        ),
        sa.Column("triggered_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("completed_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status IN ('requested', 'approved', 'running')) = (completed_at IS NULL)",
            name="ml_retraining_history_completed",
        ),
        sa.CheckConstraint(
            "status IN ('requested', 'approved', 'running', 'succeeded', 'no_better', 'refused', 'failed', 'rejected')",
            name="ml_retraining_history_status",
        ),
        sa.CheckConstraint("approved_by <> requested_by", name="ml_retraining_history_two_people"),
        sa.ForeignKeyConstraint(
            ["alert_id"],
            ["e2i.ml_monitoring_alerts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["model_name", "new_model_version"],
            ["e2i.ml_model_registry.model_name", "e2i.ml_model_registry.version"],
        ),
        sa.ForeignKeyConstraint(
            ["model_name", "old_model_version"],
            ["e2i.ml_model_registry.model_name", "e2i.ml_model_registry.version"],
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="e2i",
        comment="Every retraining that was asked for, and what came of it.",
    )
    op.create_index(
        "ml_retraining_history_newest",
        "ml_retraining_history",
        ["partition", "scope", "id"],
        unique=False,
        schema="e2i",
    )
    op.create_index(
        "ml_retraining_history_one_open",
        "ml_retraining_history",
        ["partition", "scope"],
        unique=True,
        schema="e2i",
        postgresql_where=sa.text("completed_at IS NULL"),
    )
    for table in ("ml_monitoring_alerts", "ml_alert_deliveries", "ml_retraining_history"):
        op.execute(
            f"CREATE TRIGGER {table}_never_deleted BEFORE DELETE OR TRUNCATE ON e2i.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION e2i.refuse_changes()"
        )
