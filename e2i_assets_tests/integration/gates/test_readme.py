"""README and site do what they say: their Python runs, YAML is read, commands and their options exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from e2i_assets import settings as settings_module
from e2i_assets.cli.main import app
from e2i_assets.cohorts import CohortConfig
from e2i_assets.config_files import parse_yaml
from e2i_assets.ingest import attributes
from e2i_assets.ingest.mapping import Mapping
from e2i_assets.modeling.scopes.files import as_scope
from e2i_assets.modeling.selection.catalogue import CATALOGUE
from e2i_assets.settings import Settings
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import CONFIG, ROOT
from e2i_assets_tests.readme import command_lines, snippets, words
from e2i_assets_tests.unit.modeling_frames import toy


@pytest.mark.parametrize("number", range(len(snippets("python"))))
def test_the_python_runs(
    base: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
) -> None:
    assert base.database_url is not None
    monkeypatch.setenv("E2I_HOME", str(base.home_dir))
    monkeypatch.setenv("E2I_DATABASE_URL", base.database_url.get_secret_value())
    monkeypatch.chdir(tmp_path)
    settings_module.settings.cache_clear()
    declared = CohortConfig.from_brand("remibrutinib", "csu").attributes
    journeys = Warehouse(base).extract("patient_journeys", "Remibrutinib", "csu")
    attributes.expand(journeys, declared).write_parquet("journeys.parquet")
    made = toy(200)
    made.X.assign(treatment_initiated=made.y).to_parquet("features.parquet")
    try:
        exec(compile(snippets("python")[number], "README.md", "exec"), {})
    finally:
        settings_module.settings.cache_clear()
    assert capsys.readouterr().out.split()[0] in {"passed", "warning", "True", "False", *CATALOGUE}


def test_the_yaml_is_read() -> None:
    read = [parse_yaml(text, Path("README.md"))[0] for text in snippets("yaml")]
    kinds = {next(iter(document)): text for document, text in zip(read, snippets("yaml"), strict=True)}
    whole, _ = parse_yaml((CONFIG / "cohorts" / "fabhalta_pnh.yaml").read_text(), Path("file.yaml"))
    CohortConfig(**whole | parse_yaml(kinds["exclusion_criteria"], Path("README.md"))[0])
    Mapping.from_text(f"source: clinic\n{kinds['read']}", Path("README.md"))
    asked = [as_scope(document).problem_type for document in read if "problem_type" in document]
    assert asked == ["regression", "multiclass_classification"]


@pytest.mark.parametrize("command", command_lines())
def test_the_command_exists(command: str) -> None:
    """Also of commands that e2e/test_demo.py does not run."""
    program, *arguments = words(command)
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    elif program == "cp":
        assert (ROOT / arguments[0]).is_file()
        assert (ROOT / arguments[1]).is_dir()
    elif Path(program).name == "e2i":
        result: Any = typer.main.get_command(app)
        while hasattr(result, "commands"):
            result = result.commands[arguments.pop(0)]
        known = {option for parameter in result.params for option in parameter.opts}
        used = {word.partition("=")[0] for word in arguments if word.startswith("-")}
        assert result.context_settings.get("ignore_unknown_options") or used <= known, used - known
