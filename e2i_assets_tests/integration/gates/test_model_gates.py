"""The gates from the preprocessor to the bundle, blocking: nothing is published past them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from e2i_assets.assets import bento_bundle, preprocessor
from e2i_assets.build import build_resources
from e2i_assets.modeling.artifacts import Evaluated
from e2i_assets.settings import Settings
from e2i_assets_tests.integration.gates.partition import (
    COHORT_FILE,
    PARTITION,
    changed,
    published,
    reason,
    run,
)


def test_answerable(here: Settings, tmp_path: Path) -> None:
    """No algorithm is chosen for a question that the data cannot answer, and nothing after it is made."""
    before = published(here)
    edited = changed(
        here,
        tmp_path,
        "scopes/conversion.yaml",
        lambda c: c.update(minimum_samples=5000, features={"required": ["ldh_ratio"]}),
    )
    result = run(edited, 'key:"conversion/model_candidate"+')
    assert reason(result, "answerable") == "required_features_missing"
    assert not result.success
    assert published(here) == before


@pytest.mark.parametrize("loss", ["key", "file"])
def test_an_evaluation_without_the_vault_is_refused(here: Settings, tmp_path: Path, loss: str) -> None:
    """The model is not judged, and the reason says what is missing."""
    before = published(here)
    with build_resources(here)["warehouse"].engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM e2i.ml_split_access"))
    if loss == "key":
        here.vault_key_file.unlink()
    else:
        shutil.rmtree(here.vault_url)
    edited = changed(
        here, tmp_path, "scopes/conversion.yaml", lambda c: c.update(success_criteria={"min_auc": 0.6})
    )
    result = run(edited, 'key:"conversion/evaluation"')
    assert reason(result, "success_criteria") == {"key": "vault_key", "file": "seal_broken"}[loss]
    assert published(here) == before
    with build_resources(here)["warehouse"].engine.connect() as connection:
        outcomes = connection.scalars(sa.text("SELECT outcome FROM e2i.ml_split_attempts ORDER BY id")).all()
    # Without the key not even who is assigned where is read: nothing is attempted.
    assert outcomes == ["opened", *(["seal_broken"] if loss == "file" else [])]


def test_fitted_on_train(here: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preprocessor that has seen the validation split as well."""
    honest = preprocessor.fit_preprocessor
    fits: list[int] = []

    def dishonest(train: Any, features: Any, **counted: Any) -> Any:
        """Of the preprocessor itself; what it is compared with is fitted on train."""
        fits.append(len(train))
        if len(fits) > 1:
            return honest(train, features, **counted)
        return honest(train.sample(frac=0.7, random_state=1), features)

    monkeypatch.setattr(preprocessor, "fit_preprocessor", dishonest)
    before = published(here)
    edited = changed(here, tmp_path, "scopes/conversion.yaml", lambda c: c.update(description="again"))
    result = run(edited, 'key:"conversion/preprocessor"')
    assert reason(result, "fitted_on_train") == "not_train_alone"
    assert published(here) == before


def test_success_criteria(here: Settings, tmp_path: Path) -> None:
    """The model stays; its evaluation and a bundle of it are not published."""
    before = published(here)
    edited = changed(
        here, tmp_path, "scopes/conversion.yaml", lambda c: c.update(success_criteria={"min_auc": 0.999})
    )
    result = run(edited, 'key:"conversion/evaluation"+')
    assert reason(result, "success_criteria") == "criteria_not_met"
    assert published(here) == before


def test_what_is_tuned_and_trained_knows_no_test(here: Settings) -> None:
    """Without a trace of test and holdout the same parameters are found, and the same model is fitted."""
    store = build_resources(here)["store"]
    stages = [f"conversion/{name}" for name in ("model_candidate", "tuned_params", "trained_model")]
    before = {name: store.current(name, PARTITION) for name in stages}
    with build_resources(here)["warehouse"].engine.begin() as connection:
        opened = connection.execute(sa.text("SELECT split, purpose FROM e2i.ml_split_attempts")).all()
        connection.execute(sa.text("DELETE FROM e2i.ml_split_assignments WHERE split IN ('test', 'holdout')"))
    assert [tuple(row) for row in opened] == [("test", "conversion/evaluation")]
    shutil.rmtree(here.vault_url)
    assert run(here, " or ".join(f'key:"{name}"' for name in stages), force=True).success
    for name, earlier in before.items():
        again = store.current(name, PARTITION)
        assert again.run_id != earlier.run_id
        assert again.version == earlier.version


def test_test_opens_once_for_the_costs_of_all_scopes(here: Settings, tmp_path: Path) -> None:
    """A scope that asks the same at other costs has the same model: what is there when test opens is judged."""
    with build_resources(here)["warehouse"].engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM e2i.ml_split_access"))
    both = changed(here, tmp_path, COHORT_FILE, lambda c: c.update(scopes=["conversion", "costly"]))
    file = both.config_dir / "scopes" / "conversion.yaml"
    scope = yaml.safe_load(file.read_text())
    costs = {"false_positive": 1, "false_negative": 5}
    (file.parent / "costly.yaml").write_text(yaml.safe_dump(scope | {"name": "costly", "costs": costs}))
    assert run(both, 'key:"conversion/evaluation"', force=True).success
    for stated, passed in ((costs, True), (costs | {"false_negative": 6}, False)):
        again = tmp_path / str(passed)
        shutil.copytree(both.config_dir, again)
        (again / "scopes" / "conversion.yaml").write_text(yaml.safe_dump(scope | {"costs": stated}))
        result = run(here.model_copy(update={"config": again}), 'key:"conversion/evaluation"')
        assert result.success is passed
        if passed:
            store = build_resources(here)["store"]
            current = store.current("conversion/evaluation", PARTITION)
            evaluated = store.read("conversion/evaluation", PARTITION, current.version, Evaluated)
            assert "5 for each false negative" in evaluated.evaluation.threshold_rule
        else:
            assert reason(result, "success_criteria") == "vault"
    with build_resources(here)["warehouse"].engine.connect() as connection:
        outcomes = connection.scalars(sa.text("SELECT outcome FROM e2i.ml_split_attempts ORDER BY id")).all()
    assert outcomes == ["opened"] * 2  # of the installation that this is a copy of, and here


@pytest.mark.parametrize("way", ["bundle", "alone"])
def test_bundle_answers(here: Settings, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """All rows at once, or a row alone, answered otherwise than by the model."""
    honest = bento_bundle.answers

    def dishonest(*asked: Any) -> Any:
        answer = honest(*asked)
        return dataclasses.replace(answer, **{way: getattr(answer, way) + 1e-5})

    monkeypatch.setattr(bento_bundle, "answers", dishonest)
    before = published(here)
    result = run(here, 'key:"conversion/bento_bundle"', force=True)
    assert reason(result, "bundle_answers") == "bundle_differs"
    assert published(here) == before
