"""Releases of services go like everything else: shown first, and never what answers or is gone back to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import dagster as dg

from e2i_assets.lineage.prune import Pruner
from e2i_assets.lineage.retention import Keep
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.deployments import releases
from e2i_assets.warehouse.warehouse import Warehouse

SERVICE = "classification-service"


def test_releases_go_but_what_answers_is_wanted_or_gone_back_to(here: Settings, warehouse: Warehouse) -> None:
    store = here.bento_home / "bentos" / SERVICE

    def ask(release: str, cause: str = "deploy", *, answers: bool = True) -> None:
        with releases(warehouse, SERVICE) as asked:
            asked.ask(release, [], cause=cause, asked_by="Anna Smith")
            if answers:
                asked.confirm(release)

    def stored() -> set[str]:
        return {folder.name for folder in store.iterdir() if folder.is_dir()}

    def planned(keep: Keep) -> set[str]:
        return {kept.name.partition(":")[2] for plan in pruner.plan(keep) for kept in plan.going}

    names = [f"r{number}" for number in range(1, 7)]
    for name in [*names, "of somebody else"]:
        (store / name).mkdir(parents=True)
        (store / name / "model.bin").write_bytes(b"x" * 1000)
    for name in names[:5]:
        ask(name)
    pruner = Pruner(here, warehouse, open_store(here), dg.DagsterInstance.ephemeral())
    assert planned(Keep(0)) == {"r1", "r2", "r3"}  # r5 answers, r4 stays warm; nobody asked for r6 yet
    assert planned(Keep(4)) == {"r1"}
    assert planned(Keep(0, dt.datetime.now(dt.UTC) - dt.timedelta(days=1))) == set()
    ask("r6", answers=False)
    plans = pruner.plan(Keep(1))
    assert {kept.name for plan in plans for kept in plan.going} == {f"{SERVICE}:{name}" for name in names[:4]}
    assert sum(plan.size for plan in plans) == 4000
    assert stored() == {*names, "of somebody else"}  # it was only shown
    ask("r2", "rollback", answers=False)  # meanwhile
    (done,) = pruner.carry_out(plans, Keep(1))
    assert {kept.name.partition(":")[2] for kept in done.going} == {"r1", "r3", "r4"}
    assert stored() == {"r2", "r5", "r6", "of somebody else"}


def test_what_runs_printed_goes_but_of_the_newest_of_each_partition_and_of_those_under_way(
    here: Settings, warehouse: Warehouse
) -> None:
    folder, ids = (
        here.dagster_home / "storage",
        [f"{number:08d}-0000-4000-8000-000000000000" for number in range(7)],
    )
    with dg.DagsterInstance.ephemeral() as instance:
        pruner = Pruner(here, warehouse, open_store(here), instance)
        assert pruner.plan(Keep(1)) == []
        for run_id, partition, status in (
            (ids[0], "a", dg.DagsterRunStatus.STARTED), (ids[1], "a", dg.DagsterRunStatus.FAILURE),
            (ids[2], "b", dg.DagsterRunStatus.SUCCESS), (ids[3], "a", dg.DagsterRunStatus.SUCCESS),
            (ids[4], "a", dg.DagsterRunStatus.CANCELED), (ids[5], None, dg.DagsterRunStatus.SUCCESS),
        ):  # fmt: skip
            tags = {"dagster/partition": partition} if partition else {}
            instance.add_run(dg.DagsterRun(job_name="job", run_id=run_id, status=status, tags=tags))
        for name in ids:  # of the last nobody has a record
            (folder / name / "compute_logs").mkdir(parents=True)
            (folder / name / "compute_logs" / "step.err").write_bytes(b"x" * 10)

        def going(keep: Keep) -> Sequence[str]:
            return [kept.name for plan in pruner.plan(keep) for kept in plan.going]

        assert going(Keep(1)) == [ids[3], ids[1]]
        assert going(Keep(2)) == [ids[1]]
        assert going(Keep(1, dt.datetime.now(dt.UTC) - dt.timedelta(days=1))) == []
        plans = pruner.plan(Keep(1))
        assert [plan.size for plan in plans] == [20]
        assert pruner.carry_out(plans, Keep(1)) == plans
        assert {path.name for path in folder.iterdir()} == set(ids) - {ids[1], ids[3]}
        assert pruner.plan(Keep(1)) == []
