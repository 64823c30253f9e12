"""Retention frees what nothing needs, and never what is published, registered, or at work."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from mlflow import MlflowClient
from typer.testing import CliRunner, Result

from e2i_assets.assets.attribute_names import BUNDLE_FILES, MLFLOW_RUN, SEALS
from e2i_assets.build import build_resources
from e2i_assets.cli.main import app
from e2i_assets.lineage.prune import Pruner
from e2i_assets.lineage.retention import Keep
from e2i_assets.resources.store import Published
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.publications import Made, Publication, record_publication
from e2i_assets.warehouse.turns import Turn
from e2i_assets_tests.integration.gates.partition import PARTITION

NAME = f"e2i-conversion-{PARTITION}"
CHAIN = ("features", "splits", "conversion/trained_model", "conversion/bento_bundle")


@dataclass(frozen=True)
class Number:
    value: int


@dataclass(frozen=True)
class World:
    here: Settings
    resources: dict[str, Any]
    instance: dg.DagsterInstance

    @property
    def pruner(self) -> Pruner:
        return Pruner(self.here, self.resources["warehouse"], self.resources["store"], self.instance)

    def stored(self) -> set[tuple[str, str]]:
        root = Path(self.here.artifacts_url)
        return {
            (path.relative_to(root).parent.parent.as_posix(), path.name)
            for path in [*root.glob(f"*/{PARTITION}/*"), *root.glob(f"*/*/{PARTITION}/*")]
            if path.is_dir()
        }

    def others(self) -> set[Path]:
        """Sealed splits, bundles and folders of MLflow's runs."""
        home = self.here.home_dir
        return {
            *(home / "vault" / PARTITION).iterdir(),
            *(path for path in (home / "bentoml" / "bentos" / NAME).iterdir() if path.is_dir()),
            *(home / "artifacts" / "mlflow").iterdir(),
        }

    def publish(self, number: int) -> dict[str, Published]:
        """One version of each asset of a chain after another, as an unregistered model leaves them; no pointer."""
        store, warehouse = self.resources["store"], self.resources["warehouse"]
        client = MlflowClient(self.resources["tracking"].uri)
        # That of the copied installation has its files where they were copied from.
        experiment = client.create_experiment(f"e{number}", f"{self.here.artifacts_url}/mlflow")
        run = client.create_run(experiment).info
        client.log_text(run.run_id, "x", "plots/x.txt")
        seal = f"{number:016x}"
        (self.here.home_dir / "vault" / PARTITION / f"test-{seal}.sealed").write_bytes(b"sealed")
        bundle = self.here.home_dir / "bentoml" / "bentos" / NAME / f"f{number}"
        bundle.mkdir()
        (bundle / "bento.yaml").write_text("x")
        attributes = {
            "splits": {SEALS: {"test": seal}},
            "conversion/trained_model": {MLFLOW_RUN: run.run_id},
            "conversion/bento_bundle": {BUNDLE_FILES: f"h{number}"},
        }
        before: dict[str, Made] = {}
        made = {}
        for asset in CHAIN:
            version = store.write(asset, PARTITION, Number(number))
            facts = attributes.get(asset, {})
            record_publication(
                warehouse,
                Publication(
                    asset, PARTITION, version, f"f{number}", "code", {}, dict(before), facts, f"run {number}"
                ),
                {},
            )
            before = {"of": Made(asset, version, f"run {number}")}
            made[asset] = Published(
                asset, PARTITION, version, f"f{number}", attributes=facts, run_id=f"run {number}"
            )
        trained = "INSERT INTO e2i.ml_training_runs (partition, scope, algorithm, model_fingerprint, hyperparameters, training_samples, validation_samples, metrics, data_versions, mlflow_run_id, run_id) VALUES (:p, 'conversion', 'a', 'f', '{}', 1, 1, '{}', '{}', :mlflow, 'r')"
        built = "INSERT INTO e2i.ml_bento_bundles (service_name, bento_tag, partition, scope, model_fingerprint, status, run_id) VALUES ('s', :tag, :p, 'conversion', 'f', 'built', 'r')"
        with warehouse.engine.begin() as connection:
            connection.execute(sa.text(trained), {"p": PARTITION, "mlflow": run.run_id})
            connection.execute(sa.text(built), {"p": PARTITION, "tag": f"{NAME}:f{number}"})
        return made


@pytest.fixture
def world(here: Settings) -> World:
    return World(here, build_resources(here), dg.DagsterInstance.ephemeral())


