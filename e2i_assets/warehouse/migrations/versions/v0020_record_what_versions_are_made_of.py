"""Record what versions are made of and who loaded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Record what versions are made of and who loaded."""
    op.create_table(
        "ml_code_versions",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column(
            "modules",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="module to hash of its source",
        ),
        sa.Column(
            "first_used_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("code"),
        schema="e2i",
        comment="What each code version of a stage is made of.",
    )
    op.create_table(
        "ml_publications",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="hash of code, configuration and inputs"),
        sa.Column("code", sa.Text(), nullable=False, comment="version of the code, see ml_code_versions"),
        sa.Column(
            "config",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="configuration that decided the result",
        ),
        sa.Column(
            "inputs",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="input to asset, version and the run that made it",
        ),
        sa.Column(
            "attributes",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="facts of its making",
        ),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column(
            "published_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("asset", "partition", "version", "run_id", name="ml_publications_once"),
        schema="e2i",
        comment="Every version that passed its gates, with what it was made of.",
    )
    op.add_column(
        "ml_load_batches",
        sa.Column(
            "files",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="table to the file or table that it was read from",
        ),
        schema="e2i",
    )
    op.add_column(
        "ml_load_batches",
        sa.Column(
            "loaded_by",
            sa.Text(),
            nullable=True,
            comment="account that began it; empty before that was recorded",
        ),
        schema="e2i",
    )
