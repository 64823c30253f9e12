"""The code location as a whole: what it defines for one scope, and what importing it costs.

After an intended change: `python -m e2i_assets_tests.unit.test_definitions > e2i_assets_tests/unit/definitions.txt`.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from e2i_assets.automation.jobs import REFRESH
from e2i_assets.build import build_defs
from e2i_assets.settings import Settings
from e2i_assets_tests.conftest import CONFIG, ROOT

SNAPSHOT = Path(__file__).with_name("definitions.txt")


def described(defs: dg.Definitions) -> Iterator[str]:
    """One line for each asset, check, job, schedule and sensor."""
    graph = defs.resolve_asset_graph()
    for spec in sorted(defs.resolve_all_asset_specs(), key=lambda spec: spec.key):
        upstream = " ".join(sorted(dep.asset_key.to_user_string() for dep in spec.deps))
        kinds = ",".join(sorted(spec.kinds))
        yield f"asset {spec.key.to_user_string()} [{spec.group_name}; {kinds}; {','.join(spec.owners)}] <- {upstream}".rstrip()
    for key in sorted(graph.asset_check_keys):
        kind = "blocking" if graph.get(key).blocking else "reporting"
        yield f"check {key.asset_key.to_user_string()}: {key.name}, {kind}"
    for job in defs.resolve_all_job_defs():
        yield f"job {job.name}"
    for schedule in defs.schedules or []:
        yield f"schedule {schedule.name} [{schedule.default_status.name}]"
    for sensor in defs.sensors or []:
        yield f"sensor {sensor.name}"


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_defs()


def test_what_is_defined_changes_only_on_purpose(defs: dg.Definitions) -> None:
    assert list(described(defs)) == SNAPSHOT.read_text().splitlines()


def test_the_definitions_can_be_loaded(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)


def test_every_asset_says_what_it_is_and_has_partitions(defs: dg.Definitions) -> None:
    for spec in defs.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.partitions_def is not None, spec.key


def test_what_a_stage_reads_is_an_asset_of_ours(defs: dg.Definitions) -> None:
    known = {spec.key for spec in defs.resolve_all_asset_specs()}
    assert {dep.asset_key for spec in defs.resolve_all_asset_specs() for dep in spec.deps} <= known


@dg.asset_check(asset="cohort")
def watched() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@dg.sensor(job_name=REFRESH)
def other_sensor() -> dg.SkipReason:
    return dg.SkipReason("nothing")


SCHEDULES = {
    f"schedule {name} [STOPPED]"
    for name in ("nightly_archive", "nightly_drift", "nightly_kpis", "weekly_retraining")
}
NIGHTLY = dg.ScheduleDefinition("nightly", cron_schedule="0 3 * * *", job_name=REFRESH)
OURS = {
    f"sensor {name}_sensor"
    for name in (
        "alerts",
        "freshness",
        "new_data",
        "retirement",
        "retraining",
        "retraining_comparison",
        "staleness",
        "watching",
    )
}
OVERRIDES = {
    "a check beside the gates": ({"check_overrides": [watched]}, {"check cohort: watched, reporting"}, set()),
    "a sensor instead of ours": (
        {"sensor_overrides": [other_sensor]},
        {"sensor other_sensor"},
        OURS,
    ),
    "no sensor": ({"sensor_overrides": []}, set(), OURS),
    "a schedule": ({"schedule_overrides": [NIGHTLY]}, {"schedule nightly [STOPPED]"}, SCHEDULES),
}


@pytest.mark.parametrize("name", OVERRIDES)
def test_an_override_changes_what_it_names_and_nothing_else(defs: dg.Definitions, name: str) -> None:
    arguments, added, gone = OVERRIDES[name]
    changed, ours = set(described(build_defs(**arguments))), set(described(defs))
    assert (changed - ours, ours - changed) == (added, gone)


def test_resources_and_the_executor_can_be_others(defs: dg.Definitions) -> None:
    vault = object()
    changed = build_defs(resource_overrides={"vault": vault}, executor=dg.multiprocess_executor)
    assert changed.resources is not None
    assert defs.resources is not None
    assert changed.resources["vault"] is vault
    assert set(changed.resources) == set(defs.resources)
    assert changed.resolve_job_def(REFRESH).executor_def is dg.multiprocess_executor
    assert defs.resolve_job_def(REFRESH).executor_def is dg.in_process_executor


def test_loading_the_code_location_imports_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, e2i_assets.definitions; print(sorted(sys.modules))"
    command = [sys.executable, "-W", "ignore", "-c", code]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    heavy = lint["flake8-tidy-imports"]["banned-module-level-imports"]
    assert "mlflow" in heavy
    assert [name for name in heavy if f"'{name}'" in output] == []


def test_commands_that_run_nothing_do_not_wait_for_dagster() -> None:
    """It takes longer to import than most of them take."""
    commands = ("check", "deploy_data", "loading", "models_registry", "retrain_data", "status")
    named = ", ".join(f"e2i_assets.cli.{name}" for name in commands)
    code = f"import sys, {named}; print('dagster' in sys.modules)"
    command = [sys.executable, "-W", "ignore", "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


if __name__ == "__main__":
    print("\n".join(described(build_defs(Settings(config=CONFIG)))))
