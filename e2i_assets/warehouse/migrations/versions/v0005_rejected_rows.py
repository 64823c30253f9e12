"""Rejected rows, kept where few may read them, and loads that are not committed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

RESTRICT = """
REVOKE ALL ON e2i.ml_rejected_rows FROM PUBLIC;
ALTER TABLE e2i.ml_rejected_rows ENABLE ROW LEVEL SECURITY;
DO $$
BEGIN
    IF to_regrole('e2i_data_steward') IS NULL THEN
        CREATE ROLE e2i_data_steward NOLOGIN;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE WARNING 'no right to create role e2i_data_steward: only the owner reads e2i.ml_rejected_rows';
    WHEN duplicate_object OR unique_violation THEN
        NULL;  -- another database of the server has just made it
END $$;
DO $$
BEGIN
    IF to_regrole('e2i_data_steward') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA e2i TO e2i_data_steward;
        GRANT SELECT ON e2i.ml_rejected_rows TO e2i_data_steward;
        CREATE POLICY stewards_read ON e2i.ml_rejected_rows FOR SELECT TO e2i_data_steward USING (true);
    END IF;
END $$;
"""
"""A row keeps patient data that passed no check. Row security holds where somebody grants SELECT on all tables."""


def upgrade() -> None:
    """Rejected rows, kept where few may read them, and loads that are not committed."""
    op.create_table(
        "ml_rejected_rows",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("load_id", sa.BigInteger(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False, comment="file or generator that the row came from"),
        sa.Column(
            "row_number", sa.BigInteger(), nullable=True, comment="number of the row in its origin, from 1"
        ),
        sa.Column("key", sa.Text(), nullable=True, comment="primary key of the row, where it has one"),
        sa.Column(
            "column_name",
            sa.Text(),
            nullable=True,
            comment="column that breaks the rule; empty for a condition over several",
        ),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, comment="the rule in words"),
        sa.Column(
            "content",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the row as it was given: patient data",
        ),
        sa.ForeignKeyConstraint(["load_id"], ["e2i.ml_load_batches.load_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        schema="e2i",
        comment="Rows that were not loaded, whole; only the owner and the role e2i_data_steward read them.",
    )
    op.create_index(
        op.f("ix_e2i_ml_rejected_rows_load_id"), "ml_rejected_rows", ["load_id"], unique=False, schema="e2i"
    )
    op.add_column(
        "ml_load_batches",
        sa.Column(
            "fingerprint",
            sa.Text(),
            nullable=True,
            comment="what makes an interrupted load and its next run the same load",
        ),
        schema="e2i",
    )
    op.add_column(
        "ml_load_batches",
        sa.Column("status", sa.Text(), server_default="committed", nullable=False),
        schema="e2i",
    )
    op.add_column(
        "ml_load_batches",
        sa.Column(
            "rejected",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="table to rows that broke a rule",
        ),
        schema="e2i",
    )
    op.add_column(
        "ml_load_batches",
        sa.Column("started_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        schema="e2i",
    )
    op.alter_column(
        "ml_load_batches",
        "rows",
        existing_type=postgresql.JSONB(astext_type=sa.Text()),
        server_default=sa.text("'{}'"),
        existing_comment="table to rows given",
        existing_nullable=False,
        schema="e2i",
    )
    op.alter_column(
        "ml_load_batches",
        "changed",
        existing_type=postgresql.JSONB(astext_type=sa.Text()),
        server_default=sa.text("'{}'"),
        existing_comment="table to rows inserted, updated or removed",
        existing_nullable=False,
        schema="e2i",
    )
    op.alter_column(
        "ml_load_batches",
        "programmes",
        existing_type=postgresql.JSONB(astext_type=sa.Text()),
        server_default=sa.text("'[]'"),
        existing_comment="brand/indication pairs that the load touched",
        existing_nullable=False,
        schema="e2i",
    )
    op.alter_column(
        "ml_load_batches",
        "committed_at",
        existing_type=postgresql.TIMESTAMP(timezone=True),
        nullable=True,
        comment="when its rows became visible; empty for a load that is staging, failed or abandoned",
        existing_server_default=sa.text("now()"),
        schema="e2i",
    )
    op.create_table_comment(
        "ml_load_batches",
        "One row per load: begun with its first batch, completed in the transaction that publishes it.",
        existing_comment="One row per committed load, written in the transaction of the load itself.",
        schema="e2i",
    )
    op.create_check_constraint(
        "ml_load_batches_status",
        "ml_load_batches",
        "status IN ('staging', 'committed', 'failed', 'abandoned')",
        schema="e2i",
    )
    op.execute("UPDATE e2i.ml_load_batches SET started_at = committed_at")
    op.execute(RESTRICT)
