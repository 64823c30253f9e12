"""What the README promises of its first command: every partition, every gate, a bundle that answers.

Seen as a user sees it, from a wheel in a folder whose name has spaces and letters of other languages.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import numpy as np
import pandas as pd
import pytest

from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.serving.bundle_ref import BundleRef
from e2i_assets.settings import Settings
from e2i_assets_tests.conftest import SHIPPED, WHOLE_CONFIG, postgres_home
from e2i_assets_tests.e2e import readme_commands
from e2i_assets_tests.e2e.bring_your_own import PARTITION as TRIAL
from e2i_assets_tests.e2e.bring_your_own import e2i, environment
from e2i_assets_tests.e2e.installed import Installed, install
from e2i_assets_tests.readme import command_lines
from e2i_assets_tests.serve_process import served

PARTITIONS = {"fabhalta_c3g", "fabhalta_pnh", "kisqali_hr_her2_bc", "remibrutinib_csu"}
ONE = "kisqali_hr_her2_bc"
UP_TO_METRICS = [
    *[f"raw/{t}" for t in ("hcp_profiles", "patient_journeys", "treatment_events", "ml_predictions", "triggers", "business_metrics", "causal_paths")],
    "qc_report", "cohort", "features", "splits",
    *[f"conversion/{s}" for s in ("model_candidate", "preprocessor", "tuned_params", "trained_model", "evaluation")],
]  # fmt: skip


@pytest.fixture(scope="module")
def installed() -> Iterator[Installed]:
    with postgres_home() as folder:
        here = install(folder)
        here.e2i("init", ".")
        try:
            yield here
        finally:
            here.e2i("down")


@pytest.fixture(scope="module")
def demo(installed: Installed) -> dict[str, Any]:
    return json.loads(installed.e2i("demo", "--json"))


def test_the_demo_ends_with_models_that_answer(demo: dict[str, Any], installed: Installed) -> None:
    services = json.loads(installed.e2i("deploy", "status", "--json"))["services"]
    models = [member for service in services for member in service["active"]["members"]]
    assert {(one["partition"], one["scope"]) for one in models} == set(product(PARTITIONS, SHIPPED["scopes"]))
    for service in services:
        assert httpx.get(f"{service['url']}/health").json()["status"] == "healthy"


@pytest.fixture(scope="module")
def store(demo: dict[str, Any], installed: Installed) -> ArtifactStore:
    return open_store(Settings(home=installed.home))


def test_every_partition_passes_every_gate_of_every_scope(demo: dict[str, Any]) -> None:
    assert demo["success"]
    rows = {(row["partition"], row["scope"]): row for row in demo["partitions"]}
    assert set(rows) == set(product(PARTITIONS, SHIPPED["scopes"]))
    for (partition, scope), row in rows.items():
        assert (row["gates_passed"], row["gates_failed"]) == (36, 0)
        assert row["journeys"] == 625
        assert row["cohort"] >= 300
        assert row["qc_score"] >= 0.8
        for split in ("validation", "test"):
            low, high = row[f"{split}_95"]
            assert low < row[split] < high
            if row["metric"] == "roc_auc":
                assert row["baseline"] == 0.5 < low < high <= 1
                assert row[split] < 1
                assert 0.7 < row["oracle"] < 1
            elif row["metric"] == "rmse":
                assert row[split] < row["baseline"]
        if row["metric"] == "effect":
            assert row["scope"] == "uplift"
            assert 0 < row["oracle"] < 0.3
            assert 0 <= row["truth"]["regret"] <= row["truth"]["best"]
        if row["metric"] == "rmse":
            r2 = row["without_unit"]
            assert 0 < row["oracle"] < row["test"]
            assert r2["metric"] == "r2"
            assert 0.2 < r2["test"] < r2["oracle"] < 1
        assert row["bundle"].startswith(f"e2i-{scope}-{partition}:")


def test_the_second_run_computes_nothing_and_says_so(demo: dict[str, Any], installed: Installed) -> None:
    assert not demo["unchanged"]
    again = json.loads(installed.e2i("demo", "--json"))
    assert again["success"]
    assert again["unchanged"]
    assert all(run["computed"] == [] for run in again["runs"])
    same = ("test", "bundle", "cohort", "oracle", "gates_passed")
    assert [[r[k] for k in same] for r in again["partitions"]] == [
        [r[k] for k in same] for r in demo["partitions"]
    ]


def test_a_fresh_home_of_this_clone_has_the_same_versions(demo: dict[str, Any], store: ArtifactStore) -> None:
    with postgres_home() as folder:
        other = environment(folder / "home", WHOLE_CONFIG)
        e2i("data", "generate", "--small", "--json", env=other)
        up_to_metrics = ("-p", ONE, "-s", '+key:"conversion/evaluation"')
        assert json.loads(e2i("materialize", *up_to_metrics, "--json", env=other))["success"]
        fresh = open_store(Settings(home=Path(other["E2I_HOME"])))
        versions = {asset: fresh.current(asset, ONE).version for asset in UP_TO_METRICS}
    assert versions == {asset: store.current(asset, ONE).version for asset in UP_TO_METRICS}


def named(row: pd.Series) -> dict[str, Any]:
    """A patient's features as JSON: numbers, booleans, texts and nulls."""
    return {
        name: None if value is None or (isinstance(value, float) and math.isnan(value)) else value
        for name, value in row.items()
    }


