"""A question of each further kind, by a scope file alone: a real table, from its file to a served prediction."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_diabetes, load_wine

from e2i_assets.build import build_resources
from e2i_assets.cli.models_data import NoCard, card_of
from e2i_assets.cli.results import end
from e2i_assets.cli.runner import PartitionRun
from e2i_assets.ingest.mapping import Mapping
from e2i_assets.ingest.sources import read_source
from e2i_assets.modeling.artifacts import Evaluated, Splits
from e2i_assets.modeling.card.records import ModelCard
from e2i_assets.modeling.card.tripod import ITEMS, OPEN
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.serving.bundle_ref import BundleRef
from e2i_assets.settings import Settings
from e2i_assets.warehouse.postgres import export
from e2i_assets_tests.conftest import ROOT, installation
from e2i_assets_tests.integration.gates.partition import run
from e2i_assets_tests.serve_process import served

MAPPING = """
source: {indication}
tables:
  patient_journeys:
    key: line
    columns:
      brand: "'Trial'"
      indication: "'{indication}'"
      source_timestamp: "TIMESTAMPTZ '{now}'"
    attributes:
      {outcome}: {{from: target, role: outcome, available_at: outcome}}
"""
NOT_COLLECTED = [
    "hcp_id", "diagnosis_code", "age_at_diagnosis", "gender", "geographic_region", "insurance_type",
    "disease_severity", "comorbidity_count", "prior_treatment_count", "academic_hcp", "engagement_score",
    "hcp_engaged", "treatment_initiated",
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A table and the question asked of it; partitions are known by their files when assets are imported."""

    key: str
    table: Callable[[], pd.DataFrame]
    dtype: str
    scope: dict[str, Any]
    impossible: dict[str, float]
    primary: str
    service: str

    @property
    def name(self) -> str:
        return self.scope["name"]

    @property
    def indication(self) -> str:
        return f"{self.name}_table"


def diabetes() -> pd.DataFrame:
    """442 diabetics and their disease a year later (Efron et al. 2004)."""
    return load_diabetes(as_frame=True, scaled=False).frame


def wine() -> pd.DataFrame:
    """178 wines of three cultivars (Forina et al. 1988), which the file numbers."""
    table = load_wine(as_frame=True).frame.rename(columns=lambda name: name.replace("/", "_"))
    return table.assign(target=table["target"].map({0: "first", 1: "second", 2: "third"}))


CASES = {
    case.name: case
    for case in (
        Case(
            "fabhalta_c3g", diabetes, "number",
            {"name": "progression", "description": "How far is <b>the disease</b> a year later?",
             "problem_type": "regression", "target": "score", "success_criteria": {"max_rmse": 65, "min_r2": 0.2}},
            {"max_rmse": 20}, "rmse", "regression-service",
        ),
        Case(
            "fabhalta_pnh", wine, "string",
            {"name": "cultivar", "description": "Which cultivar is it of?",
             "problem_type": "multiclass_classification", "target": "cultivar_name",
             "classes": ["first", "second", "third"], "success_criteria": {"min_f1": 0.8, "min_accuracy": 0.8}},
            {"max_log_loss": 0.0001}, "f1_weighted", "classification-service",
        ),
    )
}  # fmt: skip


def configuration(folder: Path, **criteria: dict[str, float]) -> Path:
    """The shipped one with a partition and a scope for each case, and few trials."""
    config = folder / "config"
    shutil.copytree(ROOT / "config", config, ignore=shutil.ignore_patterns("cohorts", "scopes"))
    (config / "optuna_config.yaml").write_text("sampler: {seed: 7}\noptimization: {n_trials: 3}\n")
    for kind in ("cohorts", "scopes"):
        (config / kind).mkdir()
    for case in CASES.values():
        features = {
            name: {"dtype": "number", "available_at": "index"} for name in case.table() if name != "target"
        }
        cohort = {
            "cohort_name": case.name, "brand": "Trial", "indication": case.indication, "scopes": [case.name],
            "required_tables": ["patient_journeys"], "not_collected": NOT_COLLECTED, "inclusion_criteria": [],
            "temporal_requirements": None,
            "attributes": features
            | {case.scope["target"]: {"dtype": case.dtype, "role": "outcome", "available_at": "outcome"}},
        }  # fmt: skip
        scope = case.scope | {"success_criteria": criteria.get(case.name, case.scope["success_criteria"])}
        (config / "cohorts" / f"{case.key}.yaml").write_text(yaml.safe_dump(cohort))
        (config / "scopes" / f"{case.name}.yaml").write_text(yaml.safe_dump(scope))
    return config


