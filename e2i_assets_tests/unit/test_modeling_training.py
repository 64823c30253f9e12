from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from e2i_assets.modeling.errors import ModelFileError
from e2i_assets.modeling.evaluation.plots import importance_plot
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.modeling.training.recalibration import uncalibrated
from e2i_assets_tests.unit.modeling_frames import FEATURES, TEST, TRAIN, trained

pytestmark = pytest.mark.parametrize("algorithm", Binary.algorithms)


def test_the_pipeline_takes_raw_features_and_finds_the_signal(algorithm: str) -> None:
    model = trained(algorithm)
    p = model.predict(TEST.X)
    assert p.shape == (len(TEST.y),)
    assert ((p > 0) & (p < 1)).all()
    assert model.metrics["validation_roc_auc"] > 0.7
    np.testing.assert_array_equal(p, model.pipeline.predict_proba(TEST.X)[:, 1])
    assert model.features == tuple(f.name for f in FEATURES)
    assert (model.n_train, model.n_validation) == (len(TRAIN.y), 120)


def test_importance_is_by_raw_feature(algorithm: str) -> None:
    model = trained(algorithm)
    shares = model.feature_importance
    assert set(shares) == {f.name for f in FEATURES}
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert next(iter(shares)) in ("lab_0", "lab_1", "region")
    assert importance_plot(model).startswith(b"\x89PNG")


def test_boosting_stopped_early_and_kept_its_best_round(algorithm: str) -> None:
    model = trained(algorithm)
    if Binary.algorithms[algorithm].family != "gradient_boosting":
        assert model.best_iteration is None
        return
    estimator = uncalibrated(model.pipeline[-1])
    booster = estimator.get_booster() if algorithm == "XGBoost" else estimator.booster_
    trees = booster.num_boosted_rounds() if algorithm == "XGBoost" else booster.num_trees()
    assert 1 <= model.best_iteration == model.params["n_estimators"] == trees < 500


def test_a_saved_model_is_the_same_after_predicting_and_loading(algorithm: str, tmp_path: Path) -> None:
    model = trained(algorithm)
    model.predict(TEST.X)
    model.save(tmp_path / "model")
    again = TrainedModel.load(tmp_path / "model")
    assert again.to_dict() == model.to_dict()
    np.testing.assert_array_equal(again.predict(TEST.X), model.predict(TEST.X))
    again.save(tmp_path / "again")
    for name in ("model.joblib", "model.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "model" / name).read_bytes()
    assert b"e2i_assets" not in (tmp_path / "model" / "model.joblib").read_bytes()
    json.loads((tmp_path / "model" / "model.json").read_text(), parse_constant=pytest.fail)


def test_a_model_that_is_not_the_recorded_one_is_refused(algorithm: str, tmp_path: Path) -> None:
    trained(algorithm).save(tmp_path)
    whole = (tmp_path / "model.joblib").read_bytes()
    (tmp_path / "model.joblib").write_bytes(whole[:-10])
    with pytest.raises(ModelFileError, match="is not the model that"):
        TrainedModel.load(tmp_path)
    (tmp_path / "model.json").unlink()
    with pytest.raises(ModelFileError, match="not a saved model"):
        TrainedModel.load(tmp_path)
