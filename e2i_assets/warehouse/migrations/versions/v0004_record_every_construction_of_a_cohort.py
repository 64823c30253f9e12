"""Record every construction of a cohort."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Record every construction of a cohort."""
    op.create_table(
        "ml_cohort_executions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("config_hash", sa.Text(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("total_count", sa.BigInteger(), nullable=False),
        sa.Column("eligible_count", sa.BigInteger(), nullable=False),
        sa.Column(
            "result",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the attrition and the table of all masks",
        ),
        sa.Column(
            "raw_versions",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="raw table to the version that was read",
        ),
        sa.Column(
            "executed_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["config_hash"],
            ["e2i.ml_cohort_definitions.config_hash"],
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="e2i",
        comment="Every construction of a cohort, also one that a gate refused.",
    )
    op.create_index(
        "ml_cohort_executions_newest", "ml_cohort_executions", ["partition", "id"], unique=False, schema="e2i"
    )
    op.add_column(
        "ml_cohort_eligibility_log",
        sa.Column(
            "sole_removed_count",
            sa.BigInteger(),
            nullable=True,
            comment="rows that this rule alone keeps out",
        ),
        schema="e2i",
    )
    op.add_column(
        "ml_cohort_eligibility_log",
        sa.Column("condition", sa.Text(), nullable=True, comment="the rule in a few words"),
        schema="e2i",
    )
