"""One strict reader for every configuration file: no key twice, no scalar that readers take differently."""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import ValidationError

from e2i_assets.cli.audit_data import read_contract
from e2i_assets.cohorts import CohortConfig
from e2i_assets.config_files import ConfigFileError, ConfigModel, parse_yaml
from e2i_assets.errors import E2IError
from e2i_assets.ingest.mapping import Mapping
from e2i_assets.kpis.file import KpiGroup
from e2i_assets.modeling.scopes.files import read_scope
from e2i_assets.modeling.tuning.config import OptunaConfig
from e2i_assets.monitoring.alerts.config import AlertRules
from e2i_assets.monitoring.retraining import RetrainingRules
from e2i_assets.quality.config import QualityConfig
from e2i_assets.registry.rules import PromotionRules
from e2i_assets_tests.conftest import CONFIG, ROOT

FILE = Path("file.yaml")


def _aliases(first: str, more: str) -> str:
    """Nine lines, each nine times the one before."""
    nine = [more.format(", ".join([f"*a{i}"] * 9)) for i in range(8)]
    return "\n".join(f"a{i}: &a{i} {value}" for i, value in enumerate([first, *nine]))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("12:30", "12:30"), ("12:30:45", "12:30:45"), ("0o17", "0o17"),
        ("1_000", "1_000"), ("0x10", "0x10"), ("2024-01-01", "2024-01-01"),
        ("yes", "yes"), ("No", "No"), ("on", "on"), ("'010'", "010"), ("L50.1", "L50.1"), ("1E2x", "1E2x"),
        ("true", True), ("~", None), ("", None), ("0", 0), ("-5", -5), ("0.50", 0.5), ("1e3", 1000.0), (".5", 0.5),
    ],
)  # fmt: skip
def test_a_plain_scalar_is_what_it_looks_like(written: str, value: Any) -> None:
    document, _ = parse_yaml(f"key: {written}", FILE)
    assert document == {"key": value}
    assert type(document["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {c: 1,\n  c: 2}", "file.yaml:3: the key c stands twice"),
        ("a: [1, {b: 1, b: 2}]", "file.yaml:1: the key b stands twice"),
        ("a: 1\nb: 010", "file.yaml:2: 010 is text to some readers and octal to others"),
        ("b: [-07.5]", "file.yaml:1: -07.5 is text"),
        ("a: &a [*a]", "nested too deeply"),
        ("[1]: 2", "a key must be text"),
        ("a: !!python/name:os.system x", "is not YAML"),
        ("a: 1\n---\nb: 2", "another document"),
        ("a: 1\nb: !!int abc", "file.yaml:2: the tag"),
        ("a: !!timestamp x", "file.yaml:1: the tag"),
        ("a: !!bool maybe", "file.yaml:1: the tag"),
        ("a: !!python/object/apply:os.system [id]", "file.yaml:1: the tag"),
        ("a: " + "9" * 5000, "file.yaml:1: a whole number of more than 18 characters"),
        ("a: 1\nb: -1e999", "file.yaml:2: -1e999 is larger than any number"),
        ("a:\n  " + "[" * 100_000, "file.yaml:2: is nested too deeply"),
        ('a: 1\nb: ["x\\0"]', "file.yaml:2: holds a NUL character"),
        ("{a: " * 100_000, "file.yaml:1: is nested too deeply"),
        (_aliases("[1, 1]", "[{}]"), "file.yaml:6: holds more than 100000 values"),
        (_aliases("[]", "[{}]"), "file.yaml:7: holds more"),
        (_aliases("{k: 1}", "{{<<: [{}]}}"), "file.yaml:6: holds more"),
    ],
)
def test_what_readers_take_differently_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigFileError) as error:
        parse_yaml(text, FILE)
    assert message in str(error.value)


def test_a_merged_key_may_be_said_otherwise() -> None:
    document, lines = parse_yaml("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\nc:\n  <<: *a", FILE)
    assert document["b"] == {"x": 1, "y": 3}
    assert document["c"] == document["a"] == {"x": 1, "y": 2}
    assert lines.at(["b", "y"], "is wrong") == "file.yaml:4: b.y: is wrong"


READERS: dict[str, Callable[[Path], object]] = {
    "config/cohorts/fabhalta_c3g.yaml": CohortConfig.from_yaml,
    "config/scopes/conversion.yaml": read_scope,
    "config/optuna_config.yaml": OptunaConfig.from_yaml,
    "config/mlflow/mlflow.yaml": PromotionRules.from_yaml,
    "config/quality.yaml": QualityConfig.from_yaml,
    "config/alerts.yaml": AlertRules.from_yaml,
    "config/retraining.yaml": RetrainingRules.from_yaml,
    "config/kpis/3_triggers.yaml": KpiGroup.from_yaml,
    "config/expectations/triggers.yaml": lambda path: QualityConfig.from_yaml(path.parent.parent / "quality.yaml"),
    "examples/gbsg2/mapping.yaml": Mapping.from_yaml,
    "contract.yaml": lambda path: read_contract(str(path)),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_no_file_may_say_a_key_twice(tmp_path: Path, name: str) -> None:
    shutil.copytree(CONFIG, tmp_path / "config")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "contract.yaml").write_text("age: {role: feature}\n")
    file = tmp_path / name
    READERS[name](file)
    text = file.read_text()
    first = next(line for line in text.splitlines() if line[:1].isalpha())
    key = first.partition(":")[0]
    file.write_text(f"{text.rstrip()}\n{key}: 1\n")
    last = len(file.read_text().splitlines())
    with pytest.raises(ValueError, match=rf"{file.name}:{last}: the key {key} stands twice"):
        READERS[name](file)


