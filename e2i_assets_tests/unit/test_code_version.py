"""Code versions: what decides a stage's result changes them, and what only shows it does not."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from e2i_assets.build import build_assets
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.settings import config_dir
from e2i_assets.stages.code_version import BY_NAME, PACKAGE, PRESENTS, code_version, deciding_modules
from e2i_assets_tests.conftest import ROOT

DOMAIN = {
    "raw": {"warehouse.snapshots", "ingest.attributes", "contracts.tables"},
    "qc_report": {"gates.qc_report", "quality.report", "quality.dimensions", "quality.expectations"},
    "kpi_report": {"gates.kpi_report", "kpis.report", "kpis.statement", "warehouse.queries.kpis"},
    "cohort": {"gates.cohort", "cohorts.constructor", "cohorts.criteria"},
    "features": {"features.build", "features.events"},
    "splits": {
        "gates.splits",
        "modeling.splits.assignment",
        "leakage.audit",
        "leakage.name_rules",
        "quality.splits",
    },
    "model_candidate": {"modeling.selection.candidate", "modeling.selection.algorithms"},
    "preprocessor": {
        "gates.preprocessor",
        "modeling.preprocessing.preprocessor",
        "modeling.preprocessing.refit",
    },
    "tuned_params": {"modeling.tuning.study"},
    "trained_model": {"modeling.training.model"},
    "evaluation": {"gates.evaluation", "modeling.evaluation.evaluate", "leakage.info_sheet"},
    "model_card": {"modeling.card.page", "modeling.card.tables", "modeling.card.tripod_answers"},
    "bento_bundle": {"gates.bento_bundle", "serving.bundle", "serving.server.service"},
    "registered_model": {"gates.registered_model", "registry.rules", "registry.promotion", "registry.ledger"},
    "reference_profile": {"monitoring.model_profile", "monitoring.profile", "modeling.metrics.calibration"},
    "deployment": {"gates.deployment", "deployment.wishes", "deployment.releases"},
    "holdout_validation": {"gates.deployment", "deployment.endpoint", "modeling.evaluation.holdout"},
    "drift_report": {
        "gates.drift_report",
        "monitoring.watching",
        "monitoring.comparison",
        "monitoring.severity",
    },
}
"""What must decide each stage, beside the stage helper and, from the splits on, the problem types."""
ALWAYS = {"stages.stage", "gates.verdict", "resources.store"}
PROBLEM = "modeling.problems.regression"
OF_A_SCOPE = {"splits", *list(DOMAIN)[list(DOMAIN).index("model_candidate") :]}
READS_ITSELF = {"serving.server.service", "stages.code_version", "stages.unforeseen"}
"""Read what is beside them in a bundle, the sources that they hash, and which frames are ours."""

VERSIONS = f"""
import json
from e2i_assets.stages.code_version import code_version
print(json.dumps({{stage: code_version("e2i_assets.assets." + stage) for stage in {sorted(DOMAIN)}}}))
"""


def deciding(stage: str) -> set[str]:
    return {name.removeprefix(f"{PACKAGE}.") for name in deciding_modules(f"{PACKAGE}.assets.{stage}")}


def test_the_table_has_every_stage() -> None:
    assets = build_assets(list(load_scopes(config_dir() / "scopes").values()))
    for asset in assets:
        for key in asset.keys:
            stage = "raw" if key.path[0] == "raw" else key.path[-1]
            assert stage in DOMAIN
            assert asset.code_versions_by_key[key] == code_version(f"{PACKAGE}.assets.{stage}")


@pytest.mark.parametrize("stage", DOMAIN)
def test_a_stage_is_decided_by_its_gates_and_domain_and_by_nothing_that_presents(stage: str) -> None:
    modules = deciding(stage)
    assert DOMAIN[stage] | ALWAYS <= modules
    assert (PROBLEM in modules) == (stage in OF_A_SCOPE)
    for name in PRESENTS:
        assert not [module for module in modules if module == name or module.startswith(f"{name}.")]


def test_what_comes_by_name_is_declared() -> None:
    """A module that loads or reads others by name hides them from the import statements."""
    hiding = {"import_module", "iter_modules", "__import__", "exec", "eval", "__file__", "__path__"}
    known = {*BY_NAME, *READS_ITSELF}
    for name in set().union(*map(deciding, DOMAIN)) - known:
        path = (ROOT / PACKAGE).joinpath(*name.split("."))
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        nodes = ast.walk(ast.parse(source.read_text()))
        assert not {getattr(node, "id", getattr(node, "attr", "")) for node in nodes} & hiding, name


def code_versions(root: Path) -> dict[str, str]:
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    run = [sys.executable, "-c", VERSIONS]
    return json.loads(subprocess.run(run, env=environment, cwd=root, capture_output=True, check=True).stdout)


def test_a_copy_of_the_tree_has_the_same_versions_and_a_change_changes_what_it_decides(
    tmp_path: Path,
) -> None:
    shutil.copytree(ROOT / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    before = code_versions(tmp_path)
    assert before == {stage: code_version(f"{PACKAGE}.assets.{stage}") for stage in DOMAIN}

    def changed_by(*modules: str, source: str = "\n# changed\n") -> set[str]:
        nonlocal before
        for module in modules:
            with (tmp_path / PACKAGE).joinpath(*module.split(".")).with_suffix(".py").open("a") as file:
                file.write(source)
        after, last = code_versions(tmp_path), before
        before = after
        return {stage for stage in after if after[stage] != last[stage]}

    presenting = [name for name in PRESENTS if (tmp_path / PACKAGE / f"{name.replace('.', '/')}.py").exists()]
    assert len(presenting) > 8
    assert changed_by(*presenting, "cli.main") == set()
    assert changed_by("gates.splits") == {"splits"}
    assert changed_by("serving.server.service") == {"bento_bundle"}
    assert changed_by(PROBLEM) == OF_A_SCOPE
    # Now the rule below is imported where it is needed only; and for types alone it is still no part of it.
    lazily = "\n\ndef later():\n    from e2i_assets.leakage import dates\n"
    for_types = "\n\nif TYPE_CHECKING:\n    from e2i_assets.leakage import post_outcome\n"
    header = "\nfrom typing import TYPE_CHECKING\n"
    assert "features" in changed_by("features.events", source=header + lazily + for_types)
    assert "features" in changed_by("leakage.dates")
    assert "features" not in changed_by("leakage.joint")
