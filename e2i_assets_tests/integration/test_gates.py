"""The gate helper, in all the ways a run can come about: nothing bad is published, and the last good stays."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import dagster as dg
import pytest
import sqlalchemy as sa

from e2i_assets.gates.verdict import Verdict, refuse
from e2i_assets.resources.store import Published
from e2i_assets.stages.display import check
from e2i_assets.warehouse.queries.alerts import alerts
from e2i_assets.warehouse.records import gate_results
from e2i_assets_tests.integration.gate_world import (
    DOWNSTREAM,
    OTHER,
    PARTITION,
    UPSTREAM,
    BadData,
    Number,
    World,
    checks,
)


@pytest.fixture
def world(platform: SimpleNamespace) -> World:
    return World(platform)


def test_passing_gates_publish_with_all_check_results(world: World) -> None:
    result = world.run()
    assert result.success
    assert checks(result) == {"is_positive": True, "is_small": True}
    assert world.current().gates == {"is_positive": True, "is_small": True}
    for evaluation in result.get_asset_check_evaluations():
        assert evaluation.target_materialization_data is not None


@pytest.mark.parametrize("selected", [["not_asked", "after_it"], ["not_asked"], ["after_it"]])
def test_a_scope_that_does_not_serve_the_partition_is_passed_over(world: World, selected: list[str]) -> None:
    result = world.run(*[dg.AssetKey(name) for name in selected])
    assert result.success
    answer = {
        e.asset_key.to_user_string(): e.materialization for e in result.get_asset_materialization_events()
    }
    assert list(answer) == selected
    for name, materialization in answer.items():
        assert f"recurrence does not serve {PARTITION}" in materialization.metadata["not_served"].value
        assert world.current(name) is None
    assert checks(result) == {}


def test_a_warning_is_shown_and_stops_nothing(world: World) -> None:
    """Also of a version that is published once more; no record of a gate is left of it."""
    world.numbers[PARTITION] = -1
    key = dg.AssetKey("warned")
    for _ in range(2):
        result = world.run(key)
        assert result.success
        evaluated = {e.check_name: (e.passed, e.severity.value) for e in result.get_asset_check_evaluations()}
        assert evaluated == {"is_small": (True, "ERROR"), "is_positive": (False, "WARN")}
    assert world.current("warned").gates == {"is_small": True}
    with world.platform.warehouse.engine.connect() as connection:
        assert set(connection.scalars(sa.select(gate_results.c.gate))) == {"is_small"}


def test_where_nothing_is_made_a_warning_says_that_nothing_was_judged(world: World) -> None:
    world.raises = BadData("the table is empty", "Load it.")
    evaluated = {e.check_name: e for e in world.run(dg.AssetKey("warned")).get_asset_check_evaluations()}
    assert evaluated["is_small"].metadata["reason"].value == "bad_data"
    assert evaluated["is_positive"].metadata["reason"].value == "not_judged"
    assert evaluated["is_positive"].severity is dg.AssetCheckSeverity.WARN
    assert world.current("warned") is None


def test_same_run_downstream_is_skipped_and_nothing_is_published(world: World) -> None:
    world.numbers[PARTITION] = -1
    result = world.run()
    assert not result.success
    assert checks(result) == {"is_positive": False, "is_small": True}
    assert world.computed == ["upstream"]
    assert world.current() is None
    assert world.current("downstream") is None
    assert not result.get_asset_materialization_events()


def test_later_run_of_downstream_alone_fails_when_nothing_was_ever_published(world: World) -> None:
    world.numbers[PARTITION] = -1
    world.run(UPSTREAM)
    result = world.run(DOWNSTREAM)
    assert not result.success
    assert world.computed == ["upstream"]


def test_later_run_of_downstream_alone_reads_the_last_good_version(world: World) -> None:
    world.run(UPSTREAM)
    world.numbers[PARTITION] = -1
    assert not world.run(UPSTREAM).success
    assert world.run(DOWNSTREAM).success
    assert world.value("downstream") == 1


def test_a_refused_partition_leaves_the_others_alone(world: World) -> None:
    world.numbers[PARTITION] = -1
    assert not world.run().success
    assert world.run(partition=OTHER).success
    assert world.current(partition=OTHER) is not None


def test_a_gate_added_later_closes_the_versions_it_has_not_judged(world: World) -> None:
    world.run(UPSTREAM)
    current = world.current()
    world.platform.store.publish(Published(**{**vars(current), "gates": {"is_small": True}}))
    result = world.run(DOWNSTREAM)
    assert not result.success
    assert "is_positive" in str(
        next(e for e in result.all_events if e.is_step_failure).step_failure_data.error
    )


@pytest.mark.parametrize("of_run", ["that_judged_another_version", "unheard_of"])
def test_a_pointer_that_claims_gates_without_their_record_is_not_believed(world: World, of_run: str) -> None:
    """Whoever can write files has not passed a gate by that: neither downstream nor the stage itself believes."""
    judged = world.run(UPSTREAM)
    current = world.current()
    bad = world.platform.store.write("upstream", PARTITION, Number(-1))
    run_id = of_run if of_run == "unheard_of" else judged.run_id
    world.platform.store.publish(Published(**{**vars(current), "version": bad, "run_id": run_id}))
    refused = world.run(DOWNSTREAM)
    assert not refused.success
    assert world.current("downstream") is None
    message = str(next(e for e in refused.all_events if e.is_step_failure).step_failure_data)
    assert "no passed record of is_positive, is_small in ml_gate_results" in message
    assert world.run().success
    assert world.computed == ["upstream", "upstream", "downstream of 1"]


def test_a_version_that_a_gate_refused_cannot_be_published_by_hand(world: World) -> None:
    world.numbers[PARTITION] = -1
    refused = world.run(UPSTREAM)
    bad = world.platform.store.write("upstream", PARTITION, Number(-1))
    gates = {"is_positive": True, "is_small": True}
    world.platform.store.publish(
        Published("upstream", PARTITION, bad, "f", gates=gates, run_id=refused.run_id)
    )
    result = world.run(DOWNSTREAM)
    assert not result.success
    message = str(next(e for e in result.all_events if e.is_step_failure).step_failure_data)
    assert "no passed record of is_positive in ml_gate_results" in message


@pytest.mark.parametrize("broken", [KeyError("patient 17"), ZeroDivisionError("patient 17")])
def test_a_gate_that_raises_blocks_with_a_typed_reason_and_no_values(world: World, broken: Exception) -> None:
    def judge(_: Number) -> Verdict:
        raise broken

    world.judge = judge
    result = world.run()
    assert not result.success
    (evaluation,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "is_positive"]
    assert evaluation.metadata["reason"].value == "gate_error"
    assert evaluation.metadata["exception"].value == type(broken).__name__
    assert evaluation.metadata["raised_at"].value.startswith("test_gates.py:")
    assert "patient" not in str(evaluation)
    assert world.current() is None


@pytest.mark.parametrize("where", ["gate", "stage"])
def test_a_library_that_is_not_there_blocks_by_its_name(world: World, where: str) -> None:
    missing = ModuleNotFoundError("No module named 'gx'", name="gx")

    def judge(_: Number) -> Verdict:
        raise missing

    if where == "gate":
        world.judge = judge
    else:
        world.raises = missing
    result = world.run()
    assert not result.success
    (evaluation,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "is_positive"]
    assert evaluation.metadata["reason"].value == "missing_library"
    assert evaluation.metadata["library"].value == "gx"
    assert "requirements.lock" in evaluation.metadata["next_step"].value
    assert world.current() is None


def test_a_configuration_that_cannot_be_made_is_told_without_its_values(world: World) -> None:
    class Quoting(dict[str, int]):
        def __getitem__(self, partition: str) -> int:
            raise ValueError("71 tneitap"[::-1])  # a stack quotes lines of code

    world.numbers = Quoting()
    result = world.run(UPSTREAM)
    assert not result.success
    (failure,) = [str(e.step_failure_data) for e in result.all_events if e.is_step_failure]
    assert "Unforeseen: ValueError at " in failure
    assert "patient 17" not in str(result.all_events)


def test_a_gate_without_a_verdict_blocks(world: World) -> None:
    world.judge = lambda _: True  # type: ignore[assignment, return-value]
    assert not world.run().success
    assert world.current() is None


def test_bad_data_is_a_check_result_and_a_crash_is_an_exception(world: World) -> None:
    world.raises = BadData("column x is missing")
    refused = world.run()
    assert checks(refused) == {"is_positive": False, "is_small": False}
    evaluated = {e.check_name: e for e in refused.get_asset_check_evaluations()}
    assert evaluated["is_positive"].metadata["reason"].value == "bad_data"
    assert evaluated["is_small"].metadata["reason"].value == "not_judged"  # the reason is told once
    assert "is_positive" in evaluated["is_small"].description
    assert "column x" not in evaluated["is_small"].description
    world.raises = RuntimeError("disk gone")
    crashed = world.run()
    assert not crashed.success
    assert checks(crashed) == {}


def test_a_full_disk_is_named_and_is_no_verdict_on_the_data(world: World) -> None:
    world.raises = BadData("the bundle could not be built")
    world.raises.__cause__ = OSError(28, "No space left on device")
    full = world.run()
    assert not full.success
    assert checks(full) == {}
    message = str(next(e for e in full.all_events if e.is_step_failure).step_failure_data)
    assert "DiskFull: the disk at " in message
    assert str(world.platform.settings.home_dir) in message


def test_every_evaluation_leaves_its_row(world: World, platform: SimpleNamespace) -> None:
    world.run(UPSTREAM)
    world.numbers[PARTITION] = -1
    refused = world.run(UPSTREAM)
    with platform.warehouse.engine.connect() as connection:
        rows = connection.execute(sa.select(gate_results).order_by(gate_results.c.id)).mappings().all()
    assert [(row["gate"], row["passed"]) for row in rows] == [
        ("is_positive", True), ("is_small", True), ("is_positive", False), ("is_small", True),
    ]  # fmt: skip
    assert rows[2]["reason"] == "not_positive"
    assert rows[2]["details"]["next_step"] == "Give a positive number."
    (shown,) = [e for e in refused.get_asset_check_evaluations() if not e.passed]
    judged = platform.settings.day_of_judgement
    assert judged.endswith("(E2I_AS_OF)")
    assert shown.description == f"{PARTITION}, {judged}: -1 is not positive. Give a positive number."
    assert rows[2]["run_id"] == refused.run_id


def test_a_refusal_is_an_alert_where_nobody_watches_the_run(world: World, platform: SimpleNamespace) -> None:
    world.run(UPSTREAM, sensor="new_data_sensor")
    world.numbers[PARTITION] = -1
    world.run(UPSTREAM)
    assert not alerts(platform.warehouse)
    world.run(UPSTREAM, sensor="new_data_sensor")
    world.raises = BadData("nothing to read.", "Load something.")
    world.run(UPSTREAM, sensor="new_data_sensor")
    (alert,) = alerts(platform.warehouse)
    assert (alert.kind, alert.partition, alert.raised) == ("gate", PARTITION, 2)
    assert "is_positive: nothing to read." in alert.message
    assert alert.next_step.startswith("Load something. Read the checks of upstream")


@pytest.mark.parametrize("published_with_a_host", [False, True])
def test_links_name_no_host_so_that_none_is_lost_with_it(world: World, published_with_a_host: bool) -> None:
    world.run(UPSTREAM)
    store = world.platform.store
    current = store.current("upstream", PARTITION)
    if published_with_a_host:  # as versions were before pages had Dagit's own address
        old = {"pages": "http://127.0.0.1:3004"} | json.loads(
            current.display.replace("/pages/", "http://127.0.0.1:3004/")
        )
        store.publish(dataclasses.replace(current, display=json.dumps(old)))
    again = world.run(UPSTREAM)
    (made,) = again.get_asset_materialization_events()
    assert made.materialization.metadata["reused"].value
    (link,) = {e.metadata["page"].value for e in again.get_asset_check_evaluations()}
    assert link == made.materialization.metadata["page"].value
    assert link == f"/pages/upstream/{PARTITION}/{current.version}/report.html"


def test_what_was_found_is_a_table_and_numbers_are_rounded() -> None:
    verdict = refuse(
        "bad", "two are bad.", "Mend them.", [{"column": "a", "share": 1 / 3}, {"column": "b", "share": 1e-7 / 3}], share=2 / 3
    )  # fmt: skip
    shown = check(dg.AssetKey("a"), "is_good", verdict, "p, 2024-01-01", {}).metadata
    assert list(shown) == ["reason", "next_step", "found", "share"]
    assert shown["share"].value == 0.6667
    assert [record.data["share"] for record in shown["found"].records] == [0.3333, 3.333e-8]


@pytest.mark.parametrize("raises", [None, BadData("column x is missing")])
def test_a_gate_that_did_not_run_says_whose_refusal_it_was(world: World, raises: Exception | None) -> None:
    everything = [dg.AssetKey(name) for name in ("upstream", "downstream", "judged", "not_asked", "after_it")]
    judged = dg.AssetCheckKey(dg.AssetKey("judged"), "is_judged")
    assert world.run(*everything).success
    world.numbers[PARTITION], world.raises = -1, raises
    refused = [world.run(*everything) for _ in range(2)]
    for run in refused:
        (failure,) = [e for e in run.all_events if e.is_step_failure]
        assert failure.step_failure_data.error.cls_name == "DagsterAssetCheckFailedError"

    def last(check: dg.AssetCheckKey) -> dg.AssetCheckEvaluation:
        (record,) = world.instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
        return record.event.dagster_event.asset_check_evaluation_data

    answer = last(judged)
    history = world.instance.event_log_storage.get_asset_check_execution_history(judged, limit=2)
    assert [record.run_id for record in history] == [run.run_id for run in reversed(refused)]
    assert (answer.passed, answer.severity, answer.partition) == (
        False,
        dg.AssetCheckSeverity.WARN,
        PARTITION,
    )
    assert answer.description.startswith(f"{PARTITION}, ")
    assert "did not run, because upstream was refused" in answer.description
    not_asked = dg.AssetCheckKey(dg.AssetKey("not_asked"), "is_not_asked")
    history = world.instance.event_log_storage.get_asset_check_execution_history(not_asked, limit=5)
    assert not [
        record
        for record in history
        if record.event and record.event.dagster_event.event_type_value == "ASSET_CHECK_EVALUATION"
    ]
    world.numbers[PARTITION], world.raises = 1, None
    assert world.run(*everything).success
    assert last(judged).passed
