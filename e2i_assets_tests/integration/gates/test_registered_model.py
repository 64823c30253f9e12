"""A bundle becomes a version of the registry, and enters staging only when the rules for that hold."""

from __future__ import annotations

from pathlib import Path

import yaml

from e2i_assets.build import build_resources
from e2i_assets.registry.ledger import Model
from e2i_assets.registry.registered import RegisteredModel
from e2i_assets.registry.rules import FILE
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.registry import model_of, served_versions
from e2i_assets_tests.integration.gates.partition import PARTITION, changed, reason, run

NAME = f"e2i-conversion-{PARTITION}"
ASSET = "conversion/registered_model"


def model(here: Settings) -> Model:
    return model_of(build_resources(here)["warehouse"], NAME)


def test_a_bundle_is_registered_with_its_evidence_and_enters_staging(base: Settings) -> None:
    resources = build_resources(base)
    current = resources["store"].current(ASSET, PARTITION)
    registered = resources["store"].read(ASSET, PARTITION, current.version, RegisteredModel)
    (version,) = model(base).versions
    assert (registered.model_name, registered.version, registered.files_hash) == (NAME, 1, version.files_hash)
    assert model(base).stages() == {1: "staging"}
    assert 0.7 < version.metrics["auc"] < 1
    assert version.samples["train"] > version.samples["test"] > 40
    assert version.data_version == resources["store"].current("splits", PARTITION).version
    assert {"splits", "cohort", "features", "raw/patient_journeys"} <= set(version.trained_on)
    entry = model(base).entries[-1]
    assert {one["name"] for one in entry.evidence} == {"bundle", "min_auc", "min_samples"}
    (served,) = served_versions(resources["warehouse"])
    assert (served.version, served.stage, served.role) == (version, "staging", "active")


def test_promotion_rules(here: Settings, tmp_path: Path) -> None:
    """Of what does not reach staging a version stays in development, and nothing is published."""
    store = build_resources(here)["store"]
    before = store.current(ASSET, PARTITION)
    edited = changed(
        here, tmp_path, "scopes/conversion.yaml", lambda c: c["selection"].update(max_latency_ms=99)
    )
    rules = yaml.safe_load((edited.config / FILE).read_text())
    rules["promotion"]["binary_classification"]["staging"].update(min_auc=0.99, min_samples=10_000)
    (edited.config / FILE).write_text(yaml.safe_dump(rules))
    for _ in range(2):  # refused again, registered once
        result = run(edited, f'key:"conversion/bento_bundle" or key:"{ASSET}"')
        assert reason(result, "promotion_rules") == "rules_not_met"
        assert not result.success
        assert store.current(ASSET, PARTITION) == before
        assert model(here).stages() == {1: "staging", 2: "development"}
    rules["promotion"]["binary_classification"]["staging"].update(min_auc=0.7, min_samples=100)
    (edited.config / FILE).write_text(yaml.safe_dump(rules))
    assert run(edited, f'key:"{ASSET}"').success
    assert model(here).stages() == {1: "staging", 2: "staging"}
