"""Open a split once for a model in each partition."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Open a split once for a model in each partition."""
    op.drop_constraint(op.f("ml_split_access_once"), "ml_split_access", schema="e2i", type_="unique")
    op.create_unique_constraint(
        "ml_split_access_once", "ml_split_access", ["partition", "model_fingerprint", "split"], schema="e2i"
    )
