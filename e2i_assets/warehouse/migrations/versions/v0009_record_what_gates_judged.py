"""Record what gates judged and what opened splits told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Record what gates judged and what opened splits told."""
    op.add_column(
        "ml_gate_results",
        sa.Column(
            "version",
            sa.Text(),
            nullable=True,
            comment="of the artifact that was judged; empty where none could be made",
        ),
        schema="e2i",
    )
    op.create_index(
        "ml_gate_results_of_version",
        "ml_gate_results",
        ["asset", "partition", "version"],
        unique=False,
        schema="e2i",
    )
    op.add_column(
        "ml_split_access",
        sa.Column(
            "result",
            sa.Text(),
            nullable=True,
            comment="what was learnt, as JSON: aggregates; empty until there is a result",
        ),
        schema="e2i",
    )
    op.alter_column(
        "ml_split_attempts",
        "outcome",
        existing_type=sa.TEXT(),
        comment="opened, resumed, or the kind of refusal",
        existing_comment="opened, or the kind of refusal",
        existing_nullable=False,
        schema="e2i",
    )
