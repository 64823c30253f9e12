"""What `e2i models` finds among stored artifacts: cards, figures with intervals, one patient's prediction."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from e2i_assets.errors import E2IError
from e2i_assets.modeling.artifacts import Evaluated, Splits
from e2i_assets.modeling.card.records import CARD_FILE, ModelCard
from e2i_assets.modeling.explanation.explain import RowExplanation, explain
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.modeling.scopes.problem_types import PROBLEMS
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.modeling.uplift.evaluation import UpliftEvaluated
from e2i_assets.partitions import cohort_config, cohort_configs
from e2i_assets.registry.ledger import Version
from e2i_assets.resources.pages import PAGES
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.settings import Settings

BEGINNING = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True)
class Figure:
    """A figure of a registered version, with the ends of its 95 % interval where it has one."""

    value: float | None
    low: float | None = None
    high: float | None = None


def figures_of(here: Settings, version: Version) -> dict[str, Figure]:
    """What a version was registered with, by the names that rules have for it; of an effect also the effect.

    Intervals are those of its evaluation; where that is not stored any more there are none.
    """
    evaluated = _evaluation_of(here, version)
    problem = PROBLEMS.get(version.problem_type)
    figures = {name: Figure(value) for name, value in version.metrics.items()}
    if isinstance(evaluated, Evaluated) and problem is not None:
        intervals = evaluated.evaluation.intervals.get("test", {})
        for name, figure in figures.items():
            if (ends := intervals.get(problem.criteria[name])) is not None:
                figures[name] = Figure(figure.value, *ends)
    elif isinstance(evaluated, UpliftEvaluated):
        effect, test = evaluated.evaluation.published, evaluated.evaluation.average
        figures["effect"] = Figure(effect.estimate, effect.low, effect.high)
        figures["effect_on_test"] = Figure(test.value, test.low, test.high)
    return figures


def _evaluation_of(here: Settings, version: Version) -> Evaluated | UpliftEvaluated | None:
    store, asset = open_store(here), f"{version.scope}/evaluation"
    kind: type[Any] = Evaluated if version.problem_type in PROBLEMS else UpliftEvaluated
    for stored in store.versions(asset, version.partition):
        evaluated: Evaluated | UpliftEvaluated = store.read(asset, version.partition, stored, kind)
        if evaluated.model_fingerprint == version.model_fingerprint:
            return evaluated
    return None


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
        published = store.current(asset, partition) if partition in store.partitions(asset) else None
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
        for partition in store.partitions(f"{scope}/model_card"):
            for version in store.versions(f"{scope}/model_card", partition):
                yield _stored(store, f"{scope}/model_card", partition, version)


def _stored(store: ArtifactStore, asset: str, partition: str, version: str) -> StoredCard:
    location = f"{store.locate(asset, partition, version)}/{CARD_FILE}"
    return StoredCard(asset, partition, version, location, store.read(asset, partition, version, ModelCard))


def _is(stored: StoredCard, beginning: str) -> bool:
    return stored.version.startswith(beginning) or stored.card.model_fingerprint.startswith(beginning)


class NotShown(E2IError, ValueError):
    """There is no such model or patient, or the patient's row is not to be seen."""

    code = "not_shown"
    exit_code = 1


def explained(here: Settings, scope: str, partition: str, patient: str) -> list[RowExplanation]:
    """The prediction of each journey of a patient of train or validation, taken apart.

    Raises:
        NotShown: no model is published, or there is no such patient in train or validation.
    """
    cohort_config(here.config_dir, partition)
    if isinstance(load_scopes(here.config_dir / "scopes").get(scope), CausalScope):
        raise NotShown(
            f"{scope} tells effects: there is no prediction of a patient to take apart.",
            f"Look at the segments of {scope}/trained_model, or ask the bundle for the patient's effect.",
        )
    model: TrainedModel = _published(here, f"{scope}/trained_model", partition, TrainedModel)
    splits: Splits = _published(here, "splits", partition, Splits)
    split = dict(zip(splits.assigned["patient_id"], splits.assigned["split"], strict=True)).get(patient)
    if split not in ("train", "validation"):
        # Whether a patient is of test, or of holdout, is sealed like their rows.
        raise NotShown(
            "the patient is not of train or validation, whose rows alone are shown.",
            "Name another patient: rows of test and holdout are sealed.",
        )
    frame = splits.train if split == "train" else splits.validation
    features = list(model.features)
    if absent := sorted(set(features) - set(frame.columns)):
        raise NotShown(
            f"the published splits lack {', '.join(absent)}, which the model was trained with.",
            f"Materialize {scope}/trained_model again.",
        )
    rows = frame.loc[frame["patient_id"] == patient, features]
    return [explain(model, rows.iloc[[i]], splits.train[features]) for i in range(len(rows))]


def _published(here: Settings, asset: str, partition: str, kind: type[Any]) -> Any:
    store = open_store(here)
    current = store.current(asset, partition)
    if current is None:
        raise NotShown(
            f"{asset} of {partition} is not published.",
            f"Run `e2i materialize --partition {partition}`, or name a scope that the partition serves.",
        )
    return store.read(asset, partition, current.version, kind)
