"""Fail closed: the leakage gate."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from e2i_assets.contracts.variables import Variable
from e2i_assets.gates.splits import SplitResult
from e2i_assets.leakage import LeakageReport, audit_leakage
from e2i_assets.modeling import SplitEnforcer
from e2i_assets.modeling.splits.assignment import Stability
from e2i_assets_tests.unit.fail_closed import EXCEPTION, Case, Cases

SIZES = {"train": 600, "validation": 200, "test": 150, "holdout": 50}
DECLARED = ("severity", "age")
"""Features with a contract; the third is judged by its name, for which the data are asked with SciPy."""
EVENING = pd.Timestamp("2023-05-01T20:00", tz="UTC")


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    n = sum(SIZES.values())
    return pd.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(n)],
            "index_date": EVENING,
            "severity": rng.normal(size=n),
            "age": rng.integers(18, 90, n),
            "pfs_days": rng.integers(1, 700, n),
            "started": rng.integers(0, 2, n),
        }
    )


def audited(table: pd.DataFrame) -> SplitResult:
    """As the stage makes it."""
    bounds = np.cumsum([0, *SIZES.values()])
    splits = {name: table.iloc[a:b] for name, a, b in zip(SIZES, bounds[:-1], bounds[1:], strict=True)}
    report = audit_leakage(
        splits.pop("train"),
        "started",
        id_column="patient_id",
        contract={name: Variable(available_at="index") for name in DECLARED},
        event_times="index_date",
        other_splits=splits,
    )
    return made(report)


def made(*reports: LeakageReport) -> SplitResult:
    valid = SplitEnforcer().validate_splits(
        **{f"{name}_df": pd.DataFrame({"patient_id": [name]}) for name in ("train", "val", "test", "holdout")}
    )
    return SplitResult(valid, {report.target: report for report in reports}, Stability(0, 0, 0))


def half_looked() -> SplitResult:
    (report,) = audited(frame()).leakage.values()
    return made(replace(report, examined={**report.examined, "contamination": 0}))


TOKYO = frame().assign(seen=EVENING.tz_convert("Asia/Tokyo") + pd.Timedelta(minutes=1))
CASES: Cases = {
    "no_leakage": {
        "missing column": Case(partial(audited, frame().drop(columns="started")), "missing_column"),
        "missing library": Case(partial(audited, frame()), "missing_library", without="scipy"),
        "exception inside": EXCEPTION,
        "empty input": Case(partial(audited, frame().head(0)), "empty_input"),
        "all-null column": Case(partial(audited, frame().assign(age=np.nan)), "column_not_judged"),
        "one row": Case(partial(audited, frame().head(1)), "empty_input"),
        "wrong time zone": Case(partial(audited, TOKYO), "leakage"),
        "nothing evaluated": Case(half_looked, "nothing_evaluated"),
    }
}
