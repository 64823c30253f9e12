"""A small fitted pipeline with every kind of feature, missing values included, for the tests of serving."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from e2i_assets.contracts.variables import Feature, FeatureKind

LEVELS = {"region": ["north", "south"]}
USUAL = {"age": (20.0, 80.0), "uas7": (0.0, 42.0)}
ROW: dict[str, Any] = {"age": 50, "uas7": 20.5, "region": "north", "biologic": True}


def feature(
    name: str, kind: FeatureKind, unit: str | None = None, description: str = "", **facts: Any
) -> Feature:
    return Feature(name=name, kind=kind, unit=unit, description=description, source="a table", **facts)


FEATURES = (
    feature("age", "numeric", "years", "Age at diagnosis", low=0, high=120),
    feature("uas7", "numeric", "0-42", "Weekly urticaria activity"),
    feature("region", "categorical", None, "Region of the practice"),
    feature("biologic", "boolean", None, "Has had a biologic"),
)


def toy_data(rows: int = 300) -> tuple[pd.DataFrame, np.ndarray]:
    """Features as the feature set has them (float64 and object, a tenth missing) and a 0/1 outcome."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "age": rng.normal(50, 10, rows),
            "uas7": rng.integers(0, 43, rows).astype(float),
            "region": rng.choice(np.array(["north", "south"], dtype=object), rows),
            "biologic": rng.integers(0, 2, rows).astype(float),
        }
    )
    outcome = (rng.random(rows) < 1 / (1 + np.exp(-(frame["uas7"] - 20) / 8))).astype(int).to_numpy()
    for column in frame:
        frame.loc[rng.random(rows) < 0.1, column] = None if column == "region" else np.nan
    return frame, outcome


def toy_pipeline(estimator: BaseEstimator, *, handle_unknown: str = "ignore") -> Pipeline:
    """Imputation, scaling and encoding in front of `estimator`, fitted on the toy data."""
    numeric = Pipeline([("impute", SimpleImputer(add_indicator=True)), ("scale", StandardScaler())])
    categorical = Pipeline(
        [
            ("impute", SimpleImputer(missing_values=None, strategy="most_frequent")),
            ("encode", OneHotEncoder(handle_unknown=handle_unknown)),
        ]
    )
    columns = [("numeric", numeric, ["age", "uas7", "biologic"]), ("categorical", categorical, ["region"])]
    return Pipeline([("prepare", ColumnTransformer(columns)), ("model", estimator)]).fit(*toy_data())
