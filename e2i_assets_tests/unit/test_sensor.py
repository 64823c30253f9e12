"""The sensor's decision: what to do for a load until a run of every stage has answered it."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest

from e2i_assets.automation import attempts
from e2i_assets.automation.attempts import LAUNCHED, LOAD, Attempt, Step, attempts_of, next_step
from e2i_assets.automation.jobs import served_assets
from e2i_assets.automation.loaded import loaded_cohort_configs
from e2i_assets_tests.conftest import ROOT

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STAGES = [dg.AssetKey("cohort"), dg.AssetKey(["conversion", "bento_bundle"])]


def run(run_id: str, outcome: Any, *, load: str | None = "7", whole: bool = True, ago: int = 60) -> Attempt:
    begun = NOON - timedelta(minutes=ago)
    return Attempt(run_id, outcome, begun, None if outcome == "in flight" else begun, load, whole)


@pytest.mark.parametrize(
    ("extracted_by", "runs", "expected"),
    [
        pytest.param(None, [], Step(1), id="a new load"),
        pytest.param("a", [run("a", "answered")], None, id="published or refused"),
        pytest.param("a", [run("a", "answered", whole=False, load=None)], Step(1), id="raw tables alone"),
        pytest.param(
            "a",
            [run("a", "answered", whole=False, load=None), run("b", "answered", load=None, ago=30)],
            None,
            id="raw tables alone, then a run of everything by hand",
        ),
        pytest.param("a", [run("a", "died")], Step(2), id="died after raw"),
        pytest.param("a", [run("a", "died"), run("b", "answered", ago=30)], None, id="taken up again"),
        pytest.param(None, [run("a", "died")], Step(2), id="died before raw"),
        pytest.param(None, [run("a", "died", ago=1)], Step(None), id="it waits before it tries again"),
        pytest.param(None, [run("a", "died", ago=-90)], Step(2), id="the clock was set back since"),
        pytest.param(None, [run("a", "died", ago=3), run("b", "died", ago=2)], Step(None), id="and longer"),
        pytest.param(None, [run("a", "in flight")], Step(None), id="under way"),
        pytest.param(None, [run("a", "in flight", load="6")], Step(None), id="under way for another load"),
        pytest.param(None, [run(f"{n}", "died") for n in range(5)], Step(None, alert=True), id="given up"),
        pytest.param(None, [run("a", "answered", load="6")], Step(1), id="answered for an earlier load"),
    ],
)
def test_a_load_is_due_until_a_run_of_every_stage_has_answered(
    extracted_by: str | None, runs: list[Attempt], expected: Step | None
) -> None:
    assert next_step(7, extracted_by, runs, NOON) == expected


def test_what_dagster_kept_of_a_run_says_how_it_ended() -> None:
    def recorded(name: str, status: dg.DagsterRunStatus, partition: str = "p", **more: Any) -> dg.DagsterRun:
        tags = {"dagster/partition": partition, LOAD: "7"} | more.pop("tags", {})
        return dg.DagsterRun("refresh", name, status=status, tags=tags, **more)

    with (
        dg.DagsterInstance.ephemeral() as instance,
        patch.object(attempts, "refused_runs", return_value={"refused"}),
    ):
        for one in (
            recorded("published", dg.DagsterRunStatus.SUCCESS),
            recorded("refused", dg.DagsterRunStatus.FAILURE, asset_selection=frozenset(STAGES)),
            recorded("died", dg.DagsterRunStatus.FAILURE, asset_selection=frozenset(STAGES[:1])),
            recorded("launched", dg.DagsterRunStatus.STARTED, tags={LAUNCHED: "{}"}),
            recorded("killed command", dg.DagsterRunStatus.STARTED),
            recorded("another", dg.DagsterRunStatus.SUCCESS, partition="q"),
            recorded(
                "watching",
                dg.DagsterRunStatus.STARTED,
                tags={LAUNCHED: "{}"},
                asset_selection=frozenset({dg.AssetKey(["conversion", "drift_report"])}),
            ),
        ):
            instance.add_run(one)
        long_ago = NOON - timedelta(days=9999)
        of_partition = attempts_of(instance, None, {"p": STAGES}, long_ago)["p"]  # type: ignore[arg-type]
        seen = {a.run_id: (a.outcome, a.whole) for a in of_partition}
    assert seen == {
        "published": ("answered", True),
        "refused": ("answered", True),
        "died": ("died", False),
        "launched": ("in flight", True),
    }


def test_a_partition_runs_the_shared_assets_and_those_of_its_scopes() -> None:
    keys = [
        dg.AssetKey("cohort"),
        dg.AssetKey(["conversion", "evaluation"]),
        dg.AssetKey(["recurrence", "evaluation"]),
    ]
    assert served_assets(keys, ["recurrence"], ["conversion", "recurrence"]) == [keys[0], keys[2]]


def test_a_cohort_file_newer_than_what_is_loaded_asks_for_a_reload(tmp_path: Path) -> None:
    """Dagster would fail the whole tick over a partition that it does not know."""
    config = tmp_path / "config"
    shutil.copytree(ROOT / "config", config)
    first, second, *_ = sorted(path.stem for path in (config / "cohorts").glob("*.yaml"))

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition([first]))
    def made() -> None: ...

    collected: list[str] = []
    context = dg.build_sensor_context(definitions=dg.Definitions(assets=[made]))
    with context, patch.object(context.log, "error", collected.append):
        assert list(loaded_cohort_configs(context, config)) == [first]
    assert next(line for line in collected if line.startswith(second)).endswith(
        "(Deployment, Code locations)"
    )
