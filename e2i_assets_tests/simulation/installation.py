"""A small installation: two partitions, one scope, and rules in the proportion of its few patients."""

from __future__ import annotations

import os
import re
from pathlib import Path

import yaml

from e2i_assets.settings import settings
from e2i_assets_tests.conftest import shipped_config

PNH, CSU = "fabhalta_pnh", "remibrutinib_csu"
SCOPE = "conversion"
WEBHOOK = "E2I_ALERTS_WEBHOOK_URL"
QUALITY = "\nquality: {reason: The registry delivers every fortnight., max_staleness_days: 10}\n"
CHANGES: dict[str, tuple[tuple[str, str], ...]] = {
    "scopes/conversion.yaml": (
        (r"preferred_algorithms: .*", "preferred_algorithms: [LightGBM]"),
        (r"excluded_algorithms: .*", "excluded_algorithms: [XGBoost, RandomForest, ExtraTrees, LogisticRegression]"),
    ),
    "optuna_config.yaml": ((r"n_trials: \d+", "n_trials: 3"), (r"n_startup_trials: \d+", "n_startup_trials: 2")),
    # Great Expectations' suites cost more than all else of so small a run.
    "quality.yaml": ((r"suites: .*", "suites: [triggers]"),),
    "mlflow/mlflow.yaml": (
        (r"min_auc: 0\.(75|80)", "min_auc: 0.70"),
        (r"min_samples: 1000", "min_samples: 100"),
        (r"min_requests: .*", "min_requests: 160"),
        (r"after_days: .*", "after_days: 3"),
    ),
    "retraining.yaml": ((r"auto: false", "auto: true"), (r"min_samples: .*", "min_samples: 100     #")),
    "alerts.yaml": (
        (r"(webhook: .*\n    enabled:) false", r"\1 true"),
        (r"at_least: critical, channels: \[webhook\]", "at_least: low, channels: [webhook]"),
    ),
}  # fmt: skip
"""Configuration file to what is otherwise in it, as patterns and replacements."""


def configure(folder: Path) -> None:
    """Write the configuration of the installation, and have this process work in it.

    Args:
        folder: of the installation: configuration, and home where the environment names none.
    """
    config = shipped_config(folder, [SCOPE])
    for file in (config / "cohorts").glob("*.yaml"):
        if file.stem in (PNH, CSU):
            file.write_text(file.read_text() + QUALITY)
        else:
            file.unlink()
    for name, changes in CHANGES.items():
        text = (config / name).read_text()
        for pattern, replacement in changes:
            text, count = re.subn(pattern, replacement, text)
            assert count, f"{name} has no {pattern}"
        yaml.safe_load(text)
        (config / name).write_text(text)
    os.environ["E2I_CONFIG"] = str(config)
    os.environ.setdefault("E2I_HOME", str(folder / "home"))
    settings.cache_clear()
