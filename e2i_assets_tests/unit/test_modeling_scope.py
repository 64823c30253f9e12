from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from e2i_assets.modeling.errors import ConfigError
from e2i_assets.modeling.scope import SuccessCriteria
from e2i_assets.modeling.scopes import load_scopes, read_scope
from e2i_assets.modeling.tuning import OptunaConfig
from e2i_assets_tests.conftest import CONFIG


def write(folder: Path, changes: dict[str, object], name: str = "conversion") -> Path:
    document = yaml.safe_load((CONFIG / "scopes" / "conversion.yaml").read_text())
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document | changes))
    return path


def test_the_shipped_files_are_valid() -> None:
    scope = load_scopes(CONFIG / "scopes")["conversion"]
    assert scope.target == "treatment_initiated"
    assert [tuple(c) for c in scope.success_criteria] == [("min_auc", "min", "auc", 0.7)]
    assert scope.plausible == ("max_auc", 0.95)
    config = OptunaConfig.from_yaml(CONFIG / "optuna_config.yaml")
    assert (config.optimization.n_trials, config.sampler.seed) == (50, 42)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"targets": "x"}, "targets: no such key"),
        ({"selection": {"max_latency": 3}}, "selection.max_latency: no such key"),
        ({"selection": {"max_latency_ms": 0}}, "selection.max_latency_ms"),
        ({"problem_type": "regression"}, "min_auc: no such metric; known are rmse"),
        ({"problem_type": "ranking"}, "problem_type: there is no ranking; write one of .*regression"),
        ({"problem_type": None}, "problem_type: is missing; write one of binary_classification, multi"),
        ({"problem_type": "multiclass_classification"}, "classes: Field required"),
        ({"success_criteria": {}}, "at least one criterion"),
        ({"success_criteria": {"auc": 0.7}}, "auc must read min_<metric>"),
        ({"success_criteria": {"min_acu": 0.7}}, "min_acu: no such metric"),
        ({"success_criteria": {"min_auc": float("nan")}}, "finite"),
        ({"success_criteria": {"min_auc": -5}}, "min_auc is -5, but auc lies in"),
        ({"success_criteria": {"min_auc": 70}}, "min_auc is 70, but auc lies in"),
        ({"success_criteria": {"max_brier": 1.5}}, "max_brier is 1.5, but brier lies in"),
        ({"success_criteria": {"max_log_loss": -0.1}}, "max_log_loss is -0.1, but log_loss lies in"),
        ({"target": ""}, "target"),
        ({"plausible_max_auc": 0.5}, "plausible_max_auc"),
        ({"plausible_max_r2": 0.9}, "plausible_max_r2: no such key"),
        (
            {"problem_type": "regression", "success_criteria": {"min_r2": 0.1}, "plausible_max_r2": 1.5},
            "plausible_max_r2",
        ),
        ({"name": "churn"}, "name: is 'churn'"),
    ],
)
def test_a_wrong_scope_names_the_file_and_the_key(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=rf"conversion\.yaml(:\d+)?: .*{words}"):
        read_scope(write(tmp_path, changes))


@pytest.mark.parametrize("text", ["[1, 2]", "name: [", ""])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "conversion.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"conversion\.yaml"):
        read_scope(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"churn\.yaml"):
        read_scope(tmp_path / "churn.yaml")
    with pytest.raises(ConfigError, match="no scope file"):
        load_scopes(tmp_path)


def test_an_unknown_tuning_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "optuna.yaml"
    path.write_text("sampler: {name: grid}\n")
    with pytest.raises(ConfigError, match=r"sampler\.name"):
        OptunaConfig.from_yaml(path)


def test_criteria_can_be_stated_in_code() -> None:
    assert [c.bound for c in SuccessCriteria({"max_brier": 0.2})] == ["max"]
