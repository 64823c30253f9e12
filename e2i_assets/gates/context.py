"""What a stage may use: its partition, its configuration, and the doors to the outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import dagster as dg

from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.modeling.scope import load_scopes
from e2i_assets.partitions import programme
from e2i_assets.resources.store import ArtifactStore, Published
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.resources.vault import SplitVault
from e2i_assets.resources.warehouse import Warehouse
from e2i_assets.settings import Settings

A = TypeVar("A")


class StageContext:
    """One stage of one partition in one run; `inputs` are the published versions that it was given.

    `fingerprint` is the hash of code, configuration and input versions: of all that the result is made from.
    """

    def __init__(
        self, context: dg.AssetExecutionContext, inputs: Mapping[str, Published], fingerprint: str = ""
    ) -> None:
        self.dagster = context
        self.log = context.log
        self.inputs = inputs
        self.fingerprint = fingerprint
        self.partition: str = context.partition_key
        self.run_id: str = context.run_id
        self.settings: Settings = context.resources.settings
        self.warehouse: Warehouse = context.resources.warehouse
        self.store: ArtifactStore = context.resources.store
        self.vault: SplitVault = context.resources.vault
        self.tracking: ExperimentTracking = context.resources.tracking

    @property
    def programme(self) -> CohortConfig:
        """The cohort file of this partition."""
        return programme(self.settings.config_dir, self.partition)

    @property
    def targets(self) -> list[str]:
        """Target column of each scope that serves this partition, in the order of the cohort file."""
        scopes = load_scopes(self.settings.config_dir / "scopes")
        return [scopes[name].target for name in self.programme.scopes]

    def read_raw(self, table: str, versions: Mapping[str, str], kind: type[A]) -> A:
        """A raw table in the version that a certificate names."""
        return self.store.read(f"raw/{table}", self.partition, versions[table], kind)

    def config_files(self, folder: str) -> dict[str, str]:
        """Text of every file of a configuration folder, by name: for fingerprints."""
        return {
            p.name: p.read_text()
            for p in sorted((self.settings.config_dir / folder).iterdir())
            if p.is_file()
        }

    def open(self, published: Published, kind: type[A]) -> A:
        """Load a published version as its artifact class."""
        return self.store.read(published.asset, published.partition, published.version, kind)
