"""A row that is typical and nobody's: of levels that are not rare, and of the middle of usual values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.preprocessing.preprocessor import preprocessor_summary


def known_levels(preprocessor: Any) -> dict[str, list[str]]:
    """The levels of each categorical feature that the preprocessor kept, which are none of a few patients."""
    seen = preprocessor_summary(preprocessor).get("categorical", {})
    return {name: list(seen[name]["levels"]) for name in seen}


def usual_values(train: pd.DataFrame, names: Sequence[str], cell: int) -> dict[str, tuple[float, float]]:
    """Between which values all but the `cell` - 1 lowest and the `cell` - 1 highest patients are.

    So that no end is the value of one patient alone; to three digits. A feature that fewer than 2 * `cell`
    patients have is left out.
    """
    of_patients = train.groupby("patient_id")[list(names)]
    lowest, highest, known = of_patients.min(), of_patients.max(), of_patients.count().gt(0).sum()
    return {
        name: (
            float(f"{lowest[name].nsmallest(cell).iloc[-1]:.3g}"),
            float(f"{highest[name].nlargest(cell).iloc[-1]:.3g}"),
        )
        for name in names
        if known[name] >= 2 * cell
    }


def example_features(
    features: Sequence[Feature],
    levels: Mapping[str, Sequence[str]],
    usual: Mapping[str, tuple[float, float]],
) -> dict[str, Any]:
    """Features of a request that is answered without a warning; made of ranges and levels, of no patient."""

    def example(feature: Feature) -> Any:
        if feature.kind == "boolean":
            return False
        if feature.kind == "categorical":
            return next(iter(levels.get(feature.name, ())), None)
        low, high = usual.get(feature.name, (None, None))
        if low is None or high is None:
            return None
        whole = feature.integer or (low.is_integer() and high.is_integer())
        return int(low + high) // 2 if whole else float(f"{(low + high) / 2:.4g}")

    return {feature.name: example(feature) for feature in features}


def example_frame(
    preprocessor: Any, train: pd.DataFrame, features: Sequence[Feature], cell: int
) -> pd.DataFrame:
    """One such row as the pipeline takes it; what is not known of enough patients is missing.

    Args:
        train: with `patient_id`.
        features: of the pipeline.
        cell: see `usual_values`.
    """
    numeric = [feature.name for feature in features if feature.kind == "numeric"]
    row = example_features(features, known_levels(preprocessor), usual_values(train, numeric, cell))
    kinds = {f.name: object if f.kind == "categorical" else float for f in features}
    names = [str(name) for name in preprocessor.feature_names_in_]
    return pd.DataFrame([row]).astype(kinds)[names]
