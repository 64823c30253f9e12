"""A registered version on another database and another partition, without a look at any sealed patient."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from e2i_assets.build import build_resources
from e2i_assets.cli.main import app
from e2i_assets.errors import E2IError
from e2i_assets.ingest.synthetic import GeneratorSpec, generate
from e2i_assets.registry.ledger import Version
from e2i_assets.resources.model_registry import ModelRegistry
from e2i_assets.settings import Settings, SettingsError
from e2i_assets.validation import validator
from e2i_assets.validation.external import IN_THE_LARGE, LINE, SERVED
from e2i_assets.validation.validator import SEALED_HERE, TRAINED_ON, Elsewhere, Validator
from e2i_assets.warehouse.loader import Load
from e2i_assets.warehouse.queries.splits import assignments, record_assignments
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import installation
from e2i_assets_tests.integration.gates.partition import PARTITION, PARTITIONS

NAME = f"e2i-conversion-{PARTITION}"
THERE = "OTHER_SITE_URL"
SEALED = "sealed, or not yet in a split, there"


@dataclasses.dataclass(frozen=True)
class World:
    """A copy of the installation whose sealed splits are not there any more, and another site's database."""

    here: Settings
    site: Settings

    @property
    def registry(self) -> ModelRegistry:
        resources = build_resources(self.here)
        return ModelRegistry(self.here, resources["warehouse"], resources["tracking"])

    @property
    def version(self) -> Version:
        return self.registry.model(NAME).version(1)

    def kept(self) -> dict[str, Any]:
        """What a validation must leave as it is: who opened what, stages, and what promotion asks for."""
        with Warehouse(self.here).engine.connect() as connection:
            rows = {
                table: connection.execute(sa.text(f"SELECT * FROM e2i.{table} ORDER BY 1")).all()
                for table in (
                    "ml_split_access",
                    "ml_split_attempts",
                    "ml_model_stage_history",
                    "ml_gate_results",
                )
            }
        return {**rows, "asked": self.registry.required(self.version, "shadow")}


