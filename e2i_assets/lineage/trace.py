"""The whole way of a registered version, from the loads of its data to the releases that it was in.

What is not on record, or no longer stored, is said at its place and stops nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from e2i_assets.assets.attribute_names import BUNDLE_FILES, LOAD, LOADS, MLFLOW_RUN, SEALS
from e2i_assets.registry.ledger import Entry, Model, Version
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.resources.vault import SplitVault
from e2i_assets.settings import Settings
from e2i_assets.storage.bundles import is_kept
from e2i_assets.warehouse.queries.deployments import Release, history
from e2i_assets.warehouse.queries.gates import Judgement, judgements_of
from e2i_assets.warehouse.queries.loads import LoadBatch, loads_of
from e2i_assets.warehouse.queries.publications import (
    Made,
    Publication,
    publication_of,
    publication_with,
    readers_of,
)

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse

TOLD = (LOAD, LOADS, SEALS, MLFLOW_RUN, BUNDLE_FILES)
"""Attributes of a publication that say where else something of it is."""
INPUTS = {"candidate": "model_candidate", "tuned": "tuned_params", "estimate": "effect_estimate"}
"""Inputs of a trained model that go by another name than their stage."""
SHARED = ("splits", "cohort", "features")
AFTER = ("model_card", "registered_model", "deployment", "holdout_validation")
"""Stages that come after the bundle, or beside it."""
NO_RECORD = "how it was made is not on record: an earlier release kept no record of it"


@dataclass(frozen=True)
class Step:
    """One version of one asset on the way.

    Attributes:
        run_id, made_at, code: of its making; None where that is not on record.
        inputs: what it was made of.
        gates: what each said of it.
        facts: where else something of it is: loads, seals, MLflow run.
        lost: what is no longer there, or not known of it.
    """

    asset: str
    version: str
    run_id: str | None
    made_at: dt.datetime | None
    code: str | None
    inputs: tuple[Made, ...]
    gates: tuple[Judgement, ...]
    facts: Mapping[str, Any]
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lineage:
    """The way of a version, in the order in which it was made.

    Attributes:
        stage: that it is in now.
        loads: of the data.
        steps: each after those that it was made of.
        entries: of the ledger, of this version.
        releases: those that it was in, the oldest first.
        lost: what belongs to no step and is no longer there or known.
    """

    version: Version
    stage: str
    loads: tuple[LoadBatch, ...]
    steps: tuple[Step, ...]
    entries: tuple[Entry, ...]
    releases: tuple[Release, ...]
    lost: tuple[str, ...] = field(default=())

    def step(self, asset: str) -> Step | None:
        """The last step of an asset; None where it is not on the way."""
        return next((step for step in reversed(self.steps) if step.asset == asset), None)


def asset_of(scope: str, name: str) -> str:
    """The asset that an input of a scope's stage is read from, by the stage's name for it."""
    shared = name in SHARED or name.startswith("raw/")
    return name if shared else f"{scope}/{INPUTS.get(name, name)}"


class Tracer:
    """Finds the ways of versions in what an installation keeps."""

    def __init__(self, here: Settings, warehouse: Warehouse, store: ArtifactStore, vault: SplitVault) -> None:
        self._here, self._warehouse, self._store, self._vault = here, warehouse, store, vault

    def trace(self, model: Model, version: Version) -> Lineage:
        """The whole way of a registered version."""
        steps: dict[tuple[str, str], Step] = {}
        bundle = publication_with(
            self._warehouse,
            f"{version.scope}/bento_bundle",
            version.partition,
            {BUNDLE_FILES: version.files_hash},
        )
        if bundle is not None:
            self._add(steps, version, bundle)
            self._add_readers(steps, version, Made(bundle.asset, bundle.version, bundle.run_id))
            self._add_readers(steps, version, bundle.inputs["model"])
        else:
            self._add_older(steps, version)
        way = tuple(steps.values())
        numbers = sorted({number for step in way for number in _loads(step)})
        loads = tuple(loads_of(self._warehouse, numbers))
        return Lineage(
            version,
            model.stages()[version.version],
            loads,
            way,
            tuple(entry for entry in model.entries if entry.version == version.version),
            tuple(self._releases(version)),
            tuple(self._lost(version, way, numbers, loads)),
        )

    def _add(self, steps: dict[tuple[str, str], Step], version: Version, made: Publication) -> None:
        """A publication, after what it was made of."""
        for name in sorted(made.inputs):
            source = made.inputs[name]
            if (source.asset, source.version) in steps:
                continue
            of = publication_of(
                self._warehouse, source.asset, version.partition, source.version, source.run_id
            )
            if of is not None:
                self._add(steps, version, of)
            else:
                steps[source.asset, source.version] = self._unrecorded(version, source)
        steps[made.asset, made.version] = self._step(version, made)

    def _add_readers(self, steps: dict[tuple[str, str], Step], version: Version, made: Made) -> None:
        """What was made of a version later: card, registration, deployment and what holdout told."""
        for name in AFTER:
            for reader in readers_of(self._warehouse, version.partition, made):
                if reader.asset == f"{version.scope}/{name}" and (reader.asset, reader.version) not in steps:
                    self._add(steps, version, reader)
                    self._add_readers(steps, version, Made(reader.asset, reader.version, reader.run_id))

    def _add_older(self, steps: dict[tuple[str, str], Step], version: Version) -> None:
        """What the registry kept of the data, for a version from before publications were recorded."""
        for name, of in version.trained_on.items():
            asset = asset_of(version.scope, name)
            steps[asset, str(of)] = self._unrecorded(version, Made(asset, str(of), ""))

    def _step(self, version: Version, made: Publication) -> Step:
        gates = judgements_of(self._warehouse, made.asset, version.partition, made.version, made.run_id)
        facts = {name: made.attributes[name] for name in TOLD if name in made.attributes}
        lost = [*self._gone(version.partition, made.asset, made.version)]
        seals = made.attributes.get(SEALS, {})
        lost += [
            f"{name} is not in the vault any more" for name in self._vault.missing(version.partition, seals)
        ]
        return Step(
            made.asset, made.version, made.run_id, made.published_at, made.code,
            tuple(made.inputs.values()), tuple(gates), facts, tuple(lost),
        )  # fmt: skip

    def _unrecorded(self, version: Version, made: Made) -> Step:
        gates = judgements_of(self._warehouse, made.asset, version.partition, made.version)
        lost = (NO_RECORD, *self._gone(version.partition, made.asset, made.version))
        return Step(made.asset, made.version, made.run_id or None, None, None, (), tuple(gates), {}, lost)

    def _gone(self, partition: str, asset: str, version: str) -> Iterator[str]:
        if not self._store.holds(asset, partition, version):
            yield "its files are not stored any more"

    def _releases(self, version: Version) -> Iterator[Release]:
        number = (version.model_name, version.version)
        for release in reversed(history(self._warehouse, version.service)):
            if any((one["model_name"], one["version"]) == number for one in release.members):
                yield release

    def _lost(
        self, version: Version, way: Sequence[Step], numbers: Sequence[int], loads: Sequence[LoadBatch]
    ) -> Iterator[str]:
        if not is_kept(self._here, version.bento_tag, version.files_hash):
            yield f"the bundle {version.bento_tag} is not in BentoML's store any more"
        if gone := sorted(set(numbers) - {load.load_id for load in loads}):
            yield f"loads {', '.join(map(str, gone))} are not on record any more"
        if not numbers:
            yield "which loads its data are from is not on record"
        elif any(LOAD in step.facts and LOADS not in step.facts for step in way):
            yield f"of loads before {max(numbers)} it is not on record which of them its data are from"


def _loads(step: Step) -> list[int]:
    known = step.facts.get(LOADS) or [step.facts.get(LOAD)]
    return [number for number in known if number is not None]
