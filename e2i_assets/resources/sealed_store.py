"""The artifact store of an installation: what would put test and holdout together again is sealed in it."""

from __future__ import annotations

from e2i_assets.resources.store import ArtifactStore
from e2i_assets.resources.vault import VaultSeal
from e2i_assets.settings import Settings


def open_store(settings: Settings) -> ArtifactStore:
    """The store at `E2I_ARTIFACTS`, with the key of the vault."""
    return ArtifactStore(settings.artifacts_url, VaultSeal(settings))
