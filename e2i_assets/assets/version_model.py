"""The model of a registered version, whatever has been published since."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2i_assets.assets.attribute_names import BUNDLE_FILES
from e2i_assets.resources.artifacts import A
from e2i_assets.warehouse.queries.publications import publication_with

if TYPE_CHECKING:  # the doors are handed in: see `stages.code_version`
    from e2i_assets.registry.ledger import Version
    from e2i_assets.resources.store import ArtifactStore
    from e2i_assets.warehouse.warehouse import Warehouse


def model_of_version(warehouse: Warehouse, store: ArtifactStore, version: Version, kind: type[A]) -> A | None:
    """The model that a version's bundle was made of; None where that is not on record.

    Raises:
        ArtifactRefused: its files are gone, or not what was published.
    """
    bundle = publication_with(
        warehouse, f"{version.scope}/bento_bundle", version.partition, {BUNDLE_FILES: version.files_hash}
    )
    if bundle is None:
        return None
    made = bundle.inputs["model"]
    return store.read(made.asset, version.partition, made.version, kind)
