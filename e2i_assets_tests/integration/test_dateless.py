"""A table without dates, from the file to the bundle: a churn extract, whose customers have no index date."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest
import yaml

from e2i_assets.assets import splits as splits_asset
from e2i_assets.automation.jobs import REFRESH
from e2i_assets.build import build_defs, build_resources
from e2i_assets.cohorts import CohortConfig
from e2i_assets.gates.splits import SPLIT_RATIOS
from e2i_assets.gates.verdict import refusals
from e2i_assets.ingest.mapping import Mapping
from e2i_assets.ingest.sources import read_source
from e2i_assets.modeling.artifacts import Evaluated, Splits
from e2i_assets.modeling.errors import SplitError
from e2i_assets.modeling.scopes.files import as_scope
from e2i_assets.serving.bundle_ref import BundleRef
from e2i_assets.settings import Settings
from e2i_assets.warehouse.postgres import export
from e2i_assets_tests.conftest import CONFIG

KEY = "fabhalta_c3g"
"""Partitions are known by the names of files when the assets are imported; what the file says is ours."""
MAPPING = """
source: churn extract
tables:
  patient_journeys:
    columns:
      patient_journey_id: "'churn_' || customer"
      patient_id: customer
      brand: "'Coverage'"
      indication: "'churn'"
      source_timestamp: "TIMESTAMPTZ '{now}'"
    attributes:
      churned: {{from: gone, role: outcome, available_at: outcome}}
"""
COHORT: dict[str, Any] = {
    "cohort_name": "Everybody in the extract",
    "brand": "Coverage",
    "indication": "churn",
    "scopes": ["churn"],
    "required_tables": ["patient_journeys"],
    "not_collected": [
        "hcp_id", "diagnosis_code", "age_at_diagnosis", "gender", "geographic_region", "insurance_type",
        "disease_severity", "comorbidity_count", "prior_treatment_count", "academic_hcp", "engagement_score",
        "hcp_engaged", "treatment_initiated",
    ],
    "inclusion_criteria": [],
    "temporal_requirements": None,
    "attributes": {
        "churned": {"dtype": "boolean", "role": "outcome", "available_at": "outcome"},
        "contract": {"dtype": "string", "available_at": "index"},
        "tenure": {"dtype": "integer", "unit": "months", "available_at": "index"},
        "charge": {"dtype": "number", "unit": "USD", "available_at": "index"},
    },
}  # fmt: skip
SCOPE = {
    "name": "churn",
    "description": "Will the customer leave?",
    "problem_type": "binary_classification",
    "target": "churned",
    "success_criteria": {"min_auc": 0.6},
}


def extract(rows: int = 500) -> pd.DataFrame:
    """Customers without a date anywhere."""
    rng = np.random.default_rng(5)
    contract = rng.choice(["monthly", "yearly"], rows)
    tenure, charge = rng.integers(0, 72, rows), rng.normal(65, 30, rows).round(2)
    contract[-6:], tenure[-6:], charge[-6:] = contract[:6], tenure[:6], charge[:6]  # honest repeats
    odds = 1.6 * (contract == "monthly") - 0.05 * tenure + 0.02 * charge - 1
    gone = rng.random(rows) < 1 / (1 + np.exp(-odds))
    gone[-6:] = gone[:6]
    return pd.DataFrame(
        {
            "customer": [f"c{i:04d}" for i in range(rows)],
            "contract": contract,
            "tenure": tenure,
            "charge": charge,
            "gone": gone,
        }
    )


def installed(here: Settings, folder: Path) -> Settings:
    """The installation under a configuration with this one partition."""
    config = folder / "config"
    shutil.copytree(CONFIG, config, ignore=shutil.ignore_patterns("cohorts", "scopes"))
    for kind, name, content in (("cohorts", KEY, COHORT), ("scopes", "churn", SCOPE)):
        (config / kind).mkdir()
        (config / kind / f"{name}.yaml").write_text(yaml.safe_dump(content))
    changed = here.model_copy(update={"config": config})
    export(changed)  # the installation of the test puts the environment back
    return changed


def load(here: Settings, folder: Path, rows: pd.DataFrame) -> None:
    path = folder / "extract.csv"
    rows.to_csv(path, index=False)
    now = dt.datetime.now(dt.UTC)
    mapping = Mapping.from_text(MAPPING.format(now=now.isoformat(" ", "seconds")), folder / "mapping.yaml")
    loaded = build_resources(here)["warehouse"].load(
        read_source(str(path), mapping, now=now), {("Coverage", "churn")}
    )
    assert loaded.rows == {"patient_journeys": len(rows)}


def run(here: Settings) -> dict[str, dict[str, Any]]:
    """Gate to its verdict as Dagit shows it."""
    defs = build_defs(here)
    result = defs.resolve_job_def(REFRESH).execute_in_process(
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        partition_key=KEY,
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
    )
    return {
        e.check_name: {"passed": e.passed, **{k: v.value for k, v in e.metadata.items()}}
        for e in result.get_asset_check_evaluations()
        if e.severity is dg.AssetCheckSeverity.ERROR
    }


def test_a_table_without_dates_goes_the_whole_way(here: Settings, tmp_path: Path) -> None:
    here = installed(here, tmp_path)
    load(here, tmp_path, extract())
    verdicts = run(here)
    assert {gate: v for gate, v in verdicts.items() if not v["passed"]} == {}
    assert verdicts["temporal_windows"]["reason"] == "not_asked_for"
    store = build_resources(here)["store"]

    def published(asset: str, kind: type) -> Any:
        current = store.current(asset, KEY)
        assert current is not None
        return store.read(asset, KEY, current.version, kind)

    splits = published("splits", Splits)
    assert {f.name for f in splits.features} == {"contract", "tenure", "charge"}
    assert splits.train["index_date"].isna().all()
    alike = splits.assigned.dropna(subset="alike").groupby("alike")["split"]
    assert (alike.size().sum(), set(alike.nunique())) == (12, {1})
    evaluated = published("churn/evaluation", Evaluated)
    assert evaluated.evaluation.metrics["test"]["roc_auc"] > 0.6
    (time,) = [row for row in evaluated.leakage_sheet if "order of time" in row.result]
    assert "not covered" in time.result
    assert published("churn/bento_bundle", BundleRef).tag.startswith(f"e2i-churn-{KEY}:")


def test_what_needs_a_date_is_refused_with_its_reason() -> None:
    scopes = [as_scope(SCOPE | {"split_order": "temporal"})]
    cohort_config = CohortConfig.model_validate(COHORT)
    context: Any = SimpleNamespace(partition=KEY, cohort_config=cohort_config)
    with pytest.raises(SplitError, match="no index date") as refused:
        splits_asset._require_scopes(context, scopes)
    (verdict,) = refusals([SPLIT_RATIOS], refused.value).values()
    assert (verdict.passed, verdict.reason) == (False, "no_index_date")
    assert "split_order: random" in verdict.next_step
