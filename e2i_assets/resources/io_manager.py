"""Dagster's IO manager over the artifact store: publishes, and refuses what its gates did not pass."""

from __future__ import annotations

import dagster as dg

from e2i_assets.resources.store import ArtifactStore, Published

GATES = "e2i/gates"
"""Definition metadata: the gates an asset declares."""


class ArtifactIOManager(dg.IOManager):
    """Moves `Published` pointers; the stage that reads one opens the artifact itself, and only if it must."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    def handle_output(self, context: dg.OutputContext, obj: Published) -> None:
        """Make the version current."""
        self._store.publish(obj)

    def load_input(self, context: dg.InputContext) -> Published:
        """The published version of the upstream asset.

        Raises:
            dagster.Failure: nothing is published, or a gate that the asset declares is not recorded as
                passed for the version. Not retried: another try would find the same.
        """
        asset = asset_name(context.asset_key)
        current = self._store.current(asset, context.partition_key)
        if current is None:
            raise dg.Failure(
                f"{asset} [{context.partition_key}] has no published version. Materialize it; if it was, "
                "its checks tell which gate refused it.",
                allow_retries=False,
            )
        declared = (context.upstream_output.definition_metadata if context.upstream_output else {}).get(
            GATES, []
        )
        missing = [gate for gate in declared if current.gates.get(gate) is not True]
        if missing:
            raise dg.Failure(
                f"{asset} [{context.partition_key}] version {current.version} has no passed record of "
                f"{', '.join(missing)}: materialize it again so that they judge it.",
                allow_retries=False,
            )
        return current


def asset_name(key: dg.AssetKey) -> str:
    """Name of an asset in the store and the records: its key path joined by slashes."""
    return "/".join(key.path)
