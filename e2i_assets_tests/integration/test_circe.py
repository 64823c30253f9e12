"""Imported cohort definitions count what OHDSI's own engine counts, rule by rule.

`circe/counts.json` is what the engine made of the definitions beside it, on the Eunomia data and on the same
with what they lack; `e2i_assets_tests.benchmarks.circe_reference` writes it.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from e2i_assets.cli.importing import NotWritten
from e2i_assets.cli.main import app
from e2i_assets.cohorts import CohortConfig, CohortConstructor, CohortResult
from e2i_assets.cohorts.circe import import_definition
from e2i_assets.cohorts.circe.definition import Asked
from e2i_assets.ingest import omop
from e2i_assets.ingest.attributes import expand
from e2i_assets.ingest.mapping import Mapping
from e2i_assets.ingest.opening import open_source
from e2i_assets.ingest.sources import read_source
from e2i_assets.settings import settings
from e2i_assets_tests.circe_cdm import copy
from e2i_assets_tests.conftest import ROOT, shipped_config
from e2i_assets_tests.integration.test_omop import EUNOMIA, NOW, frames

FOLDER = Path(__file__).parent / "circe"
ASKED = Asked("Brand", "indication", dt.date(2019, 7, 3), "Eunomia")
COUNTS: dict[str, dict[str, Any]] = json.loads((FOLDER / "counts.json").read_text())
PLAIN = ("new_users", "wrapped", "inpatient")
"""Definitions that are counted on the public data as they are, too; the others add nothing there."""
CASES = [*((name, "amended") for name in COUNTS), *((name, "eunomia") for name in PLAIN)]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    amended = tmp_path_factory.mktemp("circe") / "amended.duckdb"
    copy(EUNOMIA, amended, amended=True)
    return {"eunomia": EUNOMIA, "amended": amended}


def by_rules_met(result: CohortResult, rules: int) -> dict[str, int]:
    """Index events by the mask of the rules that they meet, of those that meet the criteria of entry."""
    entry = len(result.eligibility_log) - 3 - rules  # three rules of the windows come last
    masks: Counter[str] = Counter()
    for mask in result.masks:
        assert mask.failed >> (entry + rules) == 0, "the index event was chosen within its windows"
        if not mask.failed & ((1 << entry) - 1):
            masks[str(~(mask.failed >> entry) & ((1 << rules) - 1))] += mask.rows
    return dict(masks)


@pytest.mark.parametrize(("name", "database"), CASES)
def test_counts_are_those_of_the_reference_engine(
    databases: dict[str, Path], name: str, database: str
) -> None:
    imported = import_definition(FOLDER / f"{name}.definition.json", ASKED)
    mapping = Mapping.from_text(imported.mapping, FOLDER)
    source = open_source(str(databases[database]))
    assert mapping.omop is not None
    omop.build(source, mapping.omop, "eunomia_", mapping.read)
    journeys, events = (
        pl.from_arrow(source.connection.sql(f"SELECT * FROM {table}").to_arrow_table())
        for table in omop.FILLS
    )
    _, result = CohortConstructor(imported.config).construct_cohort(journeys, events)
    expected = COUNTS[name][database]
    assert result.eligible_count == expected["members"] > 0 or name == "two_kinds_with_entry"
    if expected["rules"]:
        assert by_rules_met(result, len(imported.rules)) == expected["rules"]


@pytest.fixture
def config_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = shipped_config(tmp_path)
    monkeypatch.setenv("E2I_CONFIG", str(folder))
    settings.cache_clear()
    yield folder
    settings.cache_clear()


def test_a_definition_is_imported_loaded_and_counted(tmp_path: Path, config_folder: Path) -> None:
    """The example of the README, through the commands' own files."""
    example, mapping = ROOT / "examples" / "omop" / "celecoxib_new_users.json", tmp_path / "mapping.yaml"
    arguments = ["cohort", "import", str(example), "--mapping", str(mapping), "--as-of", "2019-07-03"]
    arguments += ["--brand", "Celecoxib", "--indication", "new users"]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    cohort_file = config_folder / "cohorts" / "celecoxib_new_users.yaml"
    assert json.loads(done.stdout)["files"] == [str(cohort_file), str(mapping)]
    config = CohortConfig.from_yaml(cohort_file)
    assert [c.clinical_rationale for c in config.criteria] == [
        "Celecoxib is studied in adults past youth.", "The label's indication.",
        "The outcome must be new.",
    ]  # fmt: skip
    written = cohort_file.read_text()
    refused = CliRunner().invoke(app, [*arguments, "--leave-out", "EndStrategy"])
    assert isinstance(refused.exception, NotWritten)
    assert cohort_file.read_text() == written
    assert CliRunner().invoke(app, [*arguments, "--leave-out", "EndStrategy", "--force"]).exit_code == 0
    assert "EndStrategy was left out" in CohortConfig.from_yaml(cohort_file).clinical_rationale
    load = frames(read_source(EUNOMIA, Mapping.from_yaml(mapping), now=NOW))
    journeys = expand(load["patient_journeys"], config.attributes)
    members, result = CohortConstructor(config).construct_cohort(journeys, load["treatment_events"])
    expected = COUNTS["new_users"]["eunomia"]
    assert (members.height, by_rules_met(result, 3)) == (expected["members"], expected["rules"])
