"""Where `e2i models card` finds a card."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from e2i_assets.errors import E2IError
from e2i_assets.modeling.card.records import CARD_FILE, ModelCard
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.partitions import cohort_configs
from e2i_assets.resources.pages import PAGES
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.settings import Settings

BEGINNING = re.compile(r"[0-9a-f]{4,64}")


class NoCard(E2IError, ValueError):
    """A name that stands for no card, or for several."""

    code = "no_card"


@dataclass(frozen=True)
class StoredCard:
    """A card, and where it is."""

    asset: str
    partition: str
    version: str
    location: str
    card: ModelCard

    @property
    def model(self) -> str:
        """The beginning of its model's fingerprint."""
        return self.card.model_fingerprint[:16]

    @property
    def link(self) -> str:
        """Path of the page where `e2i up` serves it."""
        return f"{PAGES}/{self.asset}/{self.partition}/{self.version}/{CARD_FILE}"

    def document(self) -> dict[str, str]:
        """Which card it is and where, as plain JSON types."""
        return {
            "asset": self.asset,
            "partition": self.partition,
            "version": self.version,
            "model": self.card.model_fingerprint,
            "location": self.location,
            "page": self.link,
        }


def card_of(here: Settings, name: str) -> StoredCard:
    """The published card of `scope/partition`, or that of a version or model fingerprint.

    Raises:
        NoCard: there is none, or the beginning is that of more than one.
    """
    store = open_store(here)
    scope, slash, partition = name.partition("/")
    if slash:
        asset = f"{scope}/model_card"
        known = scope in load_scopes(here.config_dir / "scopes") and partition in cohort_configs(
            here.config_dir
        )
        published = store.current(asset, partition) if known else None
        if published is None:
            raise NoCard(
                f"there is no card of {name}",
                f"`e2i materialize -p {partition}` makes one." if known else "Give a scope and a partition.",
            )
        return _stored(store, asset, partition, published.version)
    if not BEGINNING.fullmatch(name):
        raise NoCard(f"{name} is no version", "Give at least four of its hexadecimal digits.")
    cards = {card.version: card for card in _all(here, store) if _is(card, name)}
    if len(cards) != 1:
        raise NoCard(
            f"{len(cards)} cards have a version or a model that begins with {name}",
            "Give more of its digits." if cards else "SCOPE/PARTITION names the published one.",
        )
    return next(iter(cards.values()))


def _all(here: Settings, store: ArtifactStore) -> Iterator[StoredCard]:
    for scope in load_scopes(here.config_dir / "scopes"):
        for partition in cohort_configs(here.config_dir):
            for version in store.versions(f"{scope}/model_card", partition):
                yield _stored(store, f"{scope}/model_card", partition, version)


def _stored(store: ArtifactStore, asset: str, partition: str, version: str) -> StoredCard:
    location = f"{store.locate(asset, partition, version)}/{CARD_FILE}"
    return StoredCard(asset, partition, version, location, store.read(asset, partition, version, ModelCard))


def _is(stored: StoredCard, beginning: str) -> bool:
    return stored.version.startswith(beginning) or stored.card.model_fingerprint.startswith(beginning)
