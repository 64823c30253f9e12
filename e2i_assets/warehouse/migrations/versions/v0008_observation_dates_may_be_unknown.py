"""Tables without dates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Let the days of observation be unknown, for programmes that ask for no window."""
    op.alter_column(
        "patient_journeys",
        "first_observation_date",
        existing_type=sa.DATE(),
        nullable=True,
        existing_comment="First day under observation",
        schema="e2i",
    )
    op.alter_column(
        "patient_journeys",
        "last_observation_date",
        existing_type=sa.DATE(),
        nullable=True,
        existing_comment="Last day under observation",
        schema="e2i",
    )
