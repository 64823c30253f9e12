"""A clean table, and the audit of it, for the tests of leakage."""

import numpy as np
import pandas as pd

from e2i_assets.contracts.variables import Variable
from e2i_assets.leakage import audit_leakage

N = 1200


def known(role="feature", available_at="index"):
    return Variable(role=role, available_at=available_at)


def frame(seed=3, n=N):
    """A clean table: an outcome of 35 %, one strong predictor (AUC about 0.9), noise, an id, an index date."""
    rng = np.random.default_rng(seed)
    severity = rng.normal(size=n)
    started = rng.random(n) < 1 / (1 + np.exp(-(3.2 * severity - 1.0)))
    return pd.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(n)],
            "index_date": pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D"),
            "severity": severity,
            "age": rng.integers(18, 90, n).astype(float),
            "region": rng.choice(["n", "s", "e", "w"], n),
            "smoker": rng.random(n) < 0.3,
            "ige": np.where(rng.random(n) < 0.3, np.nan, rng.lognormal(size=n)),
            "started": started.astype(int),
        }
    )


def audit(train, **kwargs):
    kwargs = {"id_column": "patient_id", "event_times": "index_date"} | kwargs
    report = audit_leakage(train, "started", **kwargs)
    assert report.ok == (not report.findings)
    return report


def leaks(train, **kwargs):
    return {(f.kind, f.column) for f in audit(train, **kwargs).findings}


def rng():
    return np.random.default_rng(11)


def splits(table):
    return table.iloc[:800].reset_index(drop=True), {
        "validation": table.iloc[800:1000].reset_index(drop=True),
        "test": table.iloc[1000:].reset_index(drop=True),
    }
