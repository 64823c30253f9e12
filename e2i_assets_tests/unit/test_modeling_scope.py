from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.cohorts.errors import CohortError
from e2i_assets.modeling.errors import ConfigError
from e2i_assets.modeling.scopes.files import load_scopes, read_scope, wrong_scopes
from e2i_assets.modeling.scopes.problem_types import PROBLEMS
from e2i_assets.modeling.scopes.scope import SuccessCriteria
from e2i_assets.modeling.tuning.config import OptunaConfig
from e2i_assets_tests.conftest import CONFIG, WHOLE_CONFIG


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
    config = OptunaConfig.from_yaml(WHOLE_CONFIG / "optuna_config.yaml")
    assert (config.optimization.n_trials, config.sampler.seed) == (50, 42)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"targets": "x"}, "targets: no such key"),
        ({"selection": {"max_latency": 3}}, "selection.max_latency: no such key"),
        ({"selection": {"max_latency_ms": 0}}, "selection.max_latency_ms"),
        ({"problem_type": "regression"}, "min_auc: no such metric; known are rmse"),
        ({"problem_type": "ranking"}, "problem_type: there is no ranking; write one of .*regression"),
        (
            {"problem_type": None},
            "problem_type: is missing; write one of binary_classification, causal_inference, multi",
        ),
        ({"problem_type": "multiclass_classification"}, "classes: Field required"),
        ({"success_criteria": {}}, "at least one criterion"),
        ({"success_criteria": {"auc": 0.7}}, "auc must read min_<metric>"),
        ({"success_criteria": {"min_acu": 0.7}}, "min_acu: no such metric"),
        ({"success_criteria": {"min_auc": float("nan")}}, "finite"),
        ({"success_criteria": {"min_auc": -5}}, "min_auc is -5, but auc lies in"),
        ({"success_criteria": {"min_auc": 70}}, "min_auc is 70, but auc lies in"),
        ({"success_criteria": {"max_brier": 1.5}}, "max_brier is 1.5, but brier lies in"),
        ({"success_criteria": {"max_log_loss": -0.1}}, "max_log_loss is -0.1, but log_loss lies in"),
        ({"success_criteria": {"max_auc": 0.9}}, "max_auc: auc is better higher; write min_auc"),
        ({"success_criteria": {"min_log_loss": 0.1}}, "log_loss is better lower; write max_log_loss"),
        (
            {"problem_type": "regression", "success_criteria": {"max_rmse": 5, "min_rmse": 10}},
            "rmse is better lower; write max_rmse",
        ),
        (
            {"selection": {"preferred_algorithms": ["XGBost"]}},
            "preferred_algorithms: there is no XGBost; known",
        ),
        ({"target": ""}, "target"),
        ({"plausible_max_auc": 0.5}, "plausible_max_auc"),
        ({"plausible_max_r2": 0.9}, "plausible_max_r2: no such key"),
        (
            {"problem_type": "regression", "success_criteria": {"min_r2": 0.1}, "plausible_max_r2": 1.5},
            "plausible_max_r2",
        ),
        ({"name": "churn"}, "name: is 'churn'"),
        ({"treatment": "hcp_engaged"}, "treatment: binary_classification has no treatment"),
        ({"horizon_days": 0}, "horizon_days: .*greater than or equal to 1"),
        ({"minimum_samples": 0}, "minimum_samples: .*greater than or equal to 1"),
        ({"baseline": {"model": "oracle"}}, "baseline.model: Input should be 'no_features' or 'simple'"),
        ({"baseline": {"model": "simple", "min_lift": -1}}, "baseline.min_lift: .*greater than -1"),
        (
            {"features": {"required": ["gender", "hcp_decile"], "exclude": ["gender"]}},
            "features.required: gender: excluded as well",
        ),
        ({"features": {"required": ["treatment_initiated"]}}, "treatment_initiated is the target"),
        (
            {"features": {"required": ["gender", "hcp_decile"], "selection": {"top_k": 1}}},
            "top_k: 1 features are kept, but 2 are required",
        ),
        (
            {"selection": {"preferred_algorithms": ["XGBoost"], "excluded_algorithms": ["XGBoost"]}},
            "excluded_algorithms: XGBoost: preferred as well",
        ),
        (
            {"selection": {"excluded_algorithms": list(PROBLEMS["binary_classification"].algorithms)}},
            "excluded_algorithms: none is left: these are all that do binary_classification",
        ),
        (
            {"selection": {"preferred_algorithms": [], "excluded_algorithms": ["xg-boost"]}},
            "xg-boost: did you mean XGBoost.*excludes nothing",
        ),
        (
            {"selection": {"preferred_algorithms": ["Ridge", "CausalForest"]}},
            "preferred_algorithms: CausalForest, Ridge: not for binary_classification",
        ),
        (
            {
                "selection": {
                    "interpretability_required": True,
                    "preferred_algorithms": [],
                    "excluded_algorithms": ["LogisticRegression"],
                }
            },
            "none is left: these are all interpretable ones that do binary_classification",
        ),
        ({"baseline": {"model": "no_features", "min_lift": 1}}, "min_lift: 1 asks for 100% more .* roc_auc"),
        ({"success_criteria": {"min_auc": 1.0}}, "min_auc: 1 is a perfect model's auc"),
        ({"success_criteria": {"min_auc": 0.0}}, "min_auc: 0 is the worst auc there is: any model meets it"),
        ({"success_criteria": {"max_brier": 1.0}}, "max_brier: 1 is the worst brier there is"),
        ({"success_criteria": {"max_brier": 0.0}}, "max_brier: 0 is a perfect model's brier"),
        (
            {"success_criteria": {"min_calibration_slope": 1.2, "max_calibration_slope": 0.8}},
            "max_calibration_slope: at least 1.2 and at most 0.8 leave no calibration_slope",
        ),
    ],
)
def test_a_wrong_scope_names_the_file_and_the_key(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=rf"conversion\.yaml(:\d+)?: .*{words}"):
        read_scope(write(tmp_path, changes))


