"""The page of the alerts: the kinds there are, and what `config/alerts.yaml` may say of them."""

from __future__ import annotations

from e2i_assets.contracts.markdown import code, table
from e2i_assets.monitoring.alerts.alert import KINDS, SEVERITIES
from e2i_assets.monitoring.alerts.config import AlertRules
from e2i_assets_tests.site.models import sections


def alerts_page() -> str:
    """Kinds, severities, and the file that says who is told."""
    kinds = table(("kind", "what is told"), [(code(kind), meaning) for kind, meaning in KINDS.items()])
    severities = ", ".join(f"`{severity}`" for severity in SEVERITIES)
    return f"""# Alerts

A row of `e2i.ml_monitoring_alerts` says what deserves a person's attention, and what to do about it. From the least
to the most severe: {severities}.

{kinds}

`config/alerts.yaml` says who is told of what, over which channel.

{sections(AlertRules, "File of alerts")}"""
