"""Releases of services go like everything else: shown first, and never what answers or is gone back to."""

from __future__ import annotations

import datetime as dt

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
    pruner = Pruner(here, warehouse, open_store(here))
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
