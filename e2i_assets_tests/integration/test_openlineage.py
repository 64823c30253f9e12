"""Stages tell a receiver of OpenLineage events what they do, and none waits for it or fails with it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from e2i_assets.resources.openlineage import Data, Emitter, OpenLineageUnavailable, Work
from e2i_assets.stages.lineage_events import _emitter
from e2i_assets_tests.integration.gate_world import PARTITION, UPSTREAM, BadData, World
from e2i_assets_tests.openlineage_events import checked, receiver
from e2i_assets_tests.registry_world import START


@pytest.fixture
def world(platform: SimpleNamespace) -> World:
    return World(platform)


def telling(world: World, address: str) -> World:
    _emitter.cache_clear()
    settings = world.platform.settings.model_copy(update={"openlineage_url": address})
    world.platform.settings = settings
    return world


def kinds(taken: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["job"]["name"].partition("/")[0], one["eventType"]) for one in taken]


def test_a_run_tells_what_it_reads_and_makes(world: World) -> None:
    with receiver() as (address, taken):
        first = telling(world, address).run()
        assert world.run().success  # everything is reused, and there is nothing to tell
        assert kinds(taken) == [
            ("upstream", "START"), ("upstream", "COMPLETE"), ("downstream", "START"), ("downstream", "COMPLETE")
        ]  # fmt: skip
        begun, ended, _, last = map(checked, taken)
        assert begun.run.runId == ended.run.runId != last.run.runId
        assert ended.run.facets["parent"].run["runId"] == first.run_id
        assert [(t["name"], t["status"]) for t in ended.run.facets["test"].tests] == [
            ("is_positive", "pass"),
            ("is_small", "pass"),
        ]
        (output,), (read,) = ended.outputs, last.inputs
        assert output.name == read.name == f"upstream/{PARTITION}"
        version = world.current().version
        assert output.facets["version"].datasetVersion == read.facets["version"].datasetVersion == version
        judged = read.inputFacets["dataQualityAssertions"].assertions
        assert {one["assertion"]: one["success"] for one in judged} == {"is_positive": True, "is_small": True}
        assert begun.outputs == []


@pytest.mark.parametrize(
    ("raises", "reason"),
    [
        (None, "refused by is_positive"),
        (BadData("patient 17"), "bad_data"),
        (KeyError("patient 17"), "KeyError"),
    ],
)
def test_what_fails_is_told_without_a_value(world: World, raises: Exception | None, reason: str) -> None:
    with receiver() as (address, taken):
        world.numbers[PARTITION], world.raises = -1, raises
        telling(world, address).run(UPSTREAM)
    assert kinds(taken) == [("upstream", "START"), ("upstream", "FAIL")]
    failed = checked(taken[1])
    assert (failed.run.facets["errorMessage"].message, failed.outputs) == (reason, [])
    assert "patient 17" not in json.dumps(taken)


@pytest.mark.parametrize("gone", ["down", "refuses", "folder"])
def test_a_receiver_that_takes_nothing_stops_no_stage(world: World, gone: str, tmp_path: Path) -> None:
    with receiver(status=500) as (address, taken):
        if gone == "refuses":
            assert telling(world, address).run().success
            assert len(taken) == 1  # and is asked no more
            return
    assert telling(world, address if gone == "down" else str(tmp_path)).run().success


def test_columns_and_rows_are_told_and_secrets_are_not() -> None:
    table = Data("raw/t", "v", {"age": "Int64"}, 7, address="file:///t")
    work = Work("load", "1", START, START, outputs=[table])
    with receiver() as (address, taken):
        assert Emitter(f"{address}/api/v1/lineage").emit([work]) == 2
    (output,) = checked(taken[1]).outputs
    assert output.facets["schema"].fields == [{"name": "age", "type": "Int64", "fields": []}]
    assert output.outputFacets["outputStatistics"].rowCount == 7
    with pytest.raises(OpenLineageUnavailable) as refused:
        Emitter(address.replace("http://", "http://me:secret@")).emit([work])
    assert "secret" not in str(refused.value)
