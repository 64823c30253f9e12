"""Outcomes of follow-up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Therapy stopped, prescriptions and value: columns that earlier loads do not have."""
    op.add_column(
        "patient_journeys",
        sa.Column(
            "discontinued",
            sa.Boolean(),
            nullable=True,
            comment="Whether drug therapy, the brand or what was taken before it, was stopped within the follow-up window; empty where none was taken",
        ),
        schema="e2i",
    )
    op.add_column(
        "patient_journeys",
        sa.Column(
            "trx_followup",
            sa.BigInteger(),
            nullable=True,
            comment="Prescriptions of the brand and of its class filled within the follow-up window (TRx) (prescriptions)",
        ),
        schema="e2i",
    )
    op.add_column(
        "patient_journeys",
        sa.Column(
            "lifetime_value",
            sa.Double(),
            nullable=True,
            comment="Net revenue expected of the patient for life, as reckoned when the follow-up window has passed (USD)",
        ),
        schema="e2i",
    )
    op.create_check_constraint(
        "patient_journeys_lifetime_value_low", "patient_journeys", "lifetime_value >= 0", schema="e2i"
    )
    op.create_check_constraint(
        "patient_journeys_trx_followup_low", "patient_journeys", "trx_followup >= 0", schema="e2i"
    )
    # What was loaded before has none of them, and that is no fault of its data.
    op.execute(
        """
        UPDATE e2i.ml_load_batches SET not_collected = not_collected || jsonb_build_object(
            'patient_journeys', coalesce(not_collected -> 'patient_journeys', '[]')
                || '["discontinued", "lifetime_value", "trx_followup"]')
        """
    )
