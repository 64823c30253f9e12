"""Keep the next best of a study as well."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Keep the next best of a study as well."""
    op.add_column(
        "ml_hpo_patterns",
        sa.Column(
            "next_hyperparameters",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
            comment="of the next best trials, best first",
        ),
        schema="e2i",
    )
