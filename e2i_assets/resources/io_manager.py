"""Dagster's IO manager over the artifact store: publishes, and refuses what its gates did not pass."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import dagster as dg

from e2i_assets.partitions import serves
from e2i_assets.resources.disk import naming_full_disk
from e2i_assets.resources.retries import lost_connections_retried
from e2i_assets.resources.store import ArtifactRefused, ArtifactStore, Published
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.gates import passed_gates

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse

GATES = "e2i/gates"
"""Definition metadata: the gates an asset declares."""

SCOPE = "e2i/scope"
"""Metadata of an input: the scope of the stage that reads it."""


class ArtifactIOManager(dg.IOManager):
    """Moves `Published` pointers; the stage that reads one opens the artifact itself, and only if it must.

    A stage of a scope that does not serve the partition publishes nothing and is given nothing: None.
    """

    def __init__(self, store: ArtifactStore, warehouse: Warehouse, settings: Settings) -> None:
        self._store = store
        self._warehouse = warehouse
        self._settings = settings

    def handle_output(self, context: dg.OutputContext, obj: Published | None) -> None:
        """Make the version current."""
        if obj is not None:
            with naming_full_disk(self._settings):
                self._store.publish(obj)

    def load_input(self, context: dg.InputContext) -> Published | None:
        """The published version of the upstream asset.

        Raises:
            dagster.Failure: nothing is published, or its pointer is damaged, or a gate that the asset
                declares is not on record as passed for the version. Not retried: another try would find
                the same.
        """
        scope = (context.definition_metadata or {}).get(SCOPE)
        if scope and not serves(self._settings.config_dir, scope, context.partition_key):
            return None
        asset = asset_name(context.asset_key)
        try:
            current = self._store.current(asset, context.partition_key)
        except ArtifactRefused as error:
            raise dg.Failure(error.summary, allow_retries=False) from error
        if current is None:
            raise dg.Failure(
                f"{asset} [{context.partition_key}] has no published version. Materialize it; if it was, "
                "its checks tell which gate refused it.",
                allow_retries=False,
            )
        declared = (context.upstream_output.definition_metadata if context.upstream_output else {}).get(
            GATES, []
        )
        with lost_connections_retried():
            missing = unproven(current, declared, self._warehouse)
        if missing:
            raise dg.Failure(
                f"{asset} [{context.partition_key}] version {current.version} has no passed record of "
                f"{', '.join(missing)} in ml_gate_results: materialize it again so that they judge it.",
                allow_retries=False,
            )
        return current


def unproven(published: Published, gates: Collection[str], warehouse: Warehouse) -> list[str]:
    """The gates that did not pass a published version, by what it says itself and by the database's record.

    The pointer to a version is a file; who can write files has not passed a gate by that.
    """
    of_version = (published.asset, published.partition, published.version, published.run_id)
    recorded = passed_gates(warehouse, *of_version) if gates else set()
    return [gate for gate in gates if published.gates.get(gate) is not True or gate not in recorded]


def asset_name(key: dg.AssetKey) -> str:
    """Name of an asset in the store and the records: its key path joined by slashes."""
    return "/".join(key.path)
