"""The gate of the cohort, blocking, and what is to be seen of a construction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from e2i_assets.build import build_resources
from e2i_assets.cli.cohort_data import NothingToShow
from e2i_assets.cli.main import app
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.settings import Settings
from e2i_assets_tests.integration.gates.partition import (
    COHORT_FILE,
    PARTITION,
    changed,
    published,
    reason,
    run,
    spoil,
)


def test_cohort_size(here: Settings, tmp_path: Path) -> None:
    before = published(here)
    nobody = {"field": "egfr", "operator": ">", "value": 10_000}
    edited = changed(here, tmp_path, COHORT_FILE, lambda c: c["inclusion_criteria"].append(nobody))
    result = run(edited, "key:cohort+")
    assert reason(result, "cohort_size") == "cohort_too_small"
    assert published(here) == before


def test_a_criterion_on_a_column_that_is_not_there(here: Settings, tmp_path: Path) -> None:
    unknown = {"field": "shoe_size", "operator": ">", "value": 40}
    edited = changed(here, tmp_path, COHORT_FILE, lambda c: c["inclusion_criteria"].append(unknown))
    result = run(edited, "key:cohort+")
    assert reason(result, "cohort_size") == "CC_002"


def test_a_criterion_on_events_reads_the_certified_ones(here: Settings, tmp_path: Path) -> None:
    """Events that change are read when QC certifies them, and not before."""
    tested = {
        "name": "tested before",
        "where": [{"field": "event_type", "operator": "==", "value": "lab_test"}],
        "within_days": [-365, -1],
        "at_least": 2,
    }

    def few(cohort: Any) -> None:
        cohort["minimum_size"] = 1
        cohort["inclusion_criteria"].append(tested)

    edited = changed(here, tmp_path, COHORT_FILE, few)
    assert run(edited, "key:cohort").success
    first = removed(edited, "tested before")
    assert first > 0
    spoil(here, "UPDATE e2i.treatment_events SET event_type = 'lab_test' WHERE event_type = 'consultation'")
    assert run(edited, "key:cohort").success
    assert removed(edited, "tested before") == first
    run(edited, 'key:"raw/*" or key:qc_report or key:cohort')
    assert removed(edited, "tested before") < first


def test_the_cohort_command_reads_what_was_constructed(
    here: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Definition, attrition and difference, also of a construction that a gate refused."""
    first = asked_by_command(monkeypatch, here, "show", PARTITION)
    assert first["config_hash"] == first["versions"][0]["config_hash"]
    assert first["definition"]["inclusion_criteria"][0]["clinical_rationale"]
    shown = asked_by_command(monkeypatch, here, "attrition", PARTITION, "--order", "3", "--without", "1,2")
    assert shown["standing"] == "published"
    assert shown["attrition"][0]["criterion_order"] == 3
    assert shown["eligible_without"] > shown["result"]["eligible_count"] == 372
    older = {"field": "age_at_diagnosis", "operator": ">=", "value": 70}
    edited = changed(here, tmp_path, COHORT_FILE, lambda c: c["inclusion_criteria"].append(older))
    assert not run(edited, "key:cohort").success
    picture = tmp_path / "flow.png"
    refused = asked_by_command(monkeypatch, edited, "attrition", PARTITION, "--png", str(picture))
    assert refused["standing"].startswith("not published")
    assert picture.read_bytes().startswith(b"\x89PNG")
    new = refused["result"]["config_hash"]
    compared = asked_by_command(monkeypatch, here, "diff", PARTITION, new[:8])
    assert [(c["change"], c["after"]) for c in compared["criteria"]] == [("added", "age_at_diagnosis >= 70")]
    effect = compared["effect"]
    assert effect["after"] == refused["result"]
    assert (effect["stayed"], effect["gained"], effect["lost"]) == (
        refused["result"]["eligible_count"], 0, 372 - refused["result"]["eligible_count"],
    )  # fmt: skip
    foreign = asked_by_command(monkeypatch, here, "diff", "kisqali_hr_her2_bc", PARTITION)
    assert foreign["effect"] is None
    assert "columns missing from the journeys: hr_status" in foreign["effect_unavailable"]
    with pytest.raises(NothingToShow, match="neither a YAML file nor a partition"):
        asked_by_command(monkeypatch, here, "diff", PARTITION, "ffff")


def test_dagit_shows_whom_each_rule_removed(base: Settings) -> None:
    shown = build_resources(base)["store"].current("cohort", PARTITION).display
    metadata = dg.deserialize_value(shown, dict)["metadata"]
    assert metadata["flow"].value.startswith("![](data:image/png;base64,")
    steps = [record.data for record in metadata["attrition"].records]
    assert steps[0]["remaining"] == 625
    assert steps[-1]["remaining"] == 372
    assert {"failed": "none", "no value": "none"}.items() <= metadata["failing_together"].records[
        0
    ].data.items()


def asked_by_command(monkeypatch: pytest.MonkeyPatch, here: Settings, *arguments: str) -> Any:
    """What `e2i cohort ... --json` prints."""
    monkeypatch.setattr("e2i_assets.cli.session.settings", lambda: here)
    answer = CliRunner().invoke(app, ["cohort", *arguments, "--json"])
    if answer.exception:
        raise answer.exception
    return json.loads(answer.stdout)


def removed(here: Settings, criterion: str) -> int:
    """Rows that a criterion removed in the published cohort."""
    store = build_resources(here)["store"]
    published = store.read("cohort", PARTITION, store.current("cohort", PARTITION).version, Cohort)
    (entry,) = [e for e in published.result.eligibility_log if e.criterion_name == criterion]
    return entry.removed_count