def test_a_contradiction_is_found_at_the_line_of_its_key(tmp_path: Path) -> None:
    path = tmp_path / "conversion.yaml"
    text = (CONFIG / "scopes" / "conversion.yaml").read_text()
    path.write_text(text.replace("required: []", "required: [treatment_initiated]"))
    number = 1 + [line.strip()[:9] for line in path.read_text().splitlines()].index("required:")
    with pytest.raises(ConfigError, match=rf"conversion\.yaml:{number}: features\.required: "):
        read_scope(path)


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


@pytest.mark.parametrize(("key", "value"), [("name", "grid"), ("seed", 2**32), ("seed", -1)])
def test_a_sampler_that_cannot_be_built_is_refused(tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "optuna.yaml"
    path.write_text(f"sampler: {{{key}: {value}}}\n")
    with pytest.raises(ConfigError, match=rf"sampler\.{key}"):
        OptunaConfig.from_yaml(path)


@pytest.mark.parametrize("kind", PROBLEMS)
def test_every_metric_states_which_way_is_better(kind: str) -> None:
    problem = PROBLEMS[kind]
    assert problem.ascending.keys() == set(problem.criteria.values())
    assert problem.ascending[problem.primary_metric] is problem.greater_is_better


def test_a_slope_is_bounded_on_both_sides(tmp_path: Path) -> None:
    criteria = {"min_calibration_slope": 0.8, "max_calibration_slope": 1.2}
    assert len(list(read_scope(write(tmp_path, {"success_criteria": criteria})).success_criteria)) == 2


ODD = [
    None,
    True,
    1,
    0.5,
    "",
    "x",
    [],
    ["x"],
    [["x"]],
    [None],
    {},
    {"x": 1},
    {"x": {"y": [1]}},
    [{"x": None}],
]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_whatever_a_file_says_is_read_or_refused_as_wrong(tmp_path: Path, odd: object) -> None:
    """Each key of a scope file and of a cohort file, on every level; another error would stop all partitions."""
    for folder, name, read, refusal in (
        ("scopes", "conversion", read_scope, ConfigError),
        ("scopes", "severity", read_scope, ConfigError),
        ("scopes", "spend", read_scope, ConfigError),
        ("cohorts", "remibrutinib_csu", CohortConfig.from_yaml, CohortError),
    ):
        path = tmp_path / f"{name}.yaml"
        for changed in spoilt(
            DOCUMENTS.get(name) or yaml.safe_load((CONFIG / folder / path.name).read_text()), odd
        ):
            path.write_text(json.dumps(changed))  # which is YAML
            with suppress(refusal):
                read(path)


DOCUMENTS = {
    "severity": {
        "name": "severity", "description": "How severe?", "problem_type": "multiclass_classification",
        "target": "severity", "classes": ["low", "mid", "high"], "success_criteria": {"min_f1": 0.6},
        "plausible_max_auc": 0.9,
    },
    "spend": {
        "name": "spend", "description": "How much?", "problem_type": "regression", "target": "spend",
        "split_order": "random", "features": {"exclude": ["x"]}, "success_criteria": {"max_rmse": 60},
        "selection": {
            "max_latency_ms": 5, "max_memory_gb": 1, "interpretability_required": True,
            "preferred_algorithms": ["XGBoost"], "excluded_algorithms": ["DeepLearning"],
        },
    },
}  # fmt: skip


def spoilt(document: Any, odd: object) -> Iterator[Any]:
    """The document with each of its values, on every level, replaced in turn."""
    yield odd
    for key in (
        document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    ):
        for inner in spoilt(document[key], odd):
            changed = document.copy()
            changed[key] = inner
            yield changed


def test_a_scope_of_no_kind_stops_its_own_partitions_only(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text("name: odd\nproblem_type: [regression]\n")
    write(tmp_path, {})
    assert list(load_scopes(tmp_path)) == ["conversion"]
    assert (
        "odd.yaml:2: problem_type: there is no ['regression']; write one of" in wrong_scopes(tmp_path)["odd"]
    )


def test_criteria_can_be_stated_in_code() -> None:
    assert [c.bound for c in SuccessCriteria({"max_brier": 0.2})] == ["max"]
