"""Keep external validations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Keep external validations."""
    op.create_table(
        "ml_external_validations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False, comment="whose patients were scored"),
        sa.Column(
            "database",
            sa.Text(),
            nullable=False,
            comment="that they are in, without what opens it; empty for this one",
        ),
        sa.Column("patients", sa.Integer(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True, comment="of the model as it is served"),
        sa.Column("low", sa.Double(), nullable=True, comment="of the 95 % interval"),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="every figure, before and after recalibration. Aggregates only",
        ),
        sa.Column(
            "account",
            sa.Text(),
            nullable=False,
            comment="of the operating system, from which it was asked for",
        ),
        sa.Column(
            "validated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["model_name", "model_version"],
            ["e2i.ml_model_registry.model_name", "e2i.ml_model_registry.version"],
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="e2i",
        comment="How versions did on patients of other partitions and databases. No rule of promotion reads "
        "it. Only ever added to.",
    )
    op.create_index(
        "ix_e2i_ml_external_validations_version",
        "ml_external_validations",
        ["model_name", "model_version"],
        unique=False,
        schema="e2i",
    )
    op.execute(
        "CREATE TRIGGER ml_external_validations_only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE "
        "ON e2i.ml_external_validations FOR EACH STATEMENT EXECUTE FUNCTION e2i.refuse_changes()"
    )
    op.execute(
        "ALTER TABLE e2i.ml_external_validations ENABLE ALWAYS TRIGGER ml_external_validations_only_added_to"
    )
