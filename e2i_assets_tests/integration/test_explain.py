"""What a run would do is told without running anything, and is what the run then does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
import sqlalchemy as sa

from e2i_assets.stages.display import REUSED, WHY
from e2i_assets.stages.explain import explain
from e2i_assets_tests.integration.gate_world import DOWNSTREAM, PARTITION, UPSTREAM, World


@pytest.fixture
def world(platform: SimpleNamespace) -> World:
    return World(platform)


def explained(world: World, *keys: dg.AssetKey, force: bool = False) -> list[tuple[str, str, list[str]]]:
    defs = world.defs
    assets = [asset for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition)]
    before = world.computed.copy()
    outlooks = explain(assets, vars(world.platform), PARTITION, keys or [UPSTREAM, DOWNSTREAM], force=force)
    assert world.computed == before
    return [(one.asset, one.verdict, [reason.code for reason in one.reasons]) for one in outlooks]


def nothing(_: World) -> None:
    """Leave it as it was published."""


def another_number(world: World) -> None:
    world.numbers[PARTITION] = 2


def lost_files(world: World) -> None:
    world.platform.store._fs.rm(version_of(world), recursive=True)


def version_of(world: World) -> str:
    current = world.current()
    assert current is not None
    return str(world.platform.store._version("upstream", PARTITION, current.version))


def other_code(world: World) -> None:
    current = world.current("downstream")
    assert current is not None
    world.platform.store.publish(dataclasses.replace(current, fingerprint="of other code", code="0" * 16))


def other_upstream(world: World) -> None:
    world.numbers[PARTITION] = 2
    world.run(UPSTREAM)


def no_gate_record(world: World) -> None:
    with world.platform.warehouse.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM e2i.ml_gate_results WHERE gate = 'is_small'"))


OPEN = ("downstream", "open", ["input_made_anew"])
REUSED_BOTH = [("upstream", "reused", []), ("downstream", "reused", [])]


@pytest.mark.parametrize(
    ("happens", "upstream", "downstream"),
    [
        pytest.param(nothing, ("reused", []), ("reused", []), id="nothing"),
        pytest.param(another_number, ("runs", ["configuration_changed"]), OPEN[1:], id="configuration"),
        pytest.param(lost_files, ("runs", ["damaged"]), OPEN[1:], id="files are gone"),
        pytest.param(no_gate_record, ("runs", ["not_judged"]), OPEN[1:], id="no record of a gate"),
        pytest.param(other_code, ("reused", []), ("runs", ["code_changed"]), id="code"),
        pytest.param(other_upstream, ("reused", []), ("runs", ["input_changed"]), id="input"),
    ],
)
def test_what_is_explained_is_what_a_run_does(
    world: World,
    happens: Callable[[World], None],
    upstream: tuple[str, list[str]],
    downstream: tuple[str, list[str]],
) -> None:
    world.run()
    happens(world)
    told = explained(world)
    assert told == [("upstream", *upstream), ("downstream", *downstream)]
    made = {
        "/".join(event.materialization.asset_key.path): event.materialization.metadata
        for event in world.run().get_asset_materialization_events()
    }
    for asset, verdict, _ in told:
        if verdict != "open":
            assert made[asset][REUSED].value is (verdict == "reused")
            assert (WHY in made[asset]) is (verdict == "runs")
    assert explained(world) == REUSED_BOTH


def test_what_was_never_made_runs_and_what_nothing_feeds_cannot(world: World) -> None:
    never = ["never_made"]
    assert explained(world) == [("upstream", "runs", never), ("downstream", "runs", never)]
    assert explained(world, DOWNSTREAM) == [("downstream", "cannot run", ["cannot_run"])]
    world.run()
    forced = ["forced"]
    assert explained(world, force=True) == [("upstream", "runs", forced), ("downstream", "runs", forced)]
    assert explained(world, dg.AssetKey("not_asked")) == [("not_asked", "not served", [])]


def test_a_damaged_pointer_and_what_reads_it_cannot_run(world: World) -> None:
    world.run()
    pointer = f"{version_of(world).rpartition('/')[0]}/current.json"
    Path(pointer).write_text("{")
    assert explained(world) == [(name, "cannot run", ["cannot_run"]) for name in ("upstream", "downstream")]


def test_a_reason_says_what_differs(world: World) -> None:
    world.run()
    world.numbers[PARTITION] = 2
    result = world.run(UPSTREAM)
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata[WHY].value == "configuration changed"
    defs = world.defs
    assets = [asset for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition)]
    (outlook,) = explain(assets, vars(world.platform), PARTITION, [DOWNSTREAM])
    now = world.current()
    assert now is not None
    assert outlook.reasons[0].text.startswith("upstream changed from ")
    assert outlook.reasons[0].text.endswith(f" to {now.version}")
