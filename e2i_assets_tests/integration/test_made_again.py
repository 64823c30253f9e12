"""What a stage computes again, and what stands: changes, interrupted runs, and what goes with publishing."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from e2i_assets.cli.runner import _was_interrupted
from e2i_assets.gates.verdict import Verdict
from e2i_assets.stages.display import CODE_CHANGED
from e2i_assets.warehouse.queries.publications import Made, code_modules, publication_of, record_publication
from e2i_assets.warehouse.records import gate_results, publications
from e2i_assets_tests.integration.gate_world import (
    PARTITION,
    UPSTREAM,
    BadData,
    Number,
    World,
    checks,
    positive,
)


@pytest.fixture
def world(platform: SimpleNamespace) -> World:
    return World(platform)


def test_what_a_version_was_made_of_is_on_record(world: World, platform: SimpleNamespace) -> None:
    world.run()
    up, down = world.current(), world.current("downstream")
    recorded = publication_of(platform.warehouse, "downstream", PARTITION, down.version)
    assert recorded.inputs == {"number": Made("upstream", up.version, up.run_id)}
    assert (recorded.fingerprint, recorded.code, recorded.run_id) == (
        down.fingerprint,
        down.code,
        down.run_id,
    )
    source = publication_of(platform.warehouse, "upstream", PARTITION, up.version, up.run_id)
    assert (source.config, source.inputs) == (1, {})
    assert "e2i_assets_tests.integration.gate_world" in code_modules(platform.warehouse, down.code)
    world.numbers[PARTITION] = -1
    world.run(UPSTREAM)
    with platform.warehouse.engine.connect() as connection:  # what was refused was not published
        assert connection.scalar(sa.select(sa.func.count()).select_from(publications)) == 2
    again = dataclasses.replace(recorded, run_id="later", attributes={"loss": float("nan")})
    record_publication(platform.warehouse, again, {})  # PostgreSQL's JSON has no such number
    assert publication_of(platform.warehouse, "downstream", PARTITION, down.version).attributes == {
        "loss": "NaN"
    }


def test_nothing_is_computed_when_nothing_changed(world: World) -> None:
    first = world.run()
    assert len(world.computed) == 2
    second = world.run()
    assert second.success
    assert len(world.computed) == 2
    assert all(e.materialization.metadata["reused"].value for e in second.get_asset_materialization_events())
    assert checks(second) == checks(first)
    shown = next(
        e for e in second.get_asset_materialization_events() if e.asset_key == UPSTREAM
    ).materialization
    assert shown.metadata["number"].value == 1


def test_a_change_or_force_computes_again(world: World) -> None:
    world.run()
    world.numbers[PARTITION] = 2
    world.run()
    assert world.computed == ["upstream", "downstream of 1", "upstream", "downstream of 2"]
    world.run(force=True)
    assert len(world.computed) == 6


def test_a_run_interrupted_before_publication_leaves_the_old_version(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run(UPSTREAM)
    before = world.current()
    world.numbers[PARTITION] = 5

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(world.platform.store, "publish", interrupted)
    stopped = world.run(UPSTREAM)
    assert not stopped.success
    assert _was_interrupted(stopped)
    assert world.current() == before


def test_what_goes_with_publishing_happens_after_the_gates_which_judge_once(world: World) -> None:
    world.hooked, judged = True, []

    def judge(number: Number) -> Verdict:
        judged.append(number.value)
        assert "on publish" not in world.computed
        return positive(number)

    world.judge = judge
    world.numbers[PARTITION] = -1
    assert not world.run(UPSTREAM).success
    assert world.computed == ["upstream"]
    world.numbers[PARTITION] = 1
    assert world.run(UPSTREAM).success
    assert world.run(UPSTREAM).success  # the second time nothing is published anew
    assert world.computed == ["upstream", "upstream", "on publish"]
    assert judged == [-1, 1]


def test_when_it_fails_nothing_is_published_and_no_gate_is_on_record_as_passed(
    world: World, platform: SimpleNamespace
) -> None:
    def locked() -> None:
        raise BadData("the vault is locked")

    world.hooked, world.on_publish = True, locked
    refused = world.run()
    assert not refused.success
    assert checks(refused) == {"is_positive": False, "is_small": False}
    assert world.current() is None
    with platform.warehouse.engine.connect() as connection:
        assert not connection.scalar(sa.select(sa.func.bool_or(gate_results.c.passed)))


def test_a_run_that_dies_after_it_does_the_same_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.hooked = True

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(world.platform.store, "publish", killed)
        assert not world.run(UPSTREAM).success
    assert world.current() is None
    assert world.run(UPSTREAM).success
    assert world.computed == ["upstream", "on publish"] * 2
    assert world.value("upstream") == 1


@pytest.mark.parametrize("by", ["", "0" * 16])
def test_what_other_code_made_is_made_again_and_that_is_said(world: World, by: str) -> None:
    """As an upgrade finds it: a release before this one did not keep the version of the code."""
    world.run(UPSTREAM)
    current = world.current()
    world.platform.store.publish(dataclasses.replace(current, fingerprint="of other code", code=by))

    def verdicts() -> list[bool]:
        events = world.run(UPSTREAM).get_asset_materialization_events()
        return [CODE_CHANGED in event.materialization.metadata for event in events]

    assert (verdicts(), verdicts()) == ([True], [False])
    assert world.computed == ["upstream", "upstream"]
    world.numbers[PARTITION] = 2
    assert verdicts() == [False]