@pytest.fixture(scope="module")
def world(
    server: str, opened: str, base: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("elsewhere")
    with (
        installation(server, folder / "site", database=opened) as site,
        installation(server, folder / "here", template=base) as here,
    ):
        made = generate(GeneratorSpec(scale="small", seed=7))
        Warehouse(site).load(Load(made.tables, "site"), PARTITIONS)
        shutil.rmtree(here.vault_url)
        yield World(here, site)


@pytest.fixture
def asked(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("e2i_assets.cli.session.settings", lambda: world.here)
    assert world.site.database_url is not None
    monkeypatch.setenv(THERE, world.site.database_url.get_secret_value())

    def run(*arguments: str, on: str = PARTITION) -> Result:
        command = ["models", "validate", NAME, "1", "--on", on, *arguments]
        return CliRunner().invoke(app, command, env={"COLUMNS": "200"})

    return run


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


def refusal(result: Result) -> E2IError:
    assert isinstance(result.exception, E2IError)
    assert result.exception.next_step
    return result.exception


def test_another_site_is_scored_recorded_and_changes_nothing(
    world: World, asked: Any, tmp_path: Path
) -> None:
    before, page = world.kept(), tmp_path / "report.html"
    told = document(asked("--database", THERE, "--other-people", "--json", "--html", str(page)))
    assert world.kept() == before

    figures = told["judged"]["figures"]
    assert list(figures) == [SERVED, IN_THE_LARGE, LINE]
    auc = figures[SERVED]["roc_auc"]
    # The same process made both data sets: it ranks there as on its own test.
    assert max(auc["low"], told["at_training"]["low"]) < min(auc["high"], told["at_training"]["high"])
    assert auc["low"] > 0.65
    for metric in ("brier", "ece", "calibration_slope", "calibration_intercept"):
        assert all(of[metric]["low"] < of[metric]["high"] for of in figures.values())
    assert set(told["judged"]["corrections"][LINE]) == {"slope", "intercept"}
    assert told["patients"] + sum(told["left_out"].values()) == told["eligible"] > 200
    assert {one["feature"] for one in told["population"]} >= {"age_at_diagnosis", "egfr"}
    assert {one["column"] for one in told["drift"]["columns"]} >= {"egfr", "prediction"}
    assert {group["dimension"] for group in told["judged"]["subgroups"]} >= {"age band", "sex"}
    assert any("cannot be told" in limit for limit in told["limits"])

    html = page.read_text()
    assert not re.search(r"<script|<link|(src|href)=[\"'](?!data:|#)", html)
    assert html.count("data:image/png;base64,") >= 2
    people = Warehouse(world.site).table("patient_journeys")["patient_id"].unique().to_list()
    assert not any(patient in html + json.dumps(told) for patient in people)

    shown = CliRunner().invoke(app, ["models", "show", NAME, "1", "--json"])
    (kept,) = json.loads(shown.stdout)["external_validations"]
    assert (kept["partition"], kept["patients"]) == (PARTITION, told["patients"])
    assert kept["value"] == pytest.approx(auc["value"])
    assert kept["database"].startswith("postgresql://")
    with (
        Warehouse(world.here).engine.connect() as connection,
        pytest.raises(sa.exc.DBAPIError, match="added"),
    ):
        connection.execute(sa.text("UPDATE e2i.ml_external_validations SET value = 1"))


def test_the_other_database_is_only_read(world: World, asked: Any) -> None:
    """Also by a role that can do nothing else."""
    assert world.site.database_url is not None
    url = world.site.database_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "ALTER DATABASE " + connection.info.dbname + " SET default_transaction_read_only = on"
        )
    try:
        assert asked("--database", THERE, "--other-people").exit_code == 0
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(
                "ALTER DATABASE " + connection.info.dbname + " RESET default_transaction_read_only"
            )


def test_who_is_known_here_is_left_out_and_counted(
    world: World, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sites number their patients alike: an equal number is the same patient unless said otherwise."""
    scored = list[pd.DataFrame]()
    judge = validator.judge

    def watched(*arguments: Any, **named: Any) -> Any:
        scored.append(arguments[4])
        return judge(*arguments, **named)

    monkeypatch.setattr(validator, "judge", watched)
    everybody = document(asked("--database", THERE, "--other-people", "--json"))
    known = document(asked("--database", THERE, "--json"))
    assigned = assignments(Warehouse(world.here), PARTITION)
    split = assigned.set_index("patient_id")["split"]
    of_all, of_rest = (set(frame["patient_id"]) for frame in scored)
    assert of_all & set(split.index)
    assert not of_rest & set(split.index)
    assert of_rest < of_all
    assert known["left_out"][TRAINED_ON] >= sum(split.get(p) in ("train", "validation") for p in of_all)
    assert known["left_out"][SEALED_HERE] >= sum(split.get(p) in ("test", "holdout") for p in of_all) > 0
    assert known["patients"] < everybody["patients"]

    # Where the other site has splits of its own, those that it sealed are not looked at either.
    people = sorted(of_all)
    of_site = pd.DataFrame(
        {
            "patient_id": people,
            "split": np.resize(["train", "validation", "train", "test", "holdout"], len(people)),
        }
    )
    record_assignments(Warehouse(world.site), PARTITION, of_site)
    opened = document(asked("--database", THERE, "--other-people", "--json"))
    may_be_seen = set(of_site.loc[of_site["split"].isin(["train", "validation"]), "patient_id"])
    assert set(scored[-1]["patient_id"]) == may_be_seen
    assert opened["left_out"][SEALED] >= len(people) - len(may_be_seen) > 0


def test_what_cannot_be_validated_is_refused_by_name(world: World, asked: Any) -> None:
    before = world.kept()
    assert refusal(asked()).code == "own_partition"
    lacking = refusal(asked(on="fabhalta_pnh"))
    assert (lacking.code, lacking.exit_code) == ("features_missing", 1)
    assert "egfr (no such column)" in str(lacking)
    assert refusal(asked(on="nowhere")).code == "unknown_partition"
    secret = "postgresql://anna:hunter2@host/there"
    for wrong in ("NO_SUCH_VARIABLE", secret):
        refused = refusal(asked("--database", wrong))
        assert isinstance(refused, SettingsError)
        assert "hunter2" not in refused.summary
    assert asked("--other-people").exit_code == 2
    resources = build_resources(world.here)
    effect = dataclasses.replace(world.version, problem_type="causal_inference")
    with pytest.raises(E2IError, match="tells effects") as unavailable:
        Validator(world.here, resources["warehouse"], resources["store"]).validate(
            effect, Elsewhere("fabhalta_pnh", resources["warehouse"])
        )
    assert unavailable.value.code == "no_external_validation"
    assert world.kept() == before
