"""Record tables of serving: the releases that services were asked for, incidents, and changes by the API."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from e2i_assets.warehouse.columns import identity, text
from e2i_assets.warehouse.ddl import SCHEMA
from e2i_assets.warehouse.registry_records import metadata

STATUSES = ("wanted", "active", "replaced", "rolled_back", "failed", "superseded")
"""Of a release: to be brought up; answering; answered until another took over; answered until it was rolled
back; never answered; given up for a newer wish before it answered."""


def _moment(name: str, *, now: bool = False) -> sa.Column:
    default = sa.func.now() if now else None
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=not now, server_default=default)


def _only_one(status: str) -> sa.Index:
    return sa.Index(
        f"ml_bentoml_services_one_{status}",
        "service_name",
        unique=True,
        postgresql_where=sa.text(f"status = '{status}'"),
    )


bentoml_services = sa.Table(
    "ml_bentoml_services",
    metadata,
    identity(),
    text("service_name"),
    text("release", "hash of the members; the version of the service's Bento"),
    sa.Column("members", JSONB, nullable=False, comment="the model versions that it serves"),
    text("status"),
    text("cause", "deploy, rollback, or automatic_rollback"),
    text("asked_by"),
    text("run_id", nullable=True),
    text("reason", "why it was asked for, or failed", nullable=True),
    _moment("created_at", now=True),
    _moment("answered_at"),
    _moment("ended_at"),
    sa.CheckConstraint(
        f"status IN ({', '.join(repr(status) for status in STATUSES)})", name="ml_bentoml_services_status"
    ),
    _only_one("wanted"),
    _only_one("active"),
    sa.Index("ml_bentoml_services_newest", "service_name", "id"),
    schema=SCHEMA,
    comment="Every release that a service was asked for, and what became of it.",
)

incidents = sa.Table(
    "ml_incidents",
    metadata,
    identity(),
    text("service_name"),
    text("release", nullable=True),
    text("kind", "such as process_died, release_failed, rolled_back"),
    text("reason"),
    text("action", "what was done about it"),
    _moment("occurred_at", now=True),
    sa.Index("ml_incidents_newest", "service_name", "id"),
    schema=SCHEMA,
    comment="What went wrong with a service, and what was done about it.",
)

api_audit = sa.Table(
    "ml_api_audit",
    metadata,
    identity(),
    text("action"),
    sa.Column("request", JSONB, nullable=False),
    text("caller", "address that asked"),
    text("outcome", "begun, done, failed, or the kind of refusal"),
    _moment("occurred_at", now=True),
    schema=SCHEMA,
    comment="Every change that was asked of the operations API, also those that were refused.",
)