def load(here: Settings, folder: Path, case: Case) -> None:
    path = folder / f"{case.name}.csv"
    case.table().to_csv(path, index=False)
    now = dt.datetime.now(dt.UTC)
    text = MAPPING.format(
        indication=case.indication, now=now.isoformat(" ", "seconds"), outcome=case.scope["target"]
    )
    source = read_source(str(path), Mapping.from_text(text, folder / "mapping.yaml"), now=now)
    loaded = build_resources(here)["warehouse"].load(source, {("Trial", case.indication)})
    assert loaded.rows == {"patient_journeys": len(case.table())}


def published(here: Settings, asset: str, case: Case, kind: type) -> Any:
    store = build_resources(here)["store"]
    current = store.current(asset, case.key)
    assert current is not None
    return store.read(asset, case.key, current.version, kind)


@pytest.fixture(scope="module")
def here(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Both tables from their files to bundles, every gate passed."""
    folder = tmp_path_factory.mktemp("problem_types")
    with installation(server, folder) as settings:
        settings = settings.model_copy(update={"config": configuration(folder)})
        export(settings)  # the installation puts the environment back
        for case in CASES.values():
            load(settings, folder, case)
            done = run(settings, "*", partition=case.key)
            # These tables have neither age nor sex: the check of groups, which blocks nothing, warns.
            judged = done.get_asset_check_evaluations()
            refused = [str(e.description) for e in judged if not e.passed and e.blocking]
            assert (refused, done.success) == ([], True)
            assert [e.check_name for e in judged if not e.passed] == ["subgroup_gaps"]
            assert len(judged) == 15
        yield settings


@pytest.mark.parametrize("name", CASES)
def test_the_model_is_judged_by_the_metrics_of_its_kind(here: Settings, name: str) -> None:
    case = CASES[name]
    result = published(here, f"{name}/evaluation", case, Evaluated).evaluation
    problem = load_scopes(here.config_dir / "scopes")[name].problem
    assert (result.problem_type, result.primary_metric) == (case.scope["problem_type"], case.primary)
    better = result.primary("test") - result.baseline
    assert (better > 0) is problem.greater_is_better
    low, high = result.interval("test")
    assert low <= result.primary("test") <= high
    assert set(result.metrics["test"]) == set(result.intervals["test"])


@pytest.mark.parametrize("name", CASES)
def test_mlflow_and_the_records_name_the_primary_metric(here: Settings, name: str) -> None:
    import sqlalchemy as sa
    from mlflow import MlflowClient

    case, resources = CASES[name], build_resources(here)
    client = MlflowClient(tracking_uri=resources["tracking"].uri)
    experiment = client.get_experiment_by_name(f"e2i_{name}")
    (logged,) = client.search_runs([experiment.experiment_id])
    assert logged.data.tags["primary_metric"] == case.primary
    assert logged.data.tags["problem_type"] == case.scope["problem_type"]
    wanted = {f"{split}_{case.primary}" for split in ("train", "validation", "test", "baseline")}
    assert wanted <= set(logged.data.metrics)
    assert not [metric for metric in logged.data.metrics if metric.endswith("_auc")]
    with resources["warehouse"].engine.connect() as connection:
        metric = connection.scalar(
            sa.text("SELECT metric FROM e2i.ml_hpo_studies WHERE scope = :scope"), {"scope": name}
        )
    assert metric.removeprefix("neg_") == case.primary


def test_the_command_shows_each_by_its_name(here: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [PartitionRun(case.key, "run", success=True, seconds=1.0) for case in CASES.values()]
    assert end(runs, here, as_json=True) == 0
    rows = {row["scope"]: row for row in yaml.safe_load(capsys.readouterr().out)["partitions"]}
    for name, case in CASES.items():
        row = rows[name]
        assert (row["metric"], row["oracle"]) == (case.primary, "unavailable")
        assert row["test_95"][0] <= row["test"] <= row["test_95"][1]


def test_splits_are_stratified_where_the_target_has_classes(here: Settings) -> None:
    case = CASES["cultivar"]
    splits = published(here, "splits", case, Splits)
    counts = splits.train["cultivar_name"].value_counts(normalize=True)
    whole = wine()["target"].value_counts(normalize=True)
    assert (counts - whole).abs().max() < 0.02
    before = splits.assigned.set_index("patient_id")["split"]
    assert run(here, 'key:"splits"', partition=case.key, force=True).success
    again = published(here, "splits", case, Splits).assigned.set_index("patient_id")["split"]
    pd.testing.assert_series_equal(before, again)


@pytest.mark.parametrize("name", CASES)
def test_a_criterion_that_is_not_met_blocks(here: Settings, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    store = build_resources(here)["store"]
    before = store.current(f"{name}/evaluation", case.key).version
    asked = here.model_copy(update={"config": configuration(tmp_path, **{name: case.impossible})})
    done = run(asked, f'key:"{name}/evaluation"+', partition=case.key)
    (verdict,) = [e for e in done.get_asset_check_evaluations() if e.check_name == "success_criteria"]
    assert (verdict.passed, verdict.metadata["reason"].value) == (False, "criteria_not_met")
    assert next(iter(case.impossible)) in str(verdict.description)
    assert store.current(f"{name}/evaluation", case.key).version == before


@pytest.mark.parametrize("name", CASES)
def test_the_card_is_one_page_of_records(here: Settings, name: str) -> None:
    case = CASES[name]
    card = published(here, f"{name}/model_card", case, ModelCard)
    model = published(here, f"{name}/trained_model", case, TrainedModel)
    page = card.page
    assert card.model_fingerprint == model.fingerprint
    assert model.seed == 7  # the study's
    assert not re.findall(r"<script|<link|https?://|src=\"(?!data:image/png;base64,)", page)
    assert all(f"<td>{number}</td><td>{topic}</td>" in page for number, (topic, _) in ITEMS.items())
    assert f"{OPEN}{ITEMS['17'][1]}" in page
    assert "How far is <b>" not in page
    assert page.count("<img ") >= 4
    result = published(here, f"{name}/evaluation", case, Evaluated).evaluation
    problem = load_scopes(here.config_dir / "scopes")[name].problem
    assert problem.figure(case.primary, result.primary("test")) in page
    exact = [n for n in (result.n_test, result.n_validation, result.n_train) if n and n % 5]
    assert not [n for n in exact if re.search(rf"[\s>]{n:,} (test |training |validation )?rows", page)]
    splits = published(here, "splits", case, Splits)
    assert not [key for key in splits.assigned["patient_id"] if f">{key}<" in page]


def test_the_card_lies_beside_the_model_and_is_found_by_any_of_its_names(here: Settings) -> None:
    from mlflow import MlflowClient

    case = CASES["progression"]
    card = card_of(here, f"{case.name}/{case.key}")
    for name in (card.version, card.version[:6], card.card.model_fingerprint[:12]):
        assert card_of(here, name) == card
    client = MlflowClient(tracking_uri=build_resources(here)["tracking"].uri)
    (logged,) = client.search_runs([client.get_experiment_by_name("e2i_progression").experiment_id])
    assert [file.path for file in client.list_artifacts(logged.info.run_id, "model_card")] == [
        "model_card/card.html"
    ]
    store = build_resources(here)["store"]
    page = store.page(card.link.removeprefix("/pages/"))
    assert page is not None
    assert page.html == card.card.page


@pytest.mark.parametrize("name", ["progression/nowhere", "nothing/fabhalta_c3g", "zz", "0123456789abcdef"])
def test_what_names_no_card_is_refused_with_the_next_step(here: Settings, name: str) -> None:
    with pytest.raises(NoCard) as refused:
        card_of(here, name)
    assert refused.value.next_step


@pytest.mark.parametrize("name", CASES)
def test_the_bundle_answers_as_the_model_does(here: Settings, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    bundle = published(here, f"{name}/bento_bundle", case, BundleRef)
    assert bundle.service_name == case.service
    model = published(here, f"{name}/trained_model", case, TrainedModel)
    rows = published(here, "splits", case, Splits).validation[list(model.features)].head(5)
    body = {"features_list": rows.astype(float).to_dict("records")}
    with served(bundle.tag, here.bento_home, tmp_path / "serve.log") as url:
        answer = httpx.post(f"{url}/predict_batch", json=body, timeout=60).json()
        info = httpx.get(f"{url}/model_info", timeout=60).json()
    expected = model.predict(rows)
    assert info["answer"]["gives"] == ("value" if expected.ndim == 1 else "class")
    assert f"test_{case.primary}" in info["metadata"]
    if expected.ndim == 1:
        np.testing.assert_allclose(answer["predictions"], expected, rtol=1e-6)
        assert "probabilities" not in answer
        return
    classes = case.scope["classes"]
    assert answer["predictions"] == [classes[place] for place in expected.argmax(axis=1)]
    assert [list(row) for row in answer["probabilities"]] == [classes] * 5
    np.testing.assert_allclose([list(row.values()) for row in answer["probabilities"]], expected, atol=1e-6)
