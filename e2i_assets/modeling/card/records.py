"""What a card is made of, and the card as it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2i_assets.cohorts.attrition import CohortResult
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.modeling.artifacts import Evaluated, Splits
from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.explanation.explain import Explanation
from e2i_assets.modeling.problems.base import Evaluation, Problem
from e2i_assets.modeling.scopes.scope import PredictiveScope
from e2i_assets.modeling.selection.candidate import ModelCandidate
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.modeling.tuning.study import TunedParams
from e2i_assets.quality.report import QCReport

CARD_FILE = "card.html"


@dataclass(frozen=True)
class CardRecords:
    """What a card is made of: what each stage published, and under which version and gates.

    Attributes:
        versions: asset to the data version that the model comes from.
        gates: asset to gate to whether it passed, of those versions.
        cells: how counts are told.
    """

    scope: PredictiveScope
    cohort: CohortConfig
    attrition: CohortResult
    quality: QCReport
    splits: Splits
    candidate: ModelCandidate
    tuned: TunedParams
    model: TrainedModel
    evaluated: Evaluated
    explanation: Explanation
    versions: Mapping[str, str]
    gates: Mapping[str, Mapping[str, bool]]
    cells: Cells

    @property
    def evaluation(self) -> Evaluation:
        """The figures of the model."""
        return self.evaluated.evaluation

    @property
    def problem(self) -> Problem:
        """What kind of question it answers."""
        return self.scope.problem


def require_evaluated(model_fingerprint: str, evaluated_fingerprint: str) -> None:
    """A card tells of one model: the published one must be the one that was evaluated.

    Raises:
        TrainingDataError: it is another one.
    """
    if evaluated_fingerprint != model_fingerprint:
        raise TrainingDataError(
            f"the published evaluation is of model {evaluated_fingerprint[:16]}, the published model is "
            f"{model_fingerprint[:16]}",
            "Materialize the evaluation of this model first.",
        )


@dataclass(frozen=True)
class ModelCard:
    """The page as it is kept, and of which model it is."""

    page: str
    model_fingerprint: str

    def save(self, folder: Path) -> None:
        """card.html and model.txt"""
        (folder / CARD_FILE).write_text(self.page, encoding="utf-8")
        (folder / "model.txt").write_text(self.model_fingerprint + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> ModelCard:
        """Read both files."""
        page = (folder / CARD_FILE).read_text(encoding="utf-8")
        return cls(page, (folder / "model.txt").read_text(encoding="utf-8").strip())
