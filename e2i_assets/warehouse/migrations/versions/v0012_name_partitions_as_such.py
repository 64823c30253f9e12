"""Name partitions as such."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Name partitions as such."""
    op.alter_column("ml_load_batches", "programmes", new_column_name="partitions", schema="e2i")
    # PostgreSQL names the constraint of NOT NULL since version 18, after the column.
    op.execute(
        """
        DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_constraint WHERE conname = 'ml_load_batches_programmes_not_null') THEN
                ALTER TABLE e2i.ml_load_batches RENAME CONSTRAINT ml_load_batches_programmes_not_null
                    TO ml_load_batches_partitions_not_null;
            END IF;
        END $$
        """
    )
    op.alter_column(
        "patient_journeys",
        "brand",
        existing_type=sa.TEXT(),
        comment="Brand of the partition",
        existing_comment="Brand of the programme",
        existing_nullable=False,
        schema="e2i",
    )
    op.alter_column(
        "patient_journeys",
        "indication",
        existing_type=sa.TEXT(),
        comment="Indication of the partition",
        existing_comment="Indication of the programme",
        existing_nullable=False,
        schema="e2i",
    )
    op.alter_column(
        "patient_journeys",
        "clinical_attributes",
        existing_type=postgresql.JSONB(astext_type=sa.Text()),
        comment="Further clinical values of this partition, a JSON object; each becomes a column of the extract",
        existing_comment="Further clinical values of this programme, a JSON object; each becomes a column of the extract",
        existing_nullable=True,
        schema="e2i",
    )
