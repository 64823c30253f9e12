"""Quality reports of single splits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """A report may be of one split."""
    op.add_column(
        "ml_data_quality_reports",
        sa.Column(
            "split",
            sa.Text(),
            nullable=True,
            comment="split that the figures are of; empty for all rows of the partition",
        ),
        schema="e2i",
    )
