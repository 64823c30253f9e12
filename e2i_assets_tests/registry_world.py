"""Versions of a registry with all their evidence, on a real database and a real MLflow, and a clock to set."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from mlflow import MlflowClient

from e2i_assets.registry.errors import PromotionRefused
from e2i_assets.registry.ledger import NewVersion, Version
from e2i_assets.resources.model_registry import ModelRegistry
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.resources.version_files import content_hash
from e2i_assets.settings import Settings
from e2i_assets.warehouse.registry_records import shadow_evidence
from e2i_assets.warehouse.warehouse import Warehouse

START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
"""Long ago, for commands, which know no other clock than the database's."""


def at(here: Settings, warehouse: Warehouse, day: float) -> ModelRegistry:
    return ModelRegistry(here, warehouse, ExperimentTracking(here), now=START + dt.timedelta(days=day))


def register(
    here: Settings, warehouse: Warehouse, client: MlflowClient, name: str, *, bundle: str = "1", **of: Any
) -> Version:
    """A version whose evidence is good enough for every stage, unless said otherwise; its bundle is a file."""
    folder = here.bento_home / "bentos" / name / bundle
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pipeline.joblib").write_text(bundle)
    made = {
        "model_name": name, "scope": "conversion", "partition": "p", "problem_type": "binary_classification",
        "algorithm": "LightGBM", "model_fingerprint": f"f{bundle}", "service": "classification-service",
        "bento_tag": f"{name}:{bundle}", "files_hash": content_hash(folder), "data_version": "d",
        "trained_on": {"splits": "d"}, "metrics": {"auc": 0.85}, "samples": {"train": 2000},
        "mlflow_run_id": client.create_run("0").info.run_id, "run_id": "r",
    }  # fmt: skip
    return at(here, warehouse, 0).register(NewVersion(**made | of))


def shadowed(warehouse: Warehouse, version: Version, *, first: float, days: int = 8, **of: Any) -> None:
    """A minute of requests on each day, as services record them."""
    rows = [
        {
            "model_name": version.model_name, "version": version.version, "recorded_by": "s", "requests": 200, "errors": 0,
            "minute": START + dt.timedelta(days=first + day, minutes=1), "latency_p99_ms": 20.0, "mean_difference": 0.02,
        }
        | of
        for day in range(days)
    ]  # fmt: skip
    warehouse.record(shadow_evidence, rows)


def in_shadow(here: Settings, warehouse: Warehouse, version: Version, day: float) -> None:
    for stage in ("staging", "shadow"):
        at(here, warehouse, day).transition(version.model_name, version.version, stage, by="Anna Smith")


def in_production(here: Settings, warehouse: Warehouse, version: Version, day: float) -> None:
    """Ten days before in shadow, asked for by one and approved by another."""
    in_shadow(here, warehouse, version, day - 10)
    shadowed(warehouse, version, first=day - 10)
    with pytest.raises(PromotionRefused, match="approves"):
        at(here, warehouse, day).transition(
            version.model_name, version.version, "production", by="Anna Smith"
        )
    at(here, warehouse, day).approve(version.model_name, version.version, by="Bert Jones")