def scalar_fields() -> Iterator[tuple[type[ConfigModel], str, Any]]:
    """Each number and truth value that a configuration model asks for, with what may stand in its place."""
    models = [ConfigModel]
    for model in models:
        models += model.__subclasses__()
        if model.__module__.startswith("e2i_assets.") and not inspect.isabstract(model):
            for name, facts in model.model_fields.items():
                kinds = {facts.annotation, *get_args(facts.annotation)}
                if str in kinds:
                    continue  # a scalar of any kind
                if kinds & {int, float}:
                    yield from ((model, name, wrong) for wrong in (True, "90", float("inf"), float("nan")))
                elif bool in kinds:
                    yield from ((model, name, wrong) for wrong in (1, "true", "yes"))


def test_numbers_and_truth_values_are_taken_as_they_are_written() -> None:
    """Of whatever model: `true` is no number of days, `'90'` neither, and 1 is no yes."""
    asked = list(scalar_fields())
    assert len(asked) > 100
    for model, name, wrong in asked:
        with pytest.raises(ValidationError) as refused:
            model.model_validate({name: wrong})
        assert name in {detail["loc"][0] for detail in refused.value.errors()}, (model, name, wrong)


@pytest.mark.parametrize(
    ("file", "changes", "line"),
    [
        ("scopes/conversion.yaml", "horizon_days: true", "horizon_days: Input should be a valid integer"),
        ("scopes/conversion.yaml", "horizon_days: '90'", "horizon_days: Input should be a valid integer"),
        ("scopes/conversion.yaml", "features: {selection: {max_same: '1'}}", "max_same: Input should be a valid n"),
        ("scopes/conversion.yaml", "selection: {max_latency_ms: .inf}", "max_latency_ms: Input should be a finite"),
        ("scopes/conversion.yaml", "success_criteria: {min_auc: '0.7'}", "min_auc: Input should be a valid number"),
        ("scopes/conversion.yaml", "target: ' '", "target: is blank"),
        ("optuna_config.yaml", "sampler: {seed: '42'}", "sampler.seed: Input should be a valid integer"),
        ("optuna_config.yaml", "optimization: {n_trials: true}", "n_trials: Input should be a valid integer"),
        ("optuna_config.yaml", "warm_start: {enabled: 1}", "enabled: Input should be a valid boolean"),
        ("mlflow/mlflow.yaml", "archived: {after_days: '30'}", "archived.after_days: Input should be a valid number"),
        ("mlflow/mlflow.yaml", "shadow: {duration_days: .nan}", "shadow.duration_days: Input should be a finite number"),
        ("alerts.yaml", "notices: {per_hour: '20'}", "notices.per_hour: Input should be a valid integer"),
        ("alerts.yaml", "channels: {log: {enabled: 1}}", "channels.log.enabled: Input should be a valid boolean"),
        ("alerts.yaml", "channels: {slack: {url_from: 'https://hooks'}}", "channels.slack.url_from: String should match"),
        ("alerts.yaml", "channels: {email: {enabled: true, host: h, port: 25, sender: a@b}}", "channels.email: nobody is among"),
        ("alerts.yaml", "channels: {email: {host: h, port: 25, sender: a@b, user: u, security: none}}", "channels.email: a login goes with"),
        ("alerts.yaml", "channels: {pager: {}}", "channels.pager: no such key"),
        ("alerts.yaml", "rules: [{at_least: none, channels: [log]}]", "rules[0].at_least: Input should be 'low'"),
        ("alerts.yaml", "rules: [{at_least: low, channels: []}]", "rules[0].channels: Tuple should have at least 1"),
        ("retraining.yaml", "max_attempts: 0", "max_attempts: Input should be greater than or equal to 1"),
        ("cohorts/fabhalta_c3g.yaml", "minimum_size: '100'", "minimum_size: Input should be a valid integer"),
        ("cohorts/fabhalta_c3g.yaml", "brand: ' '", "brand: is blank"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_at_its_line(tmp_path: Path, file: str, changes: str, line: str) -> None:
    key = changes.partition(":")[0]
    content = yaml.safe_load((CONFIG / file).read_text())
    content.pop(key, None)
    text = f"{changes}\n{yaml.safe_dump(content)}"
    (path := tmp_path / Path(file).name).write_text(text)
    with pytest.raises(E2IError) as refused:
        READERS[f"config/{file}"](path)
    assert re.search(rf"{path.name}:1: \S*{re.escape(line)}", str(refused.value)), refused.value
