"""Outcomes that cannot be learnt stop their own scope, with a verdict, and no other."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from e2i_assets.build import build_resources
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.settings import Settings
from e2i_assets_tests.conftest import ROOT
from e2i_assets_tests.integration.gates.partition import COHORT_FILE, PARTITION, changed, run, spoil

BAD = {
    "churn": "unusable_outcome",
    "ltv": "unusable_outcome",
    "relapse": "missing_column",
    "response": "target_type",
    "days_free": "target_type",
    "remission": "unusable_outcome",
}


def test_bad_outcomes_stop_their_own_scopes(here: Settings, tmp_path: Path) -> None:
    """One class, a constant, no outcome at all, text, and three positives, beside a scope that is well."""

    def ask(cohort: Any) -> None:
        declared = {"response": "string", "days_free": "string", "remission": "boolean"}
        for name, dtype in declared.items():
            cohort["attributes"][name] = {"dtype": dtype, "role": "outcome", "available_at": "outcome"}
        cohort["scopes"] = ["conversion", *BAD]

    edited = changed(here, tmp_path, COHORT_FILE, ask)
    folder = edited.config_dir / "scopes"
    for name in ("churn", "ltv"):
        shutil.copy(ROOT / "config" / "scopes" / f"{name}.yaml", folder)
    relapse = yaml.safe_load((folder / "ltv.yaml").read_text()) | {"name": "relapse", "target": "relapsed"}
    (folder / "relapse.yaml").write_text(yaml.safe_dump(relapse))
    for name, kind in (("response", "churn"), ("days_free", "ltv"), ("remission", "churn")):
        scope = yaml.safe_load((folder / f"{kind}.yaml").read_text()) | {"name": name, "target": name}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(scope))
    store = build_resources(here)["store"]
    splits = store.read("splits", PARTITION, store.current("splits", PARTITION).version, Splits)
    three = ", ".join(f"'{journey}'" for journey in splits.train["patient_journey_id"].head(3))
    spoil(
        here,
        "UPDATE e2i.patient_journeys SET clinical_attributes = clinical_attributes || jsonb_build_object("
        "'response', CASE WHEN length(patient_id) % 2 = 0 THEN 'good' ELSE 'none' END, 'days_free', 'some', "
        f"'remission', patient_journey_id IN ({three}))",
        "UPDATE e2i.patient_journeys SET discontinued = false WHERE discontinued",
        "UPDATE e2i.patient_journeys SET lifetime_value = 1000 WHERE lifetime_value IS NOT NULL",
    )
    result = run(edited, "*")
    store = build_resources(edited)["store"]
    verdicts = {
        (event.asset_key.path[0], event.check_name): event
        for event in result.get_asset_check_evaluations()
        if len(event.asset_key.path) == 2
    }
    for scope, reason in BAD.items():
        verdict = verdicts[scope, "answerable"]
        assert (verdict.passed, verdict.metadata["reason"].value) == (False, reason)
        assert verdict.severity is dg.AssetCheckSeverity.ERROR
        assert store.current(f"{scope}/model_candidate", PARTITION) is None
        assert store.current(f"{scope}/bento_bundle", PARTITION) is None
    assert not result.success
    assert all(event.passed for (scope, _), event in verdicts.items() if scope == "conversion")
    current = store.current("conversion/bento_bundle", PARTITION)
    assert current is not None
    assert current.run_id == result.run_id
