"""The dashboard and the alert rules in `deploy/` ask for what services tell, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from e2i_assets.serving.server.metrics import Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
SERIES = re.compile(r"\b(?:e2i_model|process)_[a-z_]+")
LABELS = re.compile(r"(\w+)\s*(?:=~|!=|=)\s*\"")
OF_SCRAPES = {"job", "instance"}


@pytest.fixture(scope="module")
def series() -> dict[str, set[str]]:
    """Name of every series that a service tells, to its labels."""
    metrics = Metrics("s", lambda: {"m": "healthy"}, lambda: {"prediction_log": SimpleNamespace(dropped=0)})  # type: ignore[dict-item]
    metrics.loaded("m", "1", 0.1)
    metrics.count("m", "/predict", 500, 0.1)
    metrics.page()
    labels: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    return json.loads((DEPLOY / "grafana" / "e2i-services.json").read_text())


EXPRESSIONS = {rule["alert"]: rule["expr"] for rule in rules()} | {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in dashboard()["panels"]
    for target in panel["targets"]
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_asks_for_what_is_told(name: str, series: dict[str, set[str]]) -> None:
    expression = EXPRESSIONS[name]
    asked = set(SERIES.findall(expression))
    assert asked or 'up{job="e2i-services"}' in expression
    assert asked <= series.keys()
    labels = {label for one in asked for label in series[one]} | OF_SCRAPES
    assert set(LABELS.findall(expression)) <= labels
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing)


def test_every_alert_says_how_grave_it_is_and_what_happened() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]


def test_prometheus_reads_the_rules_and_scrapes_the_three_services() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert all((DEPLOY / "prometheus" / name).is_file() for name in config["rule_files"])
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "e2i-services"
    assert job["static_configs"] == [{"targets": [f"127.0.0.1:{port}" for port in (3001, 3002, 3003)]}]


def test_the_dashboard_shows_what_the_guide_names(series: dict[str, set[str]]) -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    shown = {one for panel in panels for target in panel["targets"] for one in SERIES.findall(target["expr"])}
    assert shown >= {
        "e2i_model_requests_total", "e2i_model_request_latency_seconds_bucket", "e2i_model_errors_total",
        "e2i_model_health_status",
    }  # fmt: skip
