"""What raw SQL cannot do to records, also as the owner: the database keeps them as they were written."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.deployment_world import in_staging, move

ADDED_TO = {
    "ml_incidents": "reason", "ml_shadow_evidence": "requests", "ml_monitoring_runs": "severity",
    "ml_drift_history": "severity", "ml_performance_metrics": "metric_value",
    "ml_external_validations": "value",
}  # fmt: skip
NEVER_CHANGED = {"ml_gate_results": "passed", "ml_prediction_log": "prediction"}
"""Table to one of its columns."""
COLUMNS = (
    "model_name, sequence, version, event, from_stage, to_stage, actor, account, approved_by, evidence, at"
)


def refused(warehouse: Warehouse, match: str, *statements: str) -> None:
    """The last of these is, whatever the session says it is."""
    for prepare in ("SELECT 1", "SET session_replication_role = replica"):
        with warehouse.engine.connect() as connection:
            for statement in (prepare, *statements[:-1]):
                connection.exec_driver_sql(statement)
            with pytest.raises(sa.exc.IntegrityError, match=match):
                connection.exec_driver_sql(statements[-1])
            connection.invalidate()


def test_records_stay_as_they_were_written(warehouse: Warehouse) -> None:
    for table in (*ADDED_TO, "ml_api_audit"):
        refused(warehouse, "only ever added to: DELETE", f"DELETE FROM e2i.{table}")
        refused(warehouse, "only ever added to: TRUNCATE", f"TRUNCATE e2i.{table} CASCADE")
    for table, column in (ADDED_TO | NEVER_CHANGED).items():
        refused(warehouse, "only ever added to: UPDATE", f"UPDATE e2i.{table} SET {column} = {column}")
    begun = (
        "INSERT INTO e2i.ml_api_audit (action, request, caller, outcome) "
        "VALUES ('rollback', '{}', 'c', 'begun')"
    )
    done = "UPDATE e2i.ml_api_audit SET outcome = 'done'"
    for wrong in ("caller = 'other'", "outcome = 'done', request = '{\"a\": 1}'"):
        refused(warehouse, "UPDATE is refused", begun, f"UPDATE e2i.ml_api_audit SET {wrong}")
    refused(warehouse, "UPDATE is refused", begun, done, "UPDATE e2i.ml_api_audit SET outcome = 'failed'")


def entry(name: str, sequence: int, event: str, before: str, after: str, actor: str, approver: str) -> str:
    first, approved = (f"'{value}'" if value != "-" else "NULL" for value in (before, approver))
    return (
        f"INSERT INTO e2i.ml_model_stage_history ({COLUMNS}) VALUES ('{name}', {sequence}, 1, '{event}', "
        f"{first}, '{after}', '{actor}', 'account', {approved}, '[]', now())"
    )


def test_the_ledger_takes_no_entry_that_no_move_makes(warehouse: Warehouse) -> None:
    to_production = "moved shadow production Anna Bert"
    asked = "requested shadow production Anna -"
    for number, (moves, wrong, reason) in enumerate(
        [
            ((), "registered - production Anna -", "the version is in staging"),
            ((), "moved shadow production Anna Bert", "the version is in staging"),
            ((), "moved staging production Anna Bert", "it was never in production"),
            (("archived",), "moved archived production Anna Bert", "there is no such move"),
            (("archived",), "moved staging shadow Anna -", "the version is in archived"),
            (("shadow",), to_production, "it was not asked for and approved"),
            (("shadow", asked), "moved shadow production Anna -", "it was not asked for and approved"),
            (("shadow", asked), "moved shadow production Carl Bert", "it was not asked for and approved"),
            (("shadow", asked), "moved shadow production Anna Anna", "two_people"),
        ]
    ):
        name, before, wanted = f"m{number}", "staging", []
        in_staging(warehouse, name, 1)
        for stage in moves:
            if stage == asked:
                wanted = [entry(name, 4, *asked.split())]
            else:
                move(warehouse, name, 1, before, stage)
                before = stage
        following = 3 + len(moves)
        refused(warehouse, reason, *wanted, entry(name, following, *wrong.split()))
        refused(warehouse, "not the next entry", *wanted, entry(name, following + 1, *wrong.split()))
    in_staging(warehouse, "fresh", 1)
    with warehouse.engine.begin() as connection:
        for statement in (
            entry("fresh", 3, "moved", "staging", "shadow", "Anna", "-"),
            entry("fresh", 4, *asked.split()),
            entry("fresh", 5, *to_production.split()),
            entry("fresh", 6, "moved", "production", "staging", "Anna", "-"),
            entry("fresh", 7, "moved", "staging", "production", "Anna", "-"),  # rolled back
        ):
            connection.exec_driver_sql(statement)
