"""The `ml_*` record tables: what every load, gate, split, study, training run and bundle leaves behind."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from e2i_assets.warehouse.columns import identity, text
from e2i_assets.warehouse.ddl import SCHEMA, data_tables, rejected_columns

metadata = sa.MetaData()
data = data_tables(metadata)


def _now(name: str) -> sa.Column:
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now())


def _json(name: str) -> sa.Column:
    return sa.Column(name, JSONB, nullable=False)


def _empty(name: str, comment: str, value: str = "{}") -> sa.Column:
    return sa.Column(name, JSONB, nullable=False, server_default=sa.text(f"'{value}'"), comment=comment)


load_batches = sa.Table(
    "ml_load_batches",
    metadata,
    sa.Column("load_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    text("source"),
    sa.Column(
        "fingerprint", sa.Text, comment="what makes an interrupted load and its next run the same load"
    ),
    sa.Column("status", sa.Text, nullable=False, server_default="committed"),
    _empty("rows", "table to rows given"),
    _empty("changed", "table to rows inserted, updated or removed"),
    _empty("rejected", "table to rows that broke a rule"),
    _empty("partitions", "brand/indication pairs that the load touched", "[]"),
    sa.Column("truth", JSONB, comment="declared truth of generated data"),
    _empty("not_collected", "table to columns that the source does not have"),
    _empty("files", "table to the file or table that it was read from"),
    sa.Column("loaded_by", sa.Text, comment="account that began it; empty before that was recorded"),
    _now("started_at"),
    sa.Column(
        "committed_at",
        sa.TIMESTAMP(timezone=True),
        server_default=sa.func.now(),
        comment="when its rows became visible; empty for a load that is staging, failed or abandoned",
    ),
    sa.CheckConstraint(
        "status IN ('staging', 'committed', 'failed', 'abandoned')", name="ml_load_batches_status"
    ),
    schema=SCHEMA,
    comment="One row per load: begun with its first batch, completed in the transaction that publishes it.",
)

rejected_rows = sa.Table(
    "ml_rejected_rows",
    metadata,
    identity(),
    sa.Column(
        "load_id", sa.ForeignKey(load_batches.c.load_id, ondelete="CASCADE"), nullable=False, index=True
    ),
    *rejected_columns(),
    schema=SCHEMA,
    comment="Rows that were not loaded, whole; only the owner and the role e2i_data_steward read them.",
)

gate_results = sa.Table(
    "ml_gate_results",
    metadata,
    identity(),
    text("asset"),
    text("partition"),
    sa.Column("version", sa.Text, comment="of the artifact that was judged; empty where none could be made"),
    text("gate"),
    sa.Column("passed", sa.Boolean, nullable=False),
    text("reason", nullable=True),
    _json("details"),
    text("run_id"),
    _now("evaluated_at"),
    sa.Index("ml_gate_results_of_version", "asset", "partition", "version"),
    schema=SCHEMA,
    comment="Every evaluation of every gate.",
)

publications = sa.Table(
    "ml_publications",
    metadata,
    identity(),
    text("asset"),
    text("partition"),
    text("version"),
    sa.Column("fingerprint", sa.Text, nullable=False, comment="hash of code, configuration and inputs"),
    sa.Column("code", sa.Text, nullable=False, comment="version of the code, see ml_code_versions"),
    sa.Column("config", JSONB, nullable=False, comment="configuration that decided the result"),
    sa.Column("inputs", JSONB, nullable=False, comment="input to asset, version and the run that made it"),
    sa.Column("attributes", JSONB, nullable=False, comment="facts of its making"),
    text("run_id"),
    _now("published_at"),
    sa.UniqueConstraint("asset", "partition", "version", "run_id", name="ml_publications_once"),
    schema=SCHEMA,
    comment="Every version that passed its gates, with what it was made of.",
)

code_versions = sa.Table(
    "ml_code_versions",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("modules", JSONB, nullable=False, comment="module to hash of its source"),
    _now("first_used_at"),
    schema=SCHEMA,
    comment="What each code version of a stage is made of.",
)

data_quality_reports = sa.Table(
    "ml_data_quality_reports",
    metadata,
    identity(),
    text("partition"),
    sa.Column("split", sa.Text, comment="split that the figures are of; empty for all rows of the partition"),
    sa.Column("overall_status", sa.Text, nullable=False),
    sa.Column("overall_score", sa.Double, nullable=False),
    *[
        sa.Column(f"{dimension}_score", sa.Double)
        for dimension in ("completeness", "validity", "consistency", "uniqueness", "timeliness")
    ],
    sa.Column("expectations_evaluated", sa.Integer, nullable=False),
    sa.Column("expectations_failed", sa.Integer, nullable=False),
    _json("report"),
    text("run_id"),
    _now("run_at"),
    schema=SCHEMA,
    comment="Every quality report, also of data that was refused.",
)

cohort_definitions = sa.Table(
    "ml_cohort_definitions",
    metadata,
    sa.Column("config_hash", sa.Text, primary_key=True),
    text("cohort_id"),
    text("partition"),
    text("version"),
    _json("config_json"),
    _now("created_at"),
    schema=SCHEMA,
    comment="Each definition of a cohort once, by its content.",
)

cohort_executions = sa.Table(
    "ml_cohort_executions",
    metadata,
    identity(),
    sa.Column("config_hash", sa.ForeignKey(cohort_definitions.c.config_hash), nullable=False),
    text("partition"),
    text("run_id"),
    sa.Column("total_count", sa.BigInteger, nullable=False),
    sa.Column("eligible_count", sa.BigInteger, nullable=False),
    sa.Column("result", JSONB, nullable=False, comment="the attrition and the table of all masks"),
    sa.Column("raw_versions", JSONB, nullable=False, comment="raw table to the version that was read"),
    _now("executed_at"),
    sa.Index("ml_cohort_executions_newest", "partition", "id"),
    schema=SCHEMA,
    comment="Every construction of a cohort, also one that a gate refused.",
)

cohort_eligibility_log = sa.Table(
    "ml_cohort_eligibility_log",
    metadata,
    identity(),
    sa.Column("config_hash", sa.ForeignKey(cohort_definitions.c.config_hash), nullable=False),
    text("run_id"),
    sa.Column("criterion_order", sa.Integer, nullable=False),
    text("criterion_name"),
    text("criterion_type"),
    text("operator"),
    sa.Column("criterion_value", JSONB),
    sa.Column("removed_count", sa.BigInteger, nullable=False),
    sa.Column("null_count", sa.BigInteger, nullable=False),
    sa.Column("remaining_count", sa.BigInteger, nullable=False),
    sa.Column("sole_removed_count", sa.BigInteger, comment="rows that this rule alone keeps out"),
    sa.Column("condition", sa.Text, comment="the rule in a few words"),
    text("description", nullable=True),
    text("clinical_rationale", nullable=True),
    _now("applied_at"),
    schema=SCHEMA,
)

split_assignments = sa.Table(
    "ml_split_assignments",
    metadata,
    sa.Column("partition", sa.Text, primary_key=True),
    sa.Column("patient_id", sa.Text, primary_key=True),
    sa.Column("split", sa.Text, nullable=False),
    _now("assigned_at"),
    sa.CheckConstraint(
        "split IN ('train', 'validation', 'test', 'holdout')", name="ml_split_assignments_split"
    ),
    schema=SCHEMA,
    comment="A patient keeps the split of a partition for ever.",
)

split_access = sa.Table(
    "ml_split_access",
    metadata,
    identity(),
    text("partition"),
    text("split"),
    text("model_fingerprint"),
    text("purpose"),
    text("result_version", nullable=True),
    sa.Column(
        "result", sa.Text, comment="what was learnt, as JSON: aggregates; empty until there is a result"
    ),
    text("run_id"),
    text("opened_by", nullable=True),
    _now("accessed_at"),
    sa.UniqueConstraint("partition", "model_fingerprint", "split", name="ml_split_access_once"),
    sa.CheckConstraint("split IN ('test', 'holdout')", name="ml_split_access_split"),
    schema=SCHEMA,
    comment="Sealed splits open once for a model.",
)

split_attempts = sa.Table(
    "ml_split_attempts",
    metadata,
    identity(),
    text("partition"),
    text("split"),
    text("model_fingerprint"),
    text("purpose"),
    sa.Column("outcome", sa.Text, nullable=False, comment="opened, resumed, or the kind of refusal"),
    text("run_id"),
    text("opened_by"),
    _now("attempted_at"),
    schema=SCHEMA,
    comment="Every attempt to open a sealed split, also those that were refused or whose work failed.",
)

hpo_studies = sa.Table(
    "ml_hpo_studies",
    metadata,
    identity(),
    text("study_name"),
    text("partition"),
    text("scope"),
    text("algorithm_name"),
    text("metric"),
    sa.Column("n_trials", sa.Integer, nullable=False),
    sa.Column("n_completed", sa.Integer, nullable=False),
    sa.Column("n_pruned", sa.Integer, nullable=False),
    sa.Column("n_failed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("best_value", sa.Double, nullable=False),
    _json("best_params"),
    _json("trials"),
    _empty("finals", "fits of the best trials on more rows", "[]"),
    _empty("warm_start", "patterns of earlier studies whose parameters were tried first", "[]"),
    sa.Column("trials_sooner", sa.Integer, comment="than a cold start; empty where there is none to compare"),
    text("run_id"),
    _now("completed_at"),
    schema=SCHEMA,
    comment="History of each hyperparameter study.",
)

hpo_patterns = sa.Table(
    "ml_hpo_patterns",
    metadata,
    sa.Column("pattern_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("study", sa.Text, nullable=False, unique=True, comment="hash of data, code and configuration"),
    sa.Column(
        "learnt_until",
        sa.TIMESTAMP(timezone=True),
        comment="patterns recorded before were tried first; when the data of the study were loaded",
    ),
    text("study_name"),
    text("algorithm_name"),
    text("problem_type"),
    _json("search_space"),
    _json("best_hyperparameters"),
    _empty("next_hyperparameters", "of the next best trials, best first", "[]"),
    sa.Column("best_value", sa.Double, nullable=False),
    text("optimization_metric"),
    sa.Column("trials_to_best", sa.Integer, nullable=False, comment="trials until the best was found"),
    sa.Column("warm_started", sa.Boolean, nullable=False),
    sa.Column("n_samples", sa.Integer),
    sa.Column("n_features", sa.Integer),
    sa.Column("n_classes", sa.Integer),
    sa.Column("class_balance", sa.Double, comment="share of the rarest class"),
    sa.Column("feature_types", JSONB),
    sa.Column("n_trials", sa.Integer, nullable=False),
    sa.Column("n_completed", sa.Integer, nullable=False),
    sa.Column("n_pruned", sa.Integer, nullable=False),
    sa.Column("duration_seconds", sa.Double, nullable=False),
    sa.Column("times_used_as_warmstart", sa.Integer, nullable=False, server_default="0"),
    sa.Column(
        "warmstart_improvement_avg",
        sa.Double,
        comment="best value of the studies that used it, less its own, in the mean",
    ),
    _now("created_at"),
    _now("updated_at"),
    sa.Index("ml_hpo_patterns_alike", "algorithm_name", "problem_type"),
    schema=SCHEMA,
    comment="What studies found, for similar ones to start from. Aggregates only.",
)

training_runs = sa.Table(
    "ml_training_runs",
    metadata,
    identity(),
    text("partition"),
    text("scope"),
    text("algorithm"),
    text("model_fingerprint"),
    _json("hyperparameters"),
    sa.Column("training_samples", sa.Integer, nullable=False),
    sa.Column("validation_samples", sa.Integer, nullable=False),
    _json("metrics"),
    _json("data_versions"),
    text("mlflow_run_id", nullable=True),
    text("run_id"),
    _now("completed_at"),
    schema=SCHEMA,
)

causal_validations = sa.Table(
    "causal_validations",
    metadata,
    identity(),
    text("partition"),
    text("scope"),
    sa.Column("test_type", sa.Text, nullable=False, comment="what was tried, such as cross_library"),
    sa.Column("status", sa.Text, nullable=False, comment="only passed satisfies a gate"),
    text("treatment_variable"),
    text("outcome_variable"),
    _json("covariates"),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("agreement_score", sa.Double, comment="0 to 1; empty with fewer than two estimates"),
    sa.Column("effect", sa.Double, comment="what the estimates say together; empty where they say nothing"),
    sa.Column("effect_low", sa.Double, comment="of an interval that holds those of all estimates"),
    sa.Column("effect_high", sa.Double),
    sa.Column("details", JSONB, nullable=False, comment="each estimate with interval, time and version"),
    text("run_id"),
    _now("validated_at"),
    sa.Index("causal_validations_newest", "scope", "partition", "id"),
    schema=SCHEMA,
    comment="Every validation of a causal estimate, also of those that failed. Aggregates only.",
)

bento_bundles = sa.Table(
    "ml_bento_bundles",
    metadata,
    identity(),
    text("service_name"),
    sa.Column("bento_tag", sa.Text, nullable=False, unique=True),
    text("partition"),
    text("scope"),
    text("model_fingerprint"),
    text("status"),
    text("run_id"),
    _now("created_at"),
    schema=SCHEMA,
    comment="Every bundle that was built.",
)

observability_spans = sa.Table(
    "ml_observability_spans",
    metadata,
    sa.Column("trace_id", sa.Text, primary_key=True, comment="of a run its id without dashes"),
    sa.Column("span_id", sa.Text, primary_key=True),
    sa.Column("parent_span_id", sa.Text, comment="within which this was done"),
    sa.Column("service", sa.Text, nullable=False, comment="whose work it was: e2i, or a service"),
    sa.Column("operation", sa.Text, nullable=False, comment="a stage, a gate, a trial, an endpoint"),
    sa.Column("started_at", sa.TIMESTAMP(timezone=True), nullable=False, index=True),
    sa.Column("ended_at", sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column("duration_ms", sa.Double, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("error_type", sa.Text, comment="class or code of what went wrong, never its text"),
    sa.Column("model_name", sa.Text),
    sa.Column("partition", sa.Text),
    sa.Column("run_id", sa.Text, index=True, comment="of Dagster"),
    sa.Column("attributes", JSONB, nullable=False, comment="versions, counts and verdicts"),
    sa.CheckConstraint("status IN ('success', 'error')", name="ml_observability_spans_status"),
    schema=SCHEMA,
    comment="What was done, within what, and how long it took; for 30 days, which whoever writes sees to.",
)