def test_the_bundle_answers_as_the_model_does(
    installed: Installed, demo: dict[str, Any], store: ArtifactStore, tmp_path: Path
) -> None:
    model = store.read(
        "conversion/trained_model", ONE, store.current("conversion/trained_model", ONE).version, TrainedModel
    )
    splits = store.read("splits", ONE, store.current("splits", ONE).version, Splits)
    boolean = [f.name for f in splits.features if f.kind == "boolean"]
    patients = splits.validation[list(model.features)].head(8)
    expected = model.predict(patients)
    rows = []
    for _, patient in patients.iterrows():
        features = named(patient)
        rows.append(
            features | {name: None if features[name] is None else bool(features[name]) for name in boolean}
        )
    (tag,) = [
        row["bundle"] for row in demo["partitions"] if (row["partition"], row["scope"]) == (ONE, "conversion")
    ]
    published = store.current("conversion/bento_bundle", ONE).display
    request = shlex.split(dg.deserialize_value(published, dict)["metadata"]["predict"].value)[-1]
    with served(tag, installed.home / "bentoml", tmp_path / "serve.log") as url:
        copied = httpx.post(
            f"{url}/predict", content=request, headers={"Content-Type": "application/json"}, timeout=60
        )
        assert copied.status_code == 200
        assert copied.json()["_metadata"]["warnings"] == []
        single = [httpx.post(f"{url}/predict", json={"features": row}, timeout=60) for row in rows]
        assert [answer.status_code for answer in single] == [200] * len(rows)
        np.testing.assert_allclose([a.json()["predictions"][0] for a in single], expected, rtol=0, atol=1e-6)
        batch = httpx.post(f"{url}/predict_batch", json={"features_list": rows}, timeout=60).json()
        np.testing.assert_allclose(batch["predictions"], expected, rtol=0, atol=1e-6)
        lacking = {k: v for k, v in rows[0].items() if k != "disease_severity"}
        missing = httpx.post(f"{url}/predict", json={"features": lacking}, timeout=60)
        wrong = httpx.post(
            f"{url}/predict", json={"features": rows[0] | {"age_at_diagnosis": "forty"}}, timeout=60
        )
    assert 400 <= missing.status_code < 500
    assert "disease_severity" in missing.text
    assert 400 <= wrong.status_code < 500
    assert "age_at_diagnosis" in wrong.text
    assert "forty" not in wrong.text


@pytest.fixture(scope="module")
def typed(demo: dict[str, Any], installed: Installed) -> list[readme_commands.Typed]:
    """The commands of README and site, typed in their order; the tests below are the last ones, as these change things."""
    readme_commands.lay_out(installed.cwd)
    return list(readme_commands.type_all(installed.cwd, installed.ports))


def test_what_the_readme_says_to_type_runs(typed: list[readme_commands.Typed]) -> None:
    assert readme_commands.NOT_RUN.keys() < set(command_lines()), "a command is gone"
    wrong = [one for one in typed if one.exit_code != one.expected]
    assert not wrong, "\n\n".join(map(str, wrong))
    text = {one.command.split()[2].rpartition("/")[2]: one.said for one in typed if one.command[:4] == "curl"}
    assert "disease_severity" in text["model_info"]
    assert "disease_severity" in text["predict"], "it is missing in the request"


def test_the_tutorial_ends_with_a_model_that_answers_and_is_watched(
    typed: list[readme_commands.Typed],
) -> None:
    of_the_trial = [one for one in typed if f"e2i-recurrence-{TRIAL}" in one.command]
    deployed, asked, watched = (one.said for one in of_the_trial)
    # What answers is held against the holdout split, through its address.
    assert "as on test, on holdout" in deployed
    assert json.loads(asked)["_metadata"]["model_name"] == f"e2i-recurrence-{TRIAL}"
    assert 0 < json.loads(asked)["predictions"][0] < 1
    assert TRIAL in watched


def test_the_trial_goes_the_whole_way(
    typed: list[readme_commands.Typed], installed: Installed, store: ArtifactStore
) -> None:
    """The German Breast Cancer Study Group trial from CSV to a bundle, by configuration alone."""
    done = json.loads(installed.e2i("materialize", "--partition", TRIAL, "--json"))
    (run,), (row,) = done["runs"], done["partitions"]
    assert run["success"], run
    assert run["computed"] == []
    assert (row["cohort"], row["scope"]) == (623, "recurrence")
    assert all(row[name] for name in ("bundle", "algorithm", "test_95"))
    assert "conversion/trained_model" not in run["reused"]

    def published(asset: str, kind: type) -> Any:
        current = store.current(asset, TRIAL)
        assert current is not None
        return store.read(asset, TRIAL, current.version, kind)

    assert store.current("conversion/trained_model", TRIAL) is None
    cohort = published("cohort", Cohort)
    assert (cohort.result.total_count, cohort.result.eligible_count) == (686, 623)
    splits = published("splits", Splits)
    assert {"tsize", "tgrade", "pnodes", "progrec", "estrec", "menostat", "horTh"} <= {
        f.name for f in splits.features
    }
    assert not {"time", "cens", "recurrence_2y"} & {f.name for f in splits.features}
    assert published("recurrence/bento_bundle", BundleRef).tag.startswith(f"e2i-recurrence-{TRIAL}:")
