"""`e2i models`: what it shows of the registry and does in it, and what it says where it cannot."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner, Result

from e2i_assets.automation.retirement import build_archive_job, build_retirement_sensor
from e2i_assets.build import build_resources
from e2i_assets.cli.main import app
from e2i_assets.cli.output import EXIT_CODES
from e2i_assets.errors import E2IError
from e2i_assets.modeling.artifacts import Evaluated
from e2i_assets.modeling.metrics.intervals import Interval
from e2i_assets.modeling.problems.base import Evaluation
from e2i_assets.registry.errors import LostRace
from e2i_assets.registry.ledger import Version
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.settings import Settings
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import installation
from e2i_assets_tests.registry_world import START, in_production, in_shadow, register, shadowed

NAME = "e2i-conversion-p"
COMMANDS = (
    "list",
    "show",
    "compare",
    "validate",
    "promote",
    "approve",
    "archive",
    "history",
    "card",
    "explain",
)
RECENTLY = (dt.datetime.now(dt.UTC) - START).days - 5
"""Days after START; later than what is archived."""
NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class World:
    """An installation whose model NAME has version 1 back in staging, 2 in production and 3 in development."""

    here: Settings
    warehouse: Warehouse
    client: MlflowClient

    def registered(self, name: str, **of: Any) -> Version:
        return register(self.here, self.warehouse, self.client, name, **of)


@pytest.fixture(scope="module")
def world(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        installation(server, tmp_path_factory.mktemp("models")) as here,
        pytest.MonkeyPatch.context() as patch,
    ):
        assert here.database_url is not None
        patch.setenv("E2I_DATABASE_URL", here.database_url.get_secret_value())
        warehouse = Warehouse(here)
        warehouse.open()
        world = World(here, warehouse, MlflowClient(ExperimentTracking(here).uri))
        for number, auc in enumerate((0.85, 0.87), 1):
            version = world.registered(
                NAME, bundle=str(number), data_version=f"d{number}", metrics={"auc": auc}
            )
            in_production(here, warehouse, version, {1: 10, 2: RECENTLY}[number])
            evaluation = Evaluation(
                problem_type="binary_classification", primary_metric="roc_auc", fingerprint=f"f{number}",
                algorithm="LightGBM", metrics={"test": {"roc_auc": auc}},
                intervals={"test": {"roc_auc": Interval(auc - 0.05, auc + 0.04)}}, curves={}, threshold=None,
                baseline=None, n_test=300, n_validation=400,
            )  # fmt: skip
            open_store(here).write("conversion/evaluation", "p", Evaluated(evaluation, f"f{number}"))
        world.registered(NAME, bundle="3", metrics={"auc": 0.69, "brier": None})
        yield world


@pytest.fixture
def name() -> str:
    return f"e2i-churn-p{next(NUMBERS)}"


def asked(*arguments: str, columns: int = 200) -> Result:
    return CliRunner().invoke(app, ["models", *arguments], env={"COLUMNS": str(columns)})


def shown(*arguments: str, columns: int = 200) -> str:
    result = asked(*arguments, columns=columns)
    assert result.exit_code == 0, result.exception
    return result.stdout


def document(*arguments: str) -> Any:
    return json.loads(shown(*arguments, "--json"))


def refusal(*arguments: str) -> E2IError:
    error = asked(*arguments).exception
    assert isinstance(error, E2IError)
    assert error.next_step
    return error


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    answer = " ".join(shown(command, "--help").split())
    assert answer.startswith(f"Usage: e2i models {command}")
    assert EXIT_CODES in answer
    assert command in shown("--help")


def test_what_the_lost_are_told_to_type_is_a_command() -> None:
    command = LostRace.next_step.split("`")[1].split()
    assert command[:2] == ["e2i", "models"]
    assert command[2] in COMMANDS


def test_list_shows_each_version_with_its_stage(world: World) -> None:
    rows = [line.split() for line in shown("list").splitlines() if NAME in line]
    assert [[word for word in row if word.isalnum()][:2] for row in rows] == [
        ["1", "staging"], ["2", "production"], ["3", "development"]
    ]  # fmt: skip
    listed = [one for one in document("list")["versions"] if one["model_name"] == NAME]
    assert [(one["version"], one["stage"]) for one in listed] == [
        (1, "staging"), (2, "production"), (3, "development")
    ]  # fmt: skip


def test_show_tells_figures_with_intervals_and_what_the_next_stage_asks_for(world: World) -> None:
    of = document("show", NAME, "2")
    assert (of["stage"], of["data_version"], of["next"], of["request"]) == ("production", "d2", None, None)
    assert of["figures"] == {"auc": pytest.approx({"value": 0.87, "low": 0.82, "high": 0.91})}
    assert "(0.82 to 0.91)" in shown("show", NAME, "v2")

    of = document("show", NAME, "3")
    assert of["figures"] == {
        "auc": {"value": 0.69, "low": None, "high": None},
        "brier": {"value": None, "low": None, "high": None},
    }
    assert of["next"]["stage"] == "staging"
    assert {one["name"]: one["met"] for one in of["next"]["requirements"]} == {
        "bundle": True, "min_auc": False, "min_samples": True
    }  # fmt: skip
    text = shown("show", NAME, "3")
    assert "What staging asks for" in text
    assert "not known" in text


@pytest.mark.parametrize("columns", [40, 79])
def test_in_a_narrow_terminal_nothing_is_cut(world: World, columns: int) -> None:
    for arguments in (("list",), ("show", NAME, "1"), ("compare", NAME, "1", "2"), ("history", NAME)):
        text = shown(*arguments, columns=columns)
        assert "…" not in text
        assert NAME in text
    whole = document("show", NAME, "1")
    text = shown("show", NAME, "1", columns=columns)
    assert all(str(whole[key]) in text for key in ("bento_tag", "files_hash", "mlflow_run_id", "stage"))


def test_compare_sets_two_versions_side_by_side(world: World) -> None:
    both = document("compare", NAME, "1", "2")
    assert [(one["version"], one["stage"], one["data_version"]) for one in both["versions"]] == [
        (1, "staging", "d1"), (2, "production", "d2")
    ]  # fmt: skip
    assert [one["figures"]["auc"]["low"] for one in both["versions"]] == pytest.approx([0.80, 0.82])
    assert not both["same_data"]
    text = shown("compare", NAME, "1", "2")
    (line,) = [line for line in text.splitlines() if "0.85" in line]
    assert "0.85 (0.8 to 0.89)" in line
    assert "0.87 (0.82 to 0.91)" in line
    assert "Their splits differ" in text
    # A figure that only one of them has is a gap of the other.
    (line,) = [line for line in shown("compare", NAME, "2", "3").splitlines() if "brier" in line]
    assert "not known" in line


def moved(name: str, stage: str) -> str:
    return f"{name} version 1 is in {stage}\nservices answer as before until: e2i deploy run {name}\n"


def test_promote_and_approve_by_two_people(world: World, name: str) -> None:
    version = world.registered(name)
    assert shown("promote", name, "1", "staging", "--by", "Anna Smith") == moved(name, "staging")
    assert document("promote", name, "1", "shadow", "--by", "Anna Smith")["entry"]["to_stage"] == "shadow"
    missing = refusal("promote", name, "1", "production", "--by", "Anna Smith")
    assert (missing.code, "shadow_requests: 0" in str(missing)) == ("promotion_refused", True)

    name = f"{name}-seen"
    version = world.registered(name)
    in_shadow(world.here, world.warehouse, version, 0)
    shadowed(world.warehouse, version, first=0)
    assert refusal("approve", name, "1", "--by", "Bert Jones").code == "not_asked_for"
    waits = refusal("promote", name, "1", "production", "--by", "Anna Smith")
    assert (waits.code, waits.exit_code) == ("approval_missing", 1)
    typed = waits.next_step.split("e2i models ")[1].split()
    assert typed == ["approve", name, "1", "--by", "NAME"]
    assert document("show", name, "1")["request"]["actor"] == "Anna Smith"
    assert "Anna Smith asked at" in shown("show", name, "1")
    assert refusal(*typed[:-1], "asmith").code == "same_person"
    assert shown(*typed[:-1], "Bert Jones") == moved(name, "production")
    last = document("history", name)["entries"][-1]
    assert (last["actor"], last["approved_by"], last["to_stage"]) == (
        "Anna Smith",
        "Bert Jones",
        "production",
    )


def test_archive_is_of_what_left_production_long_ago(world: World, name: str) -> None:
    for number in (1, 2):
        version = world.registered(name, bundle=str(number))
        in_production(world.here, world.warehouse, version, 10.0 * number)
    archived = [one["version"] for one in document("archive")["archived"]]
    assert [one["version"] for one in archived if one["model_name"] == name] == [1]
    assert shown("archive") == "nothing left production 30 days ago or earlier\n"
    assert document("history", name)["entries"][-1]["note"] == "left production at 2025-01-21"


def test_the_sensor_archives_by_itself(world: World, name: str) -> None:
    for number in (1, 2):
        version = world.registered(name, bundle=str(number))
        in_production(world.here, world.warehouse, version, 10.0 * number)
    sensor = build_retirement_sensor()
    resources = {key: build_resources(world.here)[key] for key in sensor.required_resource_keys}
    for expected in (f"archived {name} version 1", "nothing is due to be archived"):
        with dg.build_sensor_context(resources=resources) as context:
            assert sensor.evaluate_tick(context).skip_message == expected
    assert document("show", name, "1")["stage"] == "archived"


def test_so_does_the_job_that_a_schedule_asks_for(world: World, name: str) -> None:
    for number in (1, 2):
        version = world.registered(name, bundle=str(number))
        in_production(world.here, world.warehouse, version, 10.0 * number)
    resources = {key: build_resources(world.here)[key] for key in ("settings", "warehouse", "tracking")}
    assert build_archive_job().execute_in_process(resources=resources).success
    assert document("show", name, "1")["stage"] == "archived"


def test_history_says_what_was_in_production_on_a_day_and_what_it_was_trained_on(world: World) -> None:
    events = [entry["to_stage"] for entry in document("history", NAME)["entries"] if entry["version"] == 1]
    assert events[:5] == ["development", "staging", "shadow", "production", "production"]
    assert "Bert Jones" in shown("history", NAME)
    since = START.date() + dt.timedelta(days=RECENTLY)
    days = {"2025-01-10": [], "2025-01-11": [1], f"{since - dt.timedelta(days=1)}": [1], f"{since}": [2]}
    for day, versions in days.items():
        answer = document("history", NAME, "--on", day)["production"]
        assert [one["version"] for one in answer] == versions
        assert [one["trained_on"] for one in answer] == [{"splits": "d"} for _ in versions]
    assert shown("history", NAME, "--on", "2025-01-10") == "nothing was in production on 2025-01-10\n"
    assert f"{NAME}:1" in shown("history", "--on", "2025-01-12")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", "e2i-conversion-q", "1"], "no_such_model"),
        (["show", NAME, "9"], "no_such_version"),
        (["show", NAME, "latest"], "no_such_version"),
        (["compare", NAME, "1", "9"], "no_such_version"),
        (["compare", NAME, "1", "v1"], "same_version"),
        (["promote", NAME, "1", "prodution"], "unknown_stage"),
        (["promote", NAME, "3", "staging", "--by", "Anna Smith"], "promotion_refused"),
        (["promote", NAME, "3", "staging", "--by", "17"], "no_such_person"),
        (["history", "nothing"], "no_such_model"),
    ],
)
def test_a_mistake_names_the_next_step(world: World, arguments: list[str], code: str) -> None:
    before = document("history")
    assert refusal(*arguments).code == code
    assert document("history") == before
