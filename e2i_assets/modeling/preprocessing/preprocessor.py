"""From the raw feature frame to what an estimator takes; scikit-learn's own classes only.

So the fitted object travels inside a bundle and loads where this package is not installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from e2i_assets.cohorts.small_cells import MINIMUM_CELL_COUNT
from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.data import require_features
from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.preprocessing.target_encoding import ENCODED, fit_with_target, target_steps

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer

MISSING = "\x00missing"
"""The level that stands for a categorical value that is not there; no text of a database holds a NUL."""
POOLED = "\x00pooled"
"""Names the column of all levels that are not kept: no row has it, so the encoder takes it for infrequent."""
MINIMUM_LEVEL = 0.02
"""A level rarer than this share of train is pooled with the other rare ones and those never seen in train."""
FEW_LEVELS = 20
"""A feature of more levels than this is encoded by the target: on real tables of 22 to 121 levels that was as
good as one-hot or better, by up to 0.011 AUC."""
MAX_LEVELS = 50
"""Where there is no target to encode by, so many of the most frequent levels are kept, however small their
share."""


def make_preprocessor(
    features: Sequence[Feature],
    levels: Mapping[str, Sequence[str]],
    *,
    encoded: Sequence[str] = (),
    classes: bool = True,
) -> ColumnTransformer:
    """The unfitted transformation of these features; `levels` are those that are kept, by feature.

    Numeric: median, an indicator where train has gaps, standardised. Categorical: what is missing as a level
    of its own, one-hot, all other levels together; those `encoded` by statistics of the target, `classes` or
    numbers, in place of one-hot. Boolean (0/1/NaN): the more frequent value.
    A feature without any value in train becomes a constant.

    Raises:
        TrainingDataError: no features, or a name given twice.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    names = [f.name for f in features]
    if not names or len(set(names)) != len(names):
        raise TrainingDataError(
            f"{len(names)} features, {len(set(names))} different names; both must be equal"
        )
    # Nulls arrive as NaN from Parquet and as None from JSON; an imputer knows one of them.
    absent = [
        SimpleImputer(missing_values=null, strategy="constant", fill_value=MISSING, keep_empty_features=True)
        for null in (np.nan, None)
    ]
    columns: dict[str, list[str]] = {"numeric": [], "categorical": [], ENCODED: [], "boolean": []}
    for feature in features:
        columns[ENCODED if feature.name in encoded else feature.kind].append(feature.name)
    kinds = {
        "numeric": make_pipeline(
            # Each step works in its input, which is the copy that the transformer makes of a frame's columns.
            SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True, copy=False),
            StandardScaler(copy=False),
        ),
        "categorical": make_pipeline(
            *absent,
            OneHotEncoder(
                categories=[[*levels[name], POOLED] for name in columns["categorical"]],
                handle_unknown="infrequent_if_exist",
                min_frequency=1,
                sparse_output=False,
            ),
        ),
        ENCODED: make_pipeline(
            *absent, *target_steps([levels[name] for name in columns[ENCODED]], classes=classes)
        ),
        "boolean": SimpleImputer(strategy="most_frequent", keep_empty_features=True),
    }
    return ColumnTransformer(
        [(kind, kinds[kind], columns[kind]) for kind in kinds if columns[kind]], sparse_threshold=0
    )


def fit_preprocessor(
    train: pd.DataFrame,
    features: Sequence[Feature],
    *,
    y: np.ndarray | None = None,
    classes: bool = True,
    patients: np.ndarray | None = None,
    minimum_cell_count: int = MINIMUM_CELL_COUNT,
) -> ColumnTransformer:
    """Fit the transformation on the training split, and on nothing else.

    Args:
        y: the target of each row, by which categorical features of more than `FEW_LEVELS` levels are encoded;
            what an estimator is then fitted on is `target_encoding.training_matrix`. Left out, all but the
            most frequent levels are taken together.
        classes: whether the target is of classes, and not of numbers.
        patients: the patient of each row; every row is a patient where they are left out.
        minimum_cell_count: patients below whom a level is pooled. The fitted object does not hold its name.

    Returns:
        A fitted `ColumnTransformer` that takes any frame with these features, in any column order.

    Raises:
        TrainingDataError: a feature is not a column of `train` or is no number, or `train` is empty.
    """
    require_features("train", train, features)
    if train.empty:
        raise TrainingDataError("train: no rows to fit the preprocessor on")
    patients = np.arange(len(train)) if patients is None else patients
    categorical = [f.name for f in features if f.kind == "categorical"]
    counts = {name: _patients_of_levels(train[name], patients) for name in categorical}
    encoded = [
        name
        for name in categorical
        if y is not None and len(counts[name]) > FEW_LEVELS and counts[name].max() >= minimum_cell_count
    ]
    frequent = {
        name: _levels_of(counts[name], minimum_cell_count)
        if name in encoded
        else _one_hot_levels(counts[name], len(np.unique(patients)), minimum_cell_count)
        for name in categorical
    }
    levels = {
        name: sorted(_pooled_enough(train[name], frequent[name], patients, minimum_cell_count))
        for name in categorical
    }
    unfitted = make_preprocessor(features, levels, encoded=encoded, classes=classes)
    names = [f.name for f in features]
    X = train if list(train) == names else train[names]
    return fit_with_target(unfitted, X, y, patients) if y is not None and encoded else unfitted.fit(X)


