"""Source of rows that hang on no journey."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

TABLES = ("business_metrics", "causal_paths", "hcp_profiles")
GENERATED = """
UPDATE e2i.{table} SET data_source = 'synthetic' WHERE (
    SELECT bool_and(truth IS NOT NULL) FROM e2i.ml_load_batches
    WHERE status = 'committed' AND rows ? '{table}'
)"""
"""Where every load of a table declared a truth, its rows are generated; otherwise nobody can tell."""


def upgrade() -> None:
    """Say where each row came from, so that generated ones can be replaced."""
    for table in TABLES:
        op.add_column(
            table,
            sa.Column(
                "data_source", sa.Text(), nullable=True, comment="Name of the source that the row came from"
            ),
            schema="e2i",
        )
        op.get_bind().exec_driver_sql(GENERATED.format(table=table))