def asked(world: World, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setattr("e2i_assets.cli.session.settings", lambda: world.here)
    return CliRunner().invoke(app, ["prune", *arguments])


def test_only_what_nothing_needs_goes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the partition published stays although three newer versions of it are not needed."""
    real, others = world.stored(), world.others()
    assert asked(world, monkeypatch, "--keep", "1").stdout.startswith("nothing would go")
    made = [world.publish(number) for number in (1, 2, 3)]
    unheard_of = world.resources["store"].write("features", PARTITION, Number(9))
    full = world.stored()
    shown = asked(world, monkeypatch, "--keep", "1")  # nobody is there to confirm
    assert "nothing was removed" in shown.stdout
    assert "1 versions of which this database has no record" in shown.stdout
    planned = json.loads(asked(world, monkeypatch, "--keep", "1", "--json").stdout)
    assert (world.stored(), planned["removed"]) == (full, False)
    assert planned["bytes"] == sum(one["size"] for plan in planned["partitions"] for one in plan["going"]) > 0
    assert "nothing would go" in asked(world, monkeypatch, "--keep", "1", "--keep-days", "1", "--yes").stdout
    done = asked(world, monkeypatch, "--keep", "1", "--yes")
    assert done.exit_code == 0, done.exception
    newest = {(asset, published.version) for asset, published in made[2].items()}
    assert world.stored() == real | newest | {("features", unheard_of)}
    left = {path.name for path in world.others() - others}
    with world.resources["warehouse"].engine.connect() as connection:
        runs = list(connection.scalars(sa.text("SELECT mlflow_run_id FROM e2i.ml_training_runs ORDER BY id")))
        assert (
            connection.scalar(sa.text("SELECT count(*) FROM e2i.ml_publications WHERE run_id = 'run 1'")) == 4
        )
    assert others <= world.others()
    assert left == {f"test-{3:016x}.sealed", "f3", runs[-1]}
    assert "nothing would go" in asked(world, monkeypatch, "--keep", "1", "--yes").stdout


def test_a_registered_model_keeps_all_that_it_was_made_of(world: World) -> None:
    """Newer versions are published in the place of all of it; what it was made of is needed all the same."""
    for published in world.publish(1).values():
        world.resources["store"].publish(published)
    (plan,) = world.pruner.plan(Keep(1))
    assert plan.going == ()
    with world.resources["warehouse"].engine.begin() as connection:  # registered before there was a record
        connection.execute(
            sa.text("DELETE FROM e2i.ml_publications WHERE run_id <> 'run 1' AND asset <> 'splits'")
        )
    world.publish(2)
    (plan,) = world.pruner.plan(Keep(1))
    assert plan.going == ()


def test_what_a_run_publishes_meanwhile_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Turn.keep
    first, _ = world.publish(1), world.publish(2)
    plans = world.pruner.plan(Keep(1))
    before = world.stored()
    with Turn(world.here, PARTITION, "other", on_wait=lambda _: pytest.fail("nobody else has it")):
        (busy,) = world.pruner.carry_out(plans, Keep(1))
        assert (busy.going, "a run has it" in busy.left) == ((), True)
        assert world.stored() == before
        world.resources["store"].publish(first["splits"])  # and so needs the features that it was made of
    with monkeypatch.context() as patch:  # the database was restarted: somebody may have had it
        patch.setattr(Turn, "keep", lambda self: self._connection is None and keep(self))
        (lost,) = world.pruner.carry_out(plans, Keep(1))
        assert (lost.going, world.stored()) == ((), before)
    (done,) = world.pruner.carry_out(plans, Keep(1))
    gone = {kept.name.rpartition("/")[0] for kept in done.going if kept.kind == "version"}
    assert gone == {"conversion/trained_model", "conversion/bento_bundle"}
    assert {("splits", first["splits"].version), ("features", first["features"].version)} <= world.stored()
    assert (world.here.home_dir / "vault" / PARTITION / f"test-{1:016x}.sealed").exists()


@pytest.mark.parametrize("until", [0, 2, 4])
def test_a_removal_that_is_killed_leaves_nothing_half_and_is_gone_on_with(
    world: World, monkeypatch: pytest.MonkeyPatch, until: int
) -> None:
    world.publish(1)
    world.publish(2)
    removed, real = [], shutil.rmtree

    def killed(folder: Path, *rest: Any, **more: Any) -> None:
        if len(removed) == until:
            next(path for path in Path(folder).rglob("*") if path.is_file()).unlink()
            raise KeyboardInterrupt
        removed.append(folder)
        real(folder, *rest, **more)

    plans = world.pruner.plan(Keep(1))
    with monkeypatch.context() as patch:
        patch.setattr("e2i_assets.resources.kept_files.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            world.pruner.carry_out(plans, Keep(1))
    store = world.resources["store"]
    for asset, version in world.stored():
        if "." not in version:
            assert store.damage(asset, PARTITION, version) is None
    (plan,) = world.pruner.plan(Keep(1))
    assert "left over" in {kept.kind for kept in plan.going}
    world.pruner.carry_out([plan], Keep(1))
    (plan,) = world.pruner.plan(Keep(1))
    assert (plan.going, [name for _, name in world.stored() if "." in name]) == ((), [])
