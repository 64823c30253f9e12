"""The tables of the model registry: versions, the ledger of their stages, what shadows showed and
services answered.

Versions and ledger are only ever added to: a trigger refuses UPDATE, DELETE and TRUNCATE, also to the owner.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from e2i_assets.registry.stages import STAGES
from e2i_assets.warehouse.columns import identity, one_of, text
from e2i_assets.warehouse.ddl import SCHEMA
from e2i_assets.warehouse.records import metadata

EVENTS = ("registered", "moved", "requested")


def _json(name: str, comment: str) -> sa.Column:
    return sa.Column(name, JSONB, nullable=False, comment=comment)


model_registry = sa.Table(
    "ml_model_registry",
    metadata,
    sa.Column("model_name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    text("scope"),
    text("partition"),
    text("problem_type"),
    text("algorithm"),
    text("model_fingerprint"),
    text("service", "service that answers with it"),
    text("bento_tag"),
    text("files_hash", "of the bundle's files: what is loaded must have it"),
    text("data_version", "of the splits that it was trained on"),
    _json("trained_on", "versions and loads of the data that it was trained on"),
    _json("metrics", "evidence by the name that a promotion rule has for it; empty where there is none"),
    _json("samples", "patients with a known outcome, by split"),
    sa.Column("mlflow_version", sa.Integer, nullable=False, comment="its number in MLflow's registry"),
    text("mlflow_run_id"),
    text("run_id"),
    sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False),
    sa.UniqueConstraint("model_name", "files_hash", name="ml_model_registry_bundle"),
    sa.CheckConstraint("version >= 1", name="ml_model_registry_version"),
    schema=SCHEMA,
    comment="Every registered version of every model: a bundle that can be served. Only ever added to.",
)


def of_version(column: str = "version") -> sa.ForeignKeyConstraint:
    """The rule that `model_name` and this column name a registered version."""
    return sa.ForeignKeyConstraint(
        ["model_name", column], [model_registry.c.model_name, model_registry.c.version]
    )


model_stage_history = sa.Table(
    "ml_model_stage_history",
    metadata,
    sa.Column("model_name", sa.Text, primary_key=True),
    sa.Column(
        "sequence",
        sa.Integer,
        primary_key=True,
        autoincrement=False,
        comment="one more than the entry before: of two who add to what they saw, one is refused",
    ),
    sa.Column("version", sa.Integer, nullable=False),
    text("event"),
    text("from_stage", nullable=True),
    text("to_stage"),
    text("actor", "who did or asked for it"),
    text("account", "of the operating system, from which it was done"),
    text("approved_by", nullable=True),
    text("note", nullable=True),
    _json("evidence", "each rule with what was wanted and found"),
    text("run_id", nullable=True),
    sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False),
    of_version(),
    sa.CheckConstraint("sequence >= 1", name="ml_model_stage_history_sequence"),
    sa.CheckConstraint(one_of("event", EVENTS), name="ml_model_stage_history_event"),
    sa.CheckConstraint(
        f"{one_of('from_stage', STAGES)} AND {one_of('to_stage', STAGES)}",
        name="ml_model_stage_history_stages",
    ),
    sa.CheckConstraint("(from_stage IS NULL) = (event = 'registered')", name="ml_model_stage_history_first"),
    sa.CheckConstraint("approved_by <> actor", name="ml_model_stage_history_two_people"),
    schema=SCHEMA,
    comment="Who moved which version to which stage, when, on what evidence and with whose approval. "
    "Only ever added to.",
)

shadow_evidence = sa.Table(
    "ml_shadow_evidence",
    metadata,
    sa.Column("model_name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("minute", sa.TIMESTAMP(timezone=True), primary_key=True),
    sa.Column("recorded_by", sa.Text, primary_key=True, comment="process that scored the requests"),
    sa.Column("requests", sa.Integer, nullable=False),
    sa.Column("errors", sa.Integer, nullable=False, comment="requests that the version gave no answer to"),
    sa.Column("latency_p99_ms", sa.Double, comment="empty where nothing was answered"),
    sa.Column(
        "mean_difference", sa.Double, comment="mean size of the difference to the version that answers"
    ),
    of_version(),
    sa.CheckConstraint(
        "errors >= 0 AND requests >= errors AND requests > 0", name="ml_shadow_evidence_counts"
    ),
    sa.CheckConstraint("date_trunc('minute', minute) = minute", name="ml_shadow_evidence_minute"),
    schema=SCHEMA,
    comment="What versions in shadow did beside the one that answers, by minute. Aggregates only.",
)

prediction_log = sa.Table(
    "ml_prediction_log",
    metadata,
    sa.Column("request_id", sa.Text, primary_key=True, comment="of the client, the same when it tries again"),
    sa.Column("row", sa.Integer, primary_key=True, autoincrement=False, comment="in the request, from 0 on"),
    sa.Column("predicted_at", sa.TIMESTAMP(timezone=True), nullable=False),
    text("service"),
    text("release"),
    text("model_name"),
    text("version"),
    text("stage", "in which the version was when its service was built"),
    text("patient_journey_id", "whom the client asked about, where it said so", nullable=True),
    sa.Column("prediction", sa.Double, comment="probability, value or effect; empty of a class"),
    text("prediction_class", nullable=True),
    sa.Column("probabilities", JSONB(none_as_null=True)),
    sa.Column("lower_bound", sa.Double),
    sa.Column("upper_bound", sa.Double),
    sa.Column("features", JSONB(none_as_null=True), comment="those that the scope lets be kept"),
    sa.Column("latency_ms", sa.Double, nullable=False, comment="of the whole request"),
    sa.Index("ix_e2i_ml_prediction_log_asked", "model_name", "predicted_at"),
    sa.Index("ix_e2i_ml_prediction_log_journey", "patient_journey_id"),
    schema=SCHEMA,
    comment="What services answered. Not ml_predictions, which sources load: what our models say is no data "
    "that they learn from.",
)

external_validations = sa.Table(
    "ml_external_validations",
    metadata,
    identity(),
    text("model_name"),
    sa.Column("model_version", sa.Integer, nullable=False),
    text("partition", "whose patients were scored"),
    text("database", "that they are in, without what opens it; empty for this one"),
    sa.Column("patients", sa.Integer, nullable=False),
    text("metric"),
    sa.Column("value", sa.Double, comment="of the model as it is served"),
    sa.Column("low", sa.Double, comment="of the 95 % interval"),
    sa.Column("high", sa.Double),
    _json("details", "every figure, before and after recalibration. Aggregates only"),
    text("account", "of the operating system, from which it was asked for"),
    sa.Column("validated_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
    of_version("model_version"),
    sa.Index("ix_e2i_ml_external_validations_version", "model_name", "model_version"),
    schema=SCHEMA,
    comment="How versions did on patients of other partitions and databases. No rule of promotion reads it. "
    "Only ever added to.",
)
