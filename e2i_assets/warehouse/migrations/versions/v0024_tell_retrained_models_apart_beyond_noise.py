"""Tell retrained models apart beyond noise."""

from __future__ import annotations

from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Judge the comparisons that are on record by their intervals, too; without one nothing was told apart."""
    op.drop_constraint("ml_retraining_history_status", "ml_retraining_history", schema="e2i")
    op.execute(
        """
        UPDATE e2i.ml_retraining_history SET status = CASE
          WHEN jsonb_typeof(comparison -> 'difference_interval') IS DISTINCT FROM 'array' THEN 'level'
          WHEN (comparison -> 'difference_interval' ->> 0)::float8 <= 0
           AND (comparison -> 'difference_interval' ->> 1)::float8 >= 0 THEN 'level'
          WHEN improvement > 0 THEN 'better'
          ELSE 'worse'
        END
        WHERE status IN ('succeeded', 'no_better')
        """
    )
    op.create_check_constraint(
        "ml_retraining_history_status",
        "ml_retraining_history",
        "status IN ('requested', 'approved', 'running', 'better', 'level', 'worse', 'refused', 'failed', 'rejected')",
        schema="e2i",
    )
    op.alter_column(
        "ml_retraining_history",
        "trigger_type",
        comment="drift, performance, scheduled, or a person",
        existing_comment="drift, performance, or a person",
        schema="e2i",
    )
