"""A registered version can be traced to its loads and made again from what was kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from e2i_assets.build import build_resources
from e2i_assets.cli.main import app
from e2i_assets.lineage.reproduce import NotReproducible
from e2i_assets.settings import Settings
from e2i_assets_tests.integration.gates.partition import PARTITION
from e2i_assets_tests.openlineage_events import checked, receiver

NAME = f"e2i-conversion-{PARTITION}"
STAGES = (
    "splits",
    "model_candidate",
    "preprocessor",
    "tuned_params",
    "trained_model",
    "evaluation",
    "bento_bundle",
)
WAY = ["qc_report", "cohort", "features", "splits", *(f"conversion/{name}" for name in STAGES[1:])]


@pytest.fixture
def of(monkeypatch: pytest.MonkeyPatch) -> Any:
    def asked(here: Settings, command: str, *more: str, columns: int = 200) -> Result:
        monkeypatch.setattr("e2i_assets.cli.session.settings", lambda: here)
        return CliRunner().invoke(app, [command, NAME, "1", *more], env={"COLUMNS": str(columns)})

    return asked


def written(here: Settings, *statements: str) -> None:
    with build_resources(here)["warehouse"].engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def counts(here: Settings) -> dict[str, int]:
    tables = (
        "ml_publications",
        "ml_training_runs",
        "ml_split_attempts",
        "ml_gate_results",
        "ml_model_registry",
    )
    with build_resources(here)["warehouse"].engine.connect() as connection:
        return {name: connection.scalar(sa.text(f"SELECT count(*) FROM e2i.{name}")) for name in tables}


def files(here: Settings) -> set[Path]:
    return {p for folder in ("artifacts", "vault", "bentoml") for p in (here.home_dir / folder).rglob("*")}


def test_the_whole_way_from_load_to_registry(base: Settings, of: Any, tmp_path: Path) -> None:
    down = of(base, "lineage", "--json", "--openlineage", "http://127.0.0.1:9")
    assert (down.exit_code, json.loads(down.stdout)["stage"]) == (2, "staging")
    assert "127.0.0.1:9" in down.stderr
    told = tmp_path / "events.jsonl"
    way = json.loads(of(base, "lineage", "--json", "--openlineage", str(told)).stdout)
    (load,) = way["loads"]
    assert (load["load_id"], load["source"]) == (1, "synthetic")
    assert load["loaded_by"]
    assert load["rows"]["patient_journeys"] > 1000
    assets = [step["asset"] for step in way["steps"] if not step["asset"].startswith("raw/")]
    assert assets == [*WAY, "conversion/registered_model", "conversion/model_card"]
    store = build_resources(base)["store"]
    for step in way["steps"]:
        current = store.current(step["asset"], PARTITION)
        assert (step["version"], step["run_id"], step["code"]) == (
            current.version,
            current.run_id,
            current.code,
        )
        assert {gate["gate"]: gate["passed"] for gate in step["gates"]} == current.gates
        assert step["lost"] == []
    assert [entry["to_stage"] for entry in way["entries"]] == ["development", "staging"]
    assert (way["stage"], way["releases"], way["lost"]) == ("staging", [], [])
    events = [checked(json.loads(line)) for line in told.read_text().splitlines()]
    assert [e.eventType.value for e in events] == ["START", "COMPLETE"] * (1 + len(way["steps"]))
    made = {
        output.name: output.facets["version"].datasetVersion for event in events for output in event.outputs
    }
    for step in way["steps"]:
        assert made[f"{step['asset']}/{PARTITION}"] == step["version"]
    for event in events:
        for data in event.inputs:
            assert data.name.startswith("source/") or made[data.name] == data.facets["version"].datasetVersion
    narrow = of(base, "lineage", columns=60).stdout
    assert max(map(len, narrow.splitlines())) <= 60
    assert [
        narrow.index(word) for word in ("load 1", "raw/triggers", "cohort", "success_criteria", "stages")
    ] == sorted(
        narrow.index(word) for word in ("load 1", "raw/triggers", "cohort", "success_criteria", "stages")
    )


def test_what_is_gone_is_said_at_its_place(here: Settings, of: Any) -> None:
    published = build_resources(here)["store"].current("conversion/tuned_params", PARTITION)
    shutil.rmtree(here.home_dir / "artifacts" / published.asset / PARTITION / published.version)
    shutil.rmtree(here.home_dir / "bentoml")
    for sealed in (here.home_dir / "vault" / PARTITION).glob("holdout-*"):
        sealed.unlink()
    member = json.dumps([{"model_name": NAME, "version": 1}, {"model_name": "another", "version": 2}])
    written(
        here,
        "INSERT INTO e2i.ml_bentoml_services (service_name, release, members, status, cause, asked_by) "
        f"VALUES ('classification-service', 'r1', '{member}', 'wanted', 'deploy', 'Anna Smith'), "
        "('classification-service', 'r2', '[]', 'replaced', 'deploy', 'Anna Smith')",
    )
    assert (
        "classification-service r1: wanted, asked for by Anna Smith (deploy), never answered"
        in of(here, "lineage").stdout
    )
    way = json.loads(of(here, "lineage", "--json").stdout)
    assert [release["release"] for release in way["releases"]] == ["r1"]
    lost = {step["asset"]: step["lost"] for step in way["steps"] if step["lost"]}
    assert set(lost) == {"conversion/tuned_params", "splits"}
    assert lost["conversion/tuned_params"] == ["its files are not stored any more"]
    assert "holdout" in lost["splits"][0]
    assert ["bundle" in line for line in way["lost"]] == [True]
    refused = of(here, "reproduce").exception
    assert isinstance(refused, NotReproducible)
    assert f"conversion/tuned_params {published.version}" in refused.summary
    # An earlier release recorded no publications: what the registry kept is what is left.
    written(here, "TRUNCATE e2i.ml_publications")
    older = json.loads(of(here, "lineage", "--json").stdout)
    assert {step["asset"] for step in older["steps"]} >= {
        "splits",
        "cohort",
        "raw/triggers",
        "conversion/tuned_params",
    }
    assert all("not on record" in step["lost"][0] for step in older["steps"])
    assert "not on record" in of(here, "reproduce").exception.summary


def test_a_model_is_made_again_and_what_is_another_is_told(here: Settings, of: Any) -> None:
    """One fit for both: of all that is compared one figure was changed on record."""
    written(
        here,
        "UPDATE e2i.ml_training_runs SET metrics = jsonb_set(metrics, '{validation_roc_auc}', '0.5')",
        """UPDATE e2i.ml_code_versions SET modules = modules || '{"e2i_assets.assets.trained_model": "0", "gone": "1"}'""",
        "UPDATE e2i.ml_publications SET code = 'other' WHERE asset = 'conversion/trained_model'",
        "INSERT INTO e2i.ml_code_versions (code, modules) SELECT 'other', modules FROM e2i.ml_code_versions "
        "WHERE modules ? 'e2i_assets.assets.training_log' LIMIT 1",
    )
    for listed in (here.bento_home / "bentos").glob("*/*/env/python/requirements.txt"):
        listed.write_bytes(b"\xff==1\n==\nnumpy\n")
    before = counts(here), files(here)
    with receiver() as (address, taken):
        result = of(here, "reproduce", "--json", "--openlineage", address)
    assert {t["name"]: t["status"] for t in checked(taken[1]).run.facets["test"].tests}[
        "validation_roc_auc"
    ] == "fail"
    assert result.exit_code == 1
    done = json.loads(result.stdout)
    assert (counts(here), files(here)) == before
    assert (done["same_model"], done["same_metrics"], done["equal"], done["differences"]) == (
        True,
        False,
        False,
        [],
    )
    unequal = {
        name
        for name, figure in done["metrics"].items()
        if figure["recorded"] != pytest.approx(figure["again"])
    }
    assert unequal == {"validation_roc_auc"}
    assert len(done["metrics"]) == 4
    assert done["code_changed"]
    assert done["changes"]["modules"] == ["e2i_assets.assets.trained_model", "gone"]
    assert done["changes"]["libraries"] == {"\ufffd": ["1", None]}  # what a damaged list still tells
    first = result.stderr.splitlines()[0]
    assert first.startswith("other code trained it: other then")
