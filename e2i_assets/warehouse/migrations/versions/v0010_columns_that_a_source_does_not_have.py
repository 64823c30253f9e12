"""Columns that a source does not have."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Keep beside each load which columns its source does not have."""
    op.add_column(
        "ml_load_batches",
        sa.Column(
            "not_collected",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="table to columns that the source does not have",
        ),
        schema="e2i",
    )