def _named(values: pd.Series) -> np.ndarray:
    return values.astype(object).where(values.notna(), MISSING).to_numpy()


def _patients_of_levels(values: pd.Series, patients: np.ndarray) -> pd.Series:
    return pd.Series(patients).groupby(_named(values)).nunique()


def _pooled_enough(
    values: pd.Series, levels: Sequence[str], patients: np.ndarray, minimum_cell_count: int
) -> Sequence[str]:
    """The levels but for the rarest, so many that the patients of all pooled ones are none or enough.

    A column, or a statistic of the target, tells of those who are pooled as it does of a level.
    """
    named = _named(values)
    for end in range(len(levels), 0, -1):
        pooled = len(np.unique(patients[~np.isin(named, levels[:end])]))
        if pooled == 0 or pooled >= minimum_cell_count:
            return levels[:end]
    return ()


def _levels_of(counts: pd.Series, least: float) -> list[str]:
    """Those of so many patients, the most frequent first."""
    frequent = counts[counts.ge(least)].sort_values(ascending=False, kind="stable")
    return [str(level) for level in frequent.index]


def _one_hot_levels(counts: pd.Series, patients: int, minimum_cell_count: int) -> list[str]:
    """Those that become a column of their own, the most frequent first."""
    share = MINIMUM_LEVEL * patients if len(counts) <= MAX_LEVELS else 0.0
    return _levels_of(counts, max(float(minimum_cell_count), share))[:MAX_LEVELS]


def preprocessor_summary(preprocessor: ColumnTransformer) -> dict[str, Any]:
    """What the preprocessor learnt, as plain JSON types.

    Returns:
        `n_samples_seen` (None where no feature is numeric), `n_outputs`, and per kind the features with
        `median`, `mean`, `scale` and `has_gaps`; the `levels` that are not pooled, and whether they are
        `encoded` by the target; or the `fill` value.
    """
    fitted = preprocessor.named_transformers_
    columns = {name: list(cols) for name, _, cols in preprocessor.transformers_}
    summary: dict[str, Any] = {
        "n_samples_seen": None,
        "n_outputs": len(preprocessor.get_feature_names_out()),
    }
    if "numeric" in columns:
        imputer, scaler = (step for _, step in fitted["numeric"].steps)
        gaps = set(imputer.indicator_.features_.tolist())
        summary["n_samples_seen"] = int(np.max(scaler.n_samples_seen_))
        summary["numeric"] = {
            name: {
                "median": float(imputer.statistics_[i]),
                "mean": float(scaler.mean_[i]),
                "scale": float(scaler.scale_[i]),
                "has_gaps": i in gaps,
            }
            for i, name in enumerate(columns["numeric"])
        }
    for kind, step in (("categorical", "onehotencoder"), (ENCODED, "ordinalencoder")):
        if kind in columns:
            categories = fitted[kind].named_steps[step].categories_
            summary.setdefault("categorical", {}).update(
                (
                    name,
                    {
                        "levels": [str(level) for level in categories[i] if level not in (MISSING, POOLED)],
                        "encoded": kind == ENCODED,
                    },
                )
                for i, name in enumerate(columns[kind])
            )
    if "boolean" in columns:
        fills = fitted["boolean"].statistics_
        summary["boolean"] = {n: {"fill": float(fills[i])} for i, n in enumerate(columns["boolean"])}
    return summary


def sources_of(preprocessor: ColumnTransformer) -> list[str]:
    """The feature behind each output column, in output order; a fitted preprocessor is needed."""
    sources: list[str] = []
    for kind, transformer, columns in preprocessor.transformers_:
        if kind == "numeric":
            imputer = transformer.steps[0][1]
            sources += [*columns, *(columns[i] for i in imputer.indicator_.features_)]
        elif kind == "categorical":
            encoder = transformer.steps[-1][1]
            for i, column in enumerate(columns):
                sources += [column] * len(encoder.categories_[i])
        elif kind == ENCODED:  # of more than two classes one output for each
            outputs = preprocessor.output_indices_[kind]
            width = (outputs.stop - outputs.start) // len(columns)
            sources += [column for column in columns for _ in range(width)]
        else:
            sources += columns
    return sources
