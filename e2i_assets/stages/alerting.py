"""A gate that refuses in a run that nobody watches is told of as an alert."""

from __future__ import annotations

from collections.abc import Mapping

from e2i_assets.gates.verdict import Verdict
from e2i_assets.monitoring.alerts.alert import Alert
from e2i_assets.stages.context import StageContext
from e2i_assets.warehouse.queries.alerts import raise_alert

BY_ITSELF = ("dagster/sensor_name", "dagster/schedule_name")
"""Run tags, one of which Dagster gives to a run that a sensor or a schedule asked for."""


def alert_of_refusal(context: StageContext, asset: str, verdicts: Mapping[str, Verdict]) -> None:
    """Raise an alert where a gate refused in an automated run; of their own run people see it themselves."""
    refused = {gate: verdict for gate, verdict in verdicts.items() if not verdict.passed}
    if not refused or not any(tag in context.dagster.run.tags for tag in BY_ITSELF):
        return
    first = next(iter(refused.values()))
    scope = asset.rpartition("/")[0]
    look = f"Read the checks of {asset} ({context.partition}) in Dagit; the version before stays in force."
    alert = Alert(
        "gate",
        "high",
        subject=f"{asset} of {context.partition}",
        message=f"{asset} of {context.partition} was refused: "
        + "; ".join(f"{gate}: {verdict.message}" for gate, verdict in refused.items()),
        next_step=f"{first.next_step} {look}".strip(),
        partition=context.partition,
        scope=None if scope in ("", "raw") else scope,
        details={"gates": {gate: verdict.reason for gate, verdict in refused.items()}, "run": context.run_id},
    )
    raise_alert(context.warehouse, alert)
