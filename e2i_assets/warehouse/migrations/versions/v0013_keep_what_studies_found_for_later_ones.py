"""Keep what studies found for later ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Keep what studies found for later ones."""
    op.create_table(
        "ml_hpo_patterns",
        sa.Column("pattern_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("study", sa.Text(), nullable=False, comment="hash of data, code and configuration"),
        sa.Column(
            "learnt_until",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="patterns recorded before were tried first; when the data of the study were loaded",
        ),
        sa.Column("study_name", sa.Text(), nullable=False),
        sa.Column("algorithm_name", sa.Text(), nullable=False),
        sa.Column("problem_type", sa.Text(), nullable=False),
        sa.Column("search_space", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("best_hyperparameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("best_value", sa.Double(), nullable=False),
        sa.Column("optimization_metric", sa.Text(), nullable=False),
        sa.Column("trials_to_best", sa.Integer(), nullable=False, comment="trials until the best was found"),
        sa.Column("warm_started", sa.Boolean(), nullable=False),
        sa.Column("n_samples", sa.Integer(), nullable=True),
        sa.Column("n_features", sa.Integer(), nullable=True),
        sa.Column("n_classes", sa.Integer(), nullable=True),
        sa.Column("class_balance", sa.Double(), nullable=True, comment="share of the rarest class"),
        sa.Column("feature_types", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("n_trials", sa.Integer(), nullable=False),
        sa.Column("n_completed", sa.Integer(), nullable=False),
        sa.Column("n_pruned", sa.Integer(), nullable=False),
        sa.Column("duration_seconds", sa.Double(), nullable=False),
        sa.Column("times_used_as_warmstart", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "warmstart_improvement_avg",
            sa.Double(),
            nullable=True,
            comment="best value of the studies that used it, less its own, in the mean",
        ),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("pattern_id"),
        sa.UniqueConstraint("study"),
        schema="e2i",
        comment="What studies found, for similar ones to start from. Aggregates only.",
    )
    op.create_index(
        "ml_hpo_patterns_alike",
        "ml_hpo_patterns",
        ["algorithm_name", "problem_type"],
        unique=False,
        schema="e2i",
    )
    op.add_column(
        "ml_hpo_studies",
        sa.Column("n_failed", sa.Integer(), server_default="0", nullable=False),
        schema="e2i",
    )
    op.add_column(
        "ml_hpo_studies",
        sa.Column(
            "finals",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
            comment="fits of the best trials on more rows",
        ),
        schema="e2i",
    )
    op.add_column(
        "ml_hpo_studies",
        sa.Column(
            "warm_start",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
            comment="patterns of earlier studies whose parameters were tried first",
        ),
        schema="e2i",
    )
    op.add_column(
        "ml_hpo_studies",
        sa.Column(
            "trials_sooner",
            sa.Integer(),
            nullable=True,
            comment="than a cold start; empty where there is none to compare",
        ),
        schema="e2i",
    )
