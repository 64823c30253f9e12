"""Keep versions of models and their stages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"

_REFUSE_CHANGES = """
CREATE FUNCTION e2i.refuse_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is only ever added to: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation', HINT = 'Add an entry that says what is so now.';
END $$"""


def upgrade() -> None:
    """Keep versions of models and their stages."""
    op.create_table(
        "ml_model_registry",
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("problem_type", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("model_fingerprint", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False, comment="service that answers with it"),
        sa.Column("bento_tag", sa.Text(), nullable=False),
        sa.Column(
            "files_hash",
            sa.Text(),
            nullable=False,
            comment="of the bundle's files: what is loaded must have it",
        ),
        sa.Column("data_version", sa.Text(), nullable=False, comment="of the splits that it was trained on"),
        sa.Column(
            "trained_on",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="versions and loads of the data that it was trained on",
        ),
        sa.Column(
            "metrics",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="evidence by the name that a promotion rule has for it; empty where there is none",
        ),
        sa.Column(
            "samples",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="patients with a known outcome, by split",
        ),
        sa.Column("mlflow_version", sa.Integer(), nullable=False, comment="its number in MLflow's registry"),
        sa.Column("mlflow_run_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("version >= 1", name="ml_model_registry_version"),
        sa.PrimaryKeyConstraint("model_name", "version"),
        sa.UniqueConstraint("model_name", "files_hash", name="ml_model_registry_bundle"),
        schema="e2i",
        comment="Every registered version of every model: a bundle that can be served. Only ever added to.",
    )
    op.create_table(
        "ml_model_stage_history",
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column(
            "sequence",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="one more than the entry before: of two who add to what they saw, one is refused",
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("from_stage", sa.Text(), nullable=True),
        sa.Column("to_stage", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False, comment="who did or asked for it"),
        sa.Column(
            "account", sa.Text(), nullable=False, comment="of the operating system, from which it was done"
        ),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column(
            "evidence",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="each rule with what was wanted and found",
        ),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(from_stage IS NULL) = (event = 'registered')", name="ml_model_stage_history_first"
        ),
        sa.CheckConstraint(
            "event IN ('registered', 'moved', 'requested')", name="ml_model_stage_history_event"
        ),
        sa.CheckConstraint(
            "from_stage IN ('development', 'staging', 'shadow', 'production', 'archived') AND to_stage IN ('development', 'staging', 'shadow', 'production', 'archived')",
            name="ml_model_stage_history_stages",
        ),
        sa.CheckConstraint("approved_by <> actor", name="ml_model_stage_history_two_people"),
        sa.CheckConstraint("sequence >= 1", name="ml_model_stage_history_sequence"),
        sa.ForeignKeyConstraint(
            ["model_name", "version"],
            ["e2i.ml_model_registry.model_name", "e2i.ml_model_registry.version"],
        ),
        sa.PrimaryKeyConstraint("model_name", "sequence"),
        schema="e2i",
        comment="Who moved which version to which stage, when, on what evidence and with whose approval. Only ever added to.",
    )
    op.create_table(
        "ml_shadow_evidence",
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("minute", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False, comment="process that scored the requests"),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column(
            "errors", sa.Integer(), nullable=False, comment="requests that the version gave no answer to"
        ),
        sa.Column("latency_p99_ms", sa.Double(), nullable=True, comment="empty where nothing was answered"),
        sa.Column(
            "mean_difference",
            sa.Double(),
            nullable=True,
            comment="mean size of the difference to the version that answers",
        ),
        sa.CheckConstraint("date_trunc('minute', minute) = minute", name="ml_shadow_evidence_minute"),
        sa.CheckConstraint(
            "errors >= 0 AND requests >= errors AND requests > 0", name="ml_shadow_evidence_counts"
        ),
        sa.ForeignKeyConstraint(
            ["model_name", "version"],
            ["e2i.ml_model_registry.model_name", "e2i.ml_model_registry.version"],
        ),
        sa.PrimaryKeyConstraint("model_name", "version", "minute", "recorded_by"),
        schema="e2i",
        comment="What versions in shadow did beside the one that answers, by minute. Aggregates only.",
    )
    op.execute(_REFUSE_CHANGES)
    for table in ("ml_model_registry", "ml_model_stage_history"):
        op.execute(
            f"CREATE TRIGGER {table}_only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON e2i.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION e2i.refuse_changes()"
        )
        # Also where a session replays another's changes.
        op.execute(f"ALTER TABLE e2i.{table} ENABLE ALWAYS TRIGGER {table}_only_added_to")
