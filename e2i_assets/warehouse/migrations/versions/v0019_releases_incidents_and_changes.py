"""Releases of services, incidents, and changes by the API."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Keep releases of services; the bundles that were built get a table of their own name."""
    op.rename_table("ml_bentoml_services", "ml_bento_bundles", schema="e2i")
    op.execute("ALTER SEQUENCE e2i.ml_bentoml_services_id_seq RENAME TO ml_bento_bundles_id_seq")
    # From PostgreSQL 18 on a NOT NULL has a name as well.
    op.execute(
        """
        DO $$ DECLARE old text; BEGIN
            FOR old IN SELECT conname FROM pg_constraint WHERE conrelid = 'e2i.ml_bento_bundles'::regclass LOOP
                EXECUTE format('ALTER TABLE e2i.ml_bento_bundles RENAME CONSTRAINT %I TO %I',
                               old, replace(old, 'ml_bentoml_services', 'ml_bento_bundles'));
            END LOOP;
        END $$
        """
    )
    op.create_table(
        "ml_bentoml_services",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("service_name", sa.Text(), nullable=False),
        sa.Column(
            "release",
            sa.Text(),
            nullable=False,
            comment="hash of the members; the version of the service's Bento",
        ),
        sa.Column(
            "members",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the model versions that it serves",
        ),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False, comment="deploy, rollback, or automatic_rollback"),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it was asked for, or failed"),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("answered_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("ended_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('wanted', 'active', 'replaced', 'rolled_back', 'failed', 'superseded')",
            name="ml_bentoml_services_status",
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="e2i",
        comment="Every release that a service was asked for, and what became of it.",
    )
    for status in ("wanted", "active"):
        op.create_index(
            f"ml_bentoml_services_one_{status}",
            "ml_bentoml_services",
            ["service_name"],
            unique=True,
            schema="e2i",
            postgresql_where=sa.text(f"status = '{status}'"),
        )
    op.create_index(
        "ml_bentoml_services_newest",
        "ml_bentoml_services",
        ["service_name", "id"],
        unique=False,
        schema="e2i",
    )
    op.create_table(
        "ml_incidents",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("service_name", sa.Text(), nullable=False),
        sa.Column("release", sa.Text(), nullable=True),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="such as process_died, release_failed, rolled_back"
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False, comment="what was done about it"),
        sa.Column(
            "occurred_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="e2i",
        comment="What went wrong with a service, and what was done about it.",
    )
    op.create_index("ml_incidents_newest", "ml_incidents", ["service_name", "id"], unique=False, schema="e2i")
    op.create_table(
        "ml_api_audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False, comment="address that asked"),
        sa.Column(
            "outcome", sa.Text(), nullable=False, comment="begun, done, failed, or the kind of refusal"
        ),
        sa.Column(
            "occurred_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="e2i",
        comment="Every change that was asked of the operations API, also those that were refused.",
    )
