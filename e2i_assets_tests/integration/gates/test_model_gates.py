"""The gates from the preprocessor to the bundle, blocking: nothing is published past them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from e2i_assets.assets import bento_bundle, preprocessor
from e2i_assets.build import build_resources
from e2i_assets.settings import Settings
from e2i_assets_tests.integration.gates.partition import (
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


@pytest.mark.parametrize("way", ["bundle", "alone"])
def test_bundle_answers(here: Settings, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """All rows at once, or a row alone, answered otherwise than by the model."""
    honest = bento_bundle.answers

    def dishonest(*asked: Any) -> Any:
        told = honest(*asked)
        return dataclasses.replace(told, **{way: getattr(told, way) + 1e-5})

    monkeypatch.setattr(bento_bundle, "answers", dishonest)
    before = published(here)
    result = run(here, 'key:"conversion/bento_bundle"', force=True)
    assert reason(result, "bundle_answers") == "bundle_differs"
    assert published(here) == before
