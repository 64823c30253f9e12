"""What ours is compared with, as somebody would write it in an hour: each has train and validation to learn from."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

FLAML_FIT = Path(__file__).with_name("flaml_fit.py")

Rival = Callable[[pd.DataFrame, np.ndarray, pd.DataFrame, bool], np.ndarray]
"""(X, y, X of test, whether the outcome is 0/1) to the predictions on test."""


def plain(X: pd.DataFrame, y: np.ndarray, X_test: pd.DataFrame, binary: bool) -> np.ndarray:
    """Logistic or ridge regression with scikit-learn's defaults: imputed, scaled, one-hot."""
    columns = make_column_transformer(
        (
            make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
            make_column_selector(dtype_exclude=object),
        ),
        (
            make_pipeline(
                SimpleImputer(missing_values=None, strategy="constant", fill_value="missing"),
                OneHotEncoder(handle_unknown="ignore"),
            ),
            make_column_selector(dtype_include=object),
        ),
    )
    return _predicted(
        make_pipeline(columns, LogisticRegression(max_iter=5000) if binary else Ridge()), X, y, X_test
    )


def boosting(X: pd.DataFrame, y: np.ndarray, X_test: pd.DataFrame, binary: bool) -> np.ndarray:
    """scikit-learn's histogram boosting with its defaults; categories as numbers."""
    columns = make_column_transformer(
        (
            OrdinalEncoder(
                handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan
            ),
            make_column_selector(dtype_include=object),
        ),
        remainder="passthrough",
    )
    model = HistGradientBoostingClassifier if binary else HistGradientBoostingRegressor
    return _predicted(make_pipeline(columns, model(random_state=0)), X, y, X_test)


def _predicted(model: Any, X: pd.DataFrame, y: np.ndarray, X_test: pd.DataFrame) -> np.ndarray:
    model.fit(X, y)
    return model.predict_proba(X_test)[:, 1] if hasattr(model, "predict_proba") else model.predict(X_test)


def flaml(
    X: pd.DataFrame,
    y: np.ndarray,
    X_test: pd.DataFrame,
    binary: bool,
    *,
    python: str,
    seconds: float,
    folder: Path,
) -> tuple[np.ndarray, float]:
    """FLAML in an environment of its own, which `python` is of; predictions and its CPU seconds."""
    X.assign(outcome=y).to_parquet(folder / "train.parquet")
    X_test.to_parquet(folder / "test.parquet")
    subprocess.run(
        [python, "-W", "ignore", str(FLAML_FIT), str(folder), "classification" if binary else "regression", str(seconds)],
        check=True, capture_output=True, timeout=20 * seconds + 300,
    )  # fmt: skip
    done = np.load(folder / "flaml.npz")
    return done["prediction"], float(done["cpu"])
