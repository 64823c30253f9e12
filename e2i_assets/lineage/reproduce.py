"""Whether a registered model can be made again from what was kept, by the code path of its stage.

Nothing is written: no artifact, no record, no MLflow run; no sealed split is opened.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from e2i_assets.assets import trained_model, uplift_model
from e2i_assets.assets.attribute_names import MLFLOW_RUN
from e2i_assets.assets.trained_model import fitted
from e2i_assets.assets.uplift_model import fitted_effect
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.errors import E2IError
from e2i_assets.lineage.trace import asset_of
from e2i_assets.modeling.artifacts import FittedPreprocessor, Splits
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.scopes.files import as_scope
from e2i_assets.modeling.scopes.problem_types import PROBLEMS
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.modeling.selection.candidate import ModelCandidate
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.modeling.tuning.study import TunedParams
from e2i_assets.modeling.uplift.estimate import EffectEstimate
from e2i_assets.modeling.uplift.model import UpliftModel
from e2i_assets.registry.ledger import Version
from e2i_assets.resources.store import ArtifactRefused, ArtifactStore
from e2i_assets.settings import Settings
from e2i_assets.stages.code_version import code_version, sources
from e2i_assets.storage.bundles import fetch
from e2i_assets.warehouse.queries.models import training_of
from e2i_assets.warehouse.queries.publications import Publication, code_modules, publication_with

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse

OF_A_PREDICTION: Mapping[str, type[Any]] = {
    "splits": Splits, "candidate": ModelCandidate, "preprocessor": FittedPreprocessor, "tuned": TunedParams,
}  # fmt: skip
OF_AN_EFFECT: Mapping[str, type[Any]] = {"splits": Splits, "cohort": Cohort, "estimate": EffectEstimate}
"""Inputs of a trained model, by the stage's names for them."""
SAME_TO = 1e-9
"""Relative difference that figures of the same model may have: the order of a sum may depend on threads."""


class NotReproducible(E2IError, RuntimeError):
    """What a model is to be made again from is not there; the message says what."""

    code = "not_reproducible"
    exit_code = 1


@dataclass(frozen=True)
class Changes:
    """What is another than it was when a model was trained.

    Attributes:
        code_then, code_now: code versions of the stage; `code_then` is None where it is not on record.
        modules: those whose source has changed, came or went; None where it is not on record which.
        libraries: name to the version then and now, of those that its bundle lists.
    """

    code_then: str | None
    code_now: str
    modules: tuple[str, ...] | None
    libraries: Mapping[str, tuple[str, str | None]]

    @property
    def code(self) -> bool:
        """Whether other code than today's trained the model, as far as it is on record."""
        return self.code_then is not None and self.code_then != self.code_now


@dataclass(frozen=True)
class Figure:
    """A figure as it was recorded, and as it was found again; None where there is none."""

    recorded: float | None
    again: float | None

    @property
    def same(self) -> bool:
        """Whether they are equal."""
        if self.recorded is None or self.again is None:
            return self.recorded is self.again
        return math.isclose(self.recorded, self.again, rel_tol=SAME_TO, abs_tol=1e-12) or (
            math.isnan(self.recorded) and math.isnan(self.again)
        )


@dataclass(frozen=True)
class Reproduction:
    """A model that was made again beside the registered one.

    Attributes:
        made_of: version of each input.
        recorded, again: fingerprints.
        metrics: of train and validation.
        differences: facts of the model that are not as they were; none where the stored one is gone.
    """

    version: Version
    changes: Changes
    made_of: Mapping[str, str]
    recorded: str
    again: str
    metrics: Mapping[str, Figure]
    differences: tuple[str, ...]

    @property
    def same_model(self) -> bool:
        """Whether the fingerprints are equal."""
        return self.recorded == self.again

    @property
    def same_metrics(self) -> bool:
        """Whether all figures are equal."""
        return all(figure.same for figure in self.metrics.values())

    @property
    def equal(self) -> bool:
        """Whether it is the same model with the same figures."""
        return self.same_model and self.same_metrics


