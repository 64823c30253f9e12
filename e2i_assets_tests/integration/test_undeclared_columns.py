"""A trial's columns that are known only afterwards, from the import to the gate that stops them."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import numpy as np
import yaml

from e2i_assets.build import build_resources
from e2i_assets.features import FeatureSet
from e2i_assets.ingest.mapping import Mapping
from e2i_assets.ingest.sources import read_source
from e2i_assets.quality.report import QCReport
from e2i_assets.settings import Settings
from e2i_assets_tests.conftest import CONFIG
from e2i_assets_tests.integration.gates.partition import COHORT_FILE, PARTITION, checks, reason, run
from e2i_assets_tests.leakage_cases import lifelines

TODAY = dt.datetime.now(dt.UTC).date()
ENROLLED = TODAY - dt.timedelta(days=1_300)
MAPPING = f"""
source: ACTG 175
tables:
  patient_journeys:
    columns:
      patient_journey_id: "'actg_' || pidnum::VARCHAR"
      patient_id: "'actg_pt_' || pidnum::VARCHAR"
      brand: "'Fabhalta'"
      indication: "'c3g'"
      diagnosis_code: "'B20'"
      diagnosis_date: "DATE '{ENROLLED}'"
      first_observation_date: "DATE '{ENROLLED}'"
      last_observation_date: "DATE '{ENROLLED}' + days::INTEGER"
      age_at_diagnosis: age
      gender: "CASE WHEN gender = 1 THEN 'M' ELSE 'F' END"
      data_source: "'actg'"
      source_timestamp: "TIMESTAMPTZ '{TODAY} 00:00:00+00'"
    attributes:
      event: "cens = 1"
"""
BASELINE = ("wtkg", "karnof", "cd40", "cd80", "strat", "symptom", "oprior")
AFTERWARDS = ("cd420", "cd496", "cd820", "r")
"""And `offtrt`, which figures and name do not tell in train alone."""
LAST_SEEN = "days_to_last_followup"
UNCOLLECTED = [
    "hcp_id",
    "geographic_region",
    "insurance_type",
    "disease_severity",
    "comorbidity_count",
    "prior_treatment_count",
    "academic_hcp",
    "engagement_score",
    "hcp_engaged",
    "treatment_initiated",
]
STAGES = 'key:"cohort" or key:"features" or key:"splits"'


def configured(
    here: Settings, folder: Path, attributes: Dictionary[str, dict[str, str]], include: Sequence[str] = ()
) -> Settings:
    """The installation with a cohort file of the trial that has these attributes, and features."""
    config = folder / "config"
    shutil.copytree(CONFIG, config)
    cohort = {
        "cohort_name": "ACTG 175", "brand": "Fabhalta", "indication": "c3g", "scopes": ["event"],
        "required_tables": ["patient_journeys"], "not_collected": UNCOLLECTED,
        "inclusion_criteria": [
            {"field": "age_at_diagnosis", "operator": ">=", "value": 18, "description": "Adults"}
        ],
        "temporal_requirements": {"lookback_days": 0, "followup_days": 0},
        "attributes": {
            "event": {"dtype": "boolean", "role": "outcome", "available_at": "outcome"},
            **{name: {"dtype": "number", "available_at": "index"} for name in BASELINE},
            **attributes,
        },
        "features": {"include": list(include)},
    }  # fmt: skip
    scope = {
        "name": "event", "description": "Event in follow-up", "problem_type": "binary_classification",
        "target": "event", "success_criteria": {"min_auc": 0.6},
    }  # fmt: skip
    (config / COHORT_FILE).write_text(yaml.safe_dump(cohort))
    (config / "scopes" / "event.yaml").write_text(yaml.safe_dump(scope))
    return here.model_copy(update={"config": config})


def no_leakage(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    """The verdict of the leakage gate."""
    (verdict,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "no_leakage"]
    return verdict


def test_columns_that_nobody_declared(here: Settings, tmp_path: Path) -> None:
    """Not in the cohort file: reported, and no feature. A feature without a date: judged by name and figures.

    A date: taken at its word.
    """
    table = lifelines("ACTG175.csv")()
    wrong = np.random.default_rng(0).random(len(table)) < 0.1
    table = table.assign(
        almost=np.where(wrong, 1 - table["cens"], table["cens"]), days_to_last_followup=table["days"]
    )
    table.to_csv(tmp_path / "actg.csv", index=False)
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    mapping = Mapping.from_yaml(tmp_path / "mapping.yaml")
    warehouse, store = (build_resources(here)[name] for name in ("warehouse", "store"))
    warehouse.load(
        read_source(tmp_path / "actg.csv", mapping, now=dt.datetime.now(dt.UTC)), {("Fabhalta", "c3g")}
    )

    silent = configured(here, tmp_path / "silent", {})
    result = run(silent, '+key:"splits"')
    assert result.success, checks(result)
    made = store.read("features", PARTITION, store.current("features", PARTITION).version, FeatureSet)
    assert not {*AFTERWARDS, "offtrt", "almost", LAST_SEEN, "Unnamed: 0"} & {f.name for f in made.features}
    assert set(BASELINE) <= {f.name for f in made.features if f.known_at_index}
    report = store.read("qc_report", PARTITION, store.current("qc_report", PARTITION).version, QCReport)
    warnings = " ".join(report.warnings)
    assert "add `cd420: {dtype: integer, available_at: index}`" in warnings
    assert f"add `{LAST_SEEN}: {{dtype: integer, available_at: index}}`" in warnings
    assert "patient_journeys.Unnamed: 0: row numbers that pandas wrote" in warnings

    named = configured(here, tmp_path / "named", {name: {"dtype": "number"} for name in AFTERWARDS})
    result = run(named, STAGES)
    assert reason(result, "no_leakage") == "leakage"
    verdict = no_leakage(result)
    assert all(f" {name} " in str(verdict.description) for name in AFTERWARDS)
    assert verdict.metadata["undeclared"].value == len(AFTERWARDS)

    forced = configured(here, tmp_path / "forced", {}, [LAST_SEEN])
    result = run(forced, STAGES)
    assert reason(result, "no_leakage") == "leakage"
    verdict = no_leakage(result)
    assert f"target leakage in {LAST_SEEN} for event: named as" in str(verdict.description)
    assert verdict.metadata["undeclared"].value == 1

    asked = configured(here, tmp_path / "asked", {"almost": {"dtype": "integer"}})
    assert reason(run(asked, STAGES), "no_leakage") == "implausible"
    answered = configured(
        here, tmp_path / "answered", {"almost": {"dtype": "integer", "available_at": "index"}}
    )
    assert run(answered, STAGES).success
