"""The first released schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from e2i_assets.warehouse.migrations.first_release import create_source_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """The first released schema."""
    create_source_tables()
    op.create_table(
        "ml_bentoml_services",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("service_name", sa.Text(), nullable=False),
        sa.Column("bento_tag", sa.Text(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("model_fingerprint", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("bento_tag"),
        schema="e2i",
        comment="Every bundle that was built.",
    )
    op.create_table(
        "ml_cohort_definitions",
        sa.Column("config_hash", sa.Text(), nullable=False),
        sa.Column("cohort_id", sa.Text(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("config_json", JSONB(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("config_hash"),
        schema="e2i",
        comment="Each definition of a cohort once, by its content.",
    )
    op.create_table(
        "ml_data_quality_reports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("overall_status", sa.Text(), nullable=False),
        sa.Column("overall_score", sa.Double(), nullable=False),
        sa.Column("completeness_score", sa.Double(), nullable=True),
        sa.Column("validity_score", sa.Double(), nullable=True),
        sa.Column("consistency_score", sa.Double(), nullable=True),
        sa.Column("uniqueness_score", sa.Double(), nullable=True),
        sa.Column("timeliness_score", sa.Double(), nullable=True),
        sa.Column("expectations_evaluated", sa.Integer(), nullable=False),
        sa.Column("expectations_failed", sa.Integer(), nullable=False),
        sa.Column("report", JSONB(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("run_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        schema="e2i",
        comment="Every quality report, also of data that was refused.",
    )
    op.create_table(
        "ml_gate_results",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("details", JSONB(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column(
            "evaluated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="e2i",
        comment="Every evaluation of every gate.",
    )
    op.create_table(
        "ml_hpo_studies",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("study_name", sa.Text(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("algorithm_name", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("n_trials", sa.Integer(), nullable=False),
        sa.Column("n_completed", sa.Integer(), nullable=False),
        sa.Column("n_pruned", sa.Integer(), nullable=False),
        sa.Column("best_value", sa.Double(), nullable=False),
        sa.Column("best_params", JSONB(), nullable=False),
        sa.Column("trials", JSONB(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column(
            "completed_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="e2i",
        comment="History of each hyperparameter study.",
    )
    op.create_table(
        "ml_load_batches",
        sa.Column("load_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("rows", JSONB(), nullable=False, comment="table to rows given"),
        sa.Column(
            "changed",
            JSONB(),
            nullable=False,
            comment="table to rows inserted, updated or removed",
        ),
        sa.Column(
            "programmes",
            JSONB(),
            nullable=False,
            comment="brand/indication pairs that the load touched",
        ),
        sa.Column(
            "truth",
            JSONB(),
            nullable=True,
            comment="declared truth of generated data",
        ),
        sa.Column(
            "committed_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("load_id"),
        schema="e2i",
        comment="One row per committed load, written in the transaction of the load itself.",
    )
    op.create_table(
        "ml_split_access",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("model_fingerprint", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("result_version", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column(
            "accessed_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("split IN ('test', 'holdout')", name="ml_split_access_split"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("model_fingerprint", "split", name="ml_split_access_once"),
        schema="e2i",
        comment="Sealed splits open once for a model.",
    )
    op.create_table(
        "ml_split_assignments",
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column(
            "assigned_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint(
            "split IN ('train', 'validation', 'test', 'holdout')", name="ml_split_assignments_split"
        ),
        sa.PrimaryKeyConstraint("partition", "patient_id"),
        schema="e2i",
        comment="A patient keeps the split of a partition for ever.",
    )
    op.create_table(
        "ml_training_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("model_fingerprint", sa.Text(), nullable=False),
        sa.Column("hyperparameters", JSONB(), nullable=False),
        sa.Column("training_samples", sa.Integer(), nullable=False),
        sa.Column("validation_samples", sa.Integer(), nullable=False),
        sa.Column("metrics", JSONB(), nullable=False),
        sa.Column("data_versions", JSONB(), nullable=False),
        sa.Column("mlflow_run_id", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column(
            "completed_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="e2i",
    )
    op.create_table(
        "ml_cohort_eligibility_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("config_hash", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("criterion_order", sa.Integer(), nullable=False),
        sa.Column("criterion_name", sa.Text(), nullable=False),
        sa.Column("criterion_type", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("criterion_value", JSONB(), nullable=True),
        sa.Column("removed_count", sa.BigInteger(), nullable=False),
        sa.Column("null_count", sa.BigInteger(), nullable=False),
        sa.Column("remaining_count", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("clinical_rationale", sa.Text(), nullable=True),
        sa.Column("applied_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["config_hash"],
            ["e2i.ml_cohort_definitions.config_hash"],
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="e2i",
    )
