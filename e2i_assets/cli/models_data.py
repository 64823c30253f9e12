"""Where `e2i models` finds published models, and whom it may tell of."""

from __future__ import annotations

from typing import Any

from e2i_assets.errors import E2IError
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.explanation.explain import RowExplanation, explain
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.partitions import cohort_config
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.settings import Settings


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
