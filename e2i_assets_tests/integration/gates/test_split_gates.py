"""The gates of the splits, blocking: leakage, ratios, and patients who would move."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from e2i_assets.assets import splits as splits_asset
from e2i_assets.build import build_resources
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.errors import SplitError
from e2i_assets.settings import Settings
from e2i_assets_tests.integration.gates.partition import (
    COHORT_FILE,
    PARTITION,
    changed,
    checks,
    published,
    reason,
    run,
    spoil,
)


def test_no_leakage_refuses_the_trap(here: Settings, tmp_path: Path) -> None:
    """Days to treatment are known only afterwards, and their very presence tells the outcome."""
    before, vault = published(here), sorted(Path(here.vault_url).rglob("*"))
    edited = changed(
        here, tmp_path, COHORT_FILE, lambda c: c.update(features={"include": ["days_to_treatment"]})
    )
    result = run(edited, "key:features+")
    assert sorted(Path(here.vault_url).rglob("*")) == vault  # nothing is sealed of what is refused
    assert reason(result, "no_leakage") == "leakage"
    assert {"split_ratios": True, "stable_splits": True}.items() <= checks(result).items()
    after = published(here)
    assert after.pop("features") != before.pop("features")
    assert after == before


def test_split_ratios(here: Settings, tmp_path: Path) -> None:
    """A handful of patients cannot be split 60/20/15/5 within 2 %."""

    def few(cohort: Any) -> None:
        cohort["minimum_size"] = 1
        cohort["inclusion_criteria"].append({"field": "age_at_diagnosis", "operator": ">=", "value": 60})

    result = run(changed(here, tmp_path, COHORT_FILE, few), "key:cohort+")
    assert checks(result)["cohort_size"]
    assert reason(result, "split_ratios") == "too_few_patients"


def test_stable_splits(here: Settings, tmp_path: Path) -> None:
    """Assignments altered from outside would move patients that a model has trained on into test."""
    engine = build_resources(here)["warehouse"].engine
    swap = (
        "UPDATE e2i.ml_split_assignments SET split = CASE split WHEN 'train' THEN 'test' ELSE 'train' END "
        "WHERE patient_id IN (SELECT patient_id FROM (SELECT patient_id, split, row_number() OVER "
        "(PARTITION BY split ORDER BY patient_id) AS n FROM e2i.ml_split_assignments WHERE split IN "
        "('train', 'test')) AS numbered WHERE n <= 5)"
    )
    with engine.begin() as connection:
        connection.execute(sa.text(swap))
    edited = changed(here, tmp_path, COHORT_FILE, lambda c: c.update(features={"exclude": ["gender"]}))
    result = run(edited, "key:features+")
    assert reason(result, "stable_splits") == "patients_moved"


def test_patients_who_leave_test_for_train_are_seen(here: Settings, tmp_path: Path) -> None:
    """The sealed splits are not readable here, who is in them is."""
    move = (
        "UPDATE e2i.ml_split_assignments SET split = 'train' WHERE patient_id IN "
        "(SELECT patient_id FROM e2i.ml_split_assignments WHERE split = 'test' ORDER BY 1 LIMIT 3)"
    )
    with build_resources(here)["warehouse"].engine.begin() as connection:
        connection.execute(sa.text(move))
    edited = changed(here, tmp_path, COHORT_FILE, lambda c: c.update(features={"exclude": ["gender"]}))
    assert reason(run(edited, "key:features+"), "stable_splits") == "patients_moved"


def test_a_scope_that_asks_for_temporal_order(here: Settings, tmp_path: Path) -> None:
    """Splits drawn at random before cannot be put in order; drawn anew they are, and a model comes of them."""
    edited = changed(here, tmp_path, "scopes/conversion.yaml", lambda c: c.update(split_order="temporal"))
    resources = build_resources(here)
    before = published(here)
    refused = run(edited, "key:splits")
    assert reason(refused, "split_ratios").startswith("order_against_")
    assert "stability" in reason(refused, "split_ratios")
    assert published(here) == before

    with resources["warehouse"].engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM e2i.ml_split_assignments"))
    shutil.rmtree(Path(here.artifacts_url) / "splits")
    assert run(edited, "key:splits").success
    made = resources["store"].read("splits", PARTITION, published(here)["splits"], Splits)
    assert made.train["index_date"].max() < made.validation["index_date"].min()
    assert made.assigned["split"].value_counts(normalize=True)["holdout"] == pytest.approx(0.05, abs=0.02)


def test_assignments_that_another_run_wrote_meanwhile_stand(here: Settings) -> None:
    resources = build_resources(here)
    nobody = pd.DataFrame({"patient_id": [], "split": []})
    known = resources["store"].read("splits", PARTITION, published(here)["splits"], Splits).assigned
    context: Any = SimpleNamespace(partition=PARTITION, warehouse=resources["warehouse"])
    with pytest.raises(SplitError, match="another run has assigned") as refused:
        splits_asset._remember(context, nobody, known.assign(split="train"))
    assert refused.value.code == "assigned_meanwhile"
    assert not any(patient in str(refused.value) for patient in known["patient_id"])


def test_a_refresh_moves_nobody_and_splits_the_new(here: Settings) -> None:
    """More patients qualify, observed from earlier on: those assigned stay, and the ratios hold."""
    engine = build_resources(here)["warehouse"].engine
    query = sa.text("SELECT patient_id, split FROM e2i.ml_split_assignments")
    with engine.connect() as connection:
        before = dict(connection.execute(query).tuples().all())
    spoil(here, "UPDATE e2i.patient_journeys SET first_observation_date = first_observation_date - 400")
    result = run(here, "+key:splits")
    assert result.success
    with engine.connect() as connection:
        after = dict(connection.execute(query).tuples().all())
    assert len(after) > len(before)
    assert {patient: after[patient] for patient in before} == before
