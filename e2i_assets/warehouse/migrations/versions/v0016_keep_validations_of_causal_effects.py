"""Keep validations of causal effects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Keep validations of causal effects."""
    op.create_table(
        "causal_validations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("test_type", sa.Text(), nullable=False, comment="what was tried, such as cross_library"),
        sa.Column("status", sa.Text(), nullable=False, comment="only passed satisfies a gate"),
        sa.Column("treatment_variable", sa.Text(), nullable=False),
        sa.Column("outcome_variable", sa.Text(), nullable=False),
        sa.Column("covariates", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column(
            "agreement_score",
            sa.Double(),
            nullable=True,
            comment="0 to 1; empty with fewer than two estimates",
        ),
        sa.Column(
            "effect",
            sa.Double(),
            nullable=True,
            comment="what the estimates say together; empty where they say nothing",
        ),
        sa.Column(
            "effect_low",
            sa.Double(),
            nullable=True,
            comment="of an interval that holds those of all estimates",
        ),
        sa.Column("effect_high", sa.Double(), nullable=True),
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="each estimate with interval, time and version",
        ),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column(
            "validated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="e2i",
        comment="Every validation of a causal estimate, also of those that failed. Aggregates only.",
    )
    op.create_index(
        "causal_validations_newest",
        "causal_validations",
        ["scope", "partition", "id"],
        unique=False,
        schema="e2i",
    )
