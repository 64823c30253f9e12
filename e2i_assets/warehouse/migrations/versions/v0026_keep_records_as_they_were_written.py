"""Keep records as they were written."""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0025"

ADDED_TO = (
    "ml_incidents", "ml_shadow_evidence", "ml_monitoring_runs", "ml_drift_history", "ml_performance_metrics",
)  # fmt: skip
NEVER_CHANGED = ("ml_gate_results", "ml_prediction_log")
"""What these lack is made anew, or may have to go; what they say is not to be another thing."""

_CHECK_ENTRY = """
CREATE FUNCTION e2i.check_stage_entry() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last e2i.ml_model_stage_history;
    stage text;
    refused text;
BEGIN
    SELECT * INTO last FROM e2i.ml_model_stage_history
        WHERE model_name = NEW.model_name AND version = NEW.version ORDER BY sequence DESC LIMIT 1;
    stage := CASE last.event WHEN 'requested' THEN last.from_stage ELSE last.to_stage END;
    IF NEW.sequence <> 1 + coalesce(
        (SELECT max(sequence) FROM e2i.ml_model_stage_history WHERE model_name = NEW.model_name), 0
    ) THEN
        refused := 'it is not the next entry';
    ELSIF NEW.from_stage IS DISTINCT FROM stage THEN
        refused := format('the version is in %s', coalesce(stage, 'no stage'));
    ELSIF (coalesce(NEW.from_stage, ''), NEW.to_stage) NOT IN (
        ('', 'development'), ('', 'staging'),
        ('development', 'staging'), ('staging', 'shadow'), ('shadow', 'production'),
        ('development', 'archived'), ('staging', 'archived'), ('shadow', 'archived'), ('production', 'archived'),
        ('production', 'staging'), ('staging', 'production'),
        ('staging', 'development'), ('shadow', 'development'), ('production', 'development')
    ) THEN
        refused := 'there is no such move';
    ELSIF NEW.event = 'moved' AND NEW.from_stage = 'shadow' AND NEW.to_stage = 'production' AND (
        NEW.approved_by IS NULL OR last.event <> 'requested' OR last.actor <> NEW.actor
    ) THEN
        refused := 'it was not asked for and approved';
    ELSIF NEW.event = 'moved' AND NEW.from_stage = 'staging' AND NEW.to_stage = 'production' AND NOT EXISTS (
        SELECT FROM e2i.ml_model_stage_history WHERE model_name = NEW.model_name AND version = NEW.version
            AND event = 'moved' AND to_stage = 'production'
    ) THEN
        refused := 'it was never in production';
    END IF;
    IF refused IS NOT NULL THEN
        RAISE EXCEPTION '% version % cannot go from % to %: %', NEW.model_name, NEW.version,
            coalesce(NEW.from_stage, 'no stage'), NEW.to_stage, refused
            USING ERRCODE = 'integrity_constraint_violation', HINT = 'Use e2i models promote.';
    END IF;
    RETURN NEW;
END $$"""


def upgrade() -> None:
    """Refuse changes of what is only ever added to, and entries of the ledger that no move makes."""
    op.execute(_CHECK_ENTRY)
    _trigger("ml_model_stage_history", "follows", "INSERT", "ROW", "check_stage_entry")
    for table in ADDED_TO:
        _trigger(table, "only_added_to", "UPDATE OR DELETE OR TRUNCATE")
    for table in NEVER_CHANGED:
        _trigger(table, "never_changed", "UPDATE")
    _trigger("ml_api_audit", "never_deleted", "DELETE OR TRUNCATE")
    kept = ", ".join(f"{{0}}.{name}" for name in ("id", "action", "request", "caller", "occurred_at"))
    changed = f"({kept.format('OLD')}) IS DISTINCT FROM ({kept.format('NEW')})"
    _trigger("ml_api_audit", "ended_once", "UPDATE", f"ROW WHEN (OLD.outcome <> 'begun' OR {changed})")


def _trigger(
    table: str, name: str, on: str, each: str = "STATEMENT", function: str = "refuse_changes"
) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_{name} BEFORE {on} ON e2i.{table} FOR EACH {each} "
        f"EXECUTE FUNCTION e2i.{function}()"
    )
    # Also where a session replays another's changes.
    op.execute(f"ALTER TABLE e2i.{table} ENABLE ALWAYS TRIGGER {table}_{name}")