class Reproducer:
    """Makes registered models again."""

    def __init__(self, here: Settings, warehouse: Warehouse, store: ArtifactStore) -> None:
        self._here, self._warehouse, self._store = here, warehouse, store

    def changes(self, version: Version) -> Changes:
        """What is another than it was when the model was trained; takes no time."""
        module = (trained_model if version.problem_type in PROBLEMS else uplift_model).__name__
        trained = self._trained(version)
        then = None if trained is None else trained.code
        recorded = None if then is None else code_modules(self._warehouse, then)
        now = sources(module)
        modules = None
        if recorded is not None:
            modules = tuple(sorted(n for n in recorded.keys() | now.keys() if recorded.get(n) != now.get(n)))
        return Changes(then, code_version(module), modules, dict(_libraries(self._requirements(version))))

    def reproduce(self, version: Version, *, on_step: Callable[[str], None] = lambda _: None) -> Reproduction:
        """Make a model again and compare.

        Raises:
            NotReproducible: an input is not stored any more, or not known.
            ArtifactRefused: an input is damaged, or cannot be unsealed.
            TrainingDataError: its data cannot be trained on.
        """
        training = training_of(self._warehouse, version.partition, version.scope, version.model_fingerprint)
        if training is None:
            raise NotReproducible(
                f"model {version.model_fingerprint[:16]} of {version.title} is not on record as trained",
                "Only the database it was registered in can say what it was made of.",
            )
        scope, cells = self._configuration(version)
        kinds = OF_AN_EFFECT if isinstance(scope, CausalScope) else OF_A_PREDICTION
        made_of = {name: str(training.data_versions[name]) for name in kinds}
        inputs = {}
        for name, kind in kinds.items():
            on_step(f"reading {name}")
            inputs[name] = self._read(version, asset_of(version.scope, name), made_of[name], kind)
        on_step("fitting")
        again: TrainedModel | UpliftModel
        if isinstance(scope, CausalScope):
            again = fitted_effect(
                scope, minimum_cell_count=cells, **inputs,
                on_learner=lambda name: on_step(f"fitted {name}"),
            )  # fmt: skip
        else:
            again = fitted(scope, **inputs)
        on_step("comparing")
        names = dict.fromkeys([*training.metrics, *again.metrics])
        return Reproduction(
            version,
            self.changes(version),
            made_of,
            version.model_fingerprint,
            again.fingerprint,
            {name: Figure(training.metrics.get(name), again.metrics.get(name)) for name in names},
            tuple(self._differences(version, again)),
        )

    def _trained(self, version: Version) -> Publication | None:
        of_run = {MLFLOW_RUN: version.mlflow_run_id}
        return publication_with(self._warehouse, f"{version.scope}/trained_model", version.partition, of_run)

    def _configuration(self, version: Version) -> tuple[Scope, int]:
        """The scope as it was when the model was trained, and the smallest cell then.

        Raises:
            NotReproducible: it is not on record, or not in a form that this release reads.
        """
        trained = self._trained(version)
        if trained is None:
            raise NotReproducible(
                f"with which configuration {version.title} was trained is not on record",
                "An earlier release kept no record of it: train the model again, and register that.",
            )
        # A prediction's is the scope alone.
        document = trained.config.get("scope", trained.config)
        cells = trained.config.get("minimum_cell_count", 0)
        try:
            return as_scope(document), cells
        except ValidationError:
            raise NotReproducible(
                f"the scope {version.scope} as it was when {version.title} was trained is in a form that "
                "this release does not read",
                "Use the release that trained it.",
            ) from None

    def _read(self, version: Version, asset: str, stored: str, kind: type[Any]) -> Any:
        if not self._store.holds(asset, version.partition, stored):
            raise NotReproducible(
                f"{version.title} was made of {asset} {stored}, whose files are not stored any more",
                "Bring them back from a backup; of what is registered `e2i prune` removes nothing.",
            )
        return self._store.read(asset, version.partition, stored, kind)

    def _requirements(self, version: Version) -> dict[str, str]:
        """Libraries that the version's bundle lists, with their versions: none where it is gone, and what can
        be read where it is damaged, as it decides nothing of the model.
        """
        file = (
            fetch(self._here, version.bento_tag, version.files_hash) / "env" / "python" / "requirements.txt"
        )
        if not file.is_file():
            return {}
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        pinned = (line.partition("==") for line in lines)
        return {name.strip(): then.strip() for name, _, then in pinned if name.strip() and then.strip()}

    def _differences(self, version: Version, again: TrainedModel | UpliftModel) -> Iterator[str]:
        trained = self._trained(version)
        asset = f"{version.scope}/trained_model"
        if trained is None or not self._store.holds(asset, version.partition, trained.version):
            return
        try:
            before = self._store.read(asset, version.partition, trained.version, type(again))
        except ArtifactRefused as error:
            yield f"the stored model cannot be read: {error.summary}"
            return
        now = vars(again)
        for name, value in vars(before).items():
            if name in ("pipeline", "_pickle", "fingerprint", "metrics") or value == now[name]:
                continue
            yield f"{name}: {_short(value)}, and again {_short(now[name])}"


def _libraries(then: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """Those that are not installed in the version that they were in."""
    for name, version in then.items():
        try:
            now: str | None = installed(name)
        except PackageNotFoundError:
            now = None
        if now != version:
            yield name, (version, now)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
