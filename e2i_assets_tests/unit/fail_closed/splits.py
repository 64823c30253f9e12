"""Fail closed: the gates of the splits. Frames go the way of the asset: divided, judged, compared."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from e2i_assets.gates.splits import SplitResult
from e2i_assets.modeling import SplitEnforcer
from e2i_assets.modeling.splits.assignment import Stability, compare_assignments, divide
from e2i_assets_tests.unit.fail_closed import EXCEPTION, Case, Cases

SIZE = 200
NOBODY = pd.DataFrame({"patient_id": pd.Series(dtype=object), "split": pd.Series(dtype=object)})
ZONES = [pd.Timestamp("2024-01-01", tz=zone) for zone in ("UTC", "Asia/Tokyo")] * (SIZE // 2)
NAMES = ("train_df", "val_df", "test_df", "holdout_df")


def rows(**changes: Any) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(SIZE)],
            "index_date": pd.date_range("2023-01-01", periods=SIZE),
            "started": np.tile([0.0, 1.0], SIZE // 2),
        }
    )
    return table.assign(**changes)


def made(table: pd.DataFrame, before: pd.DataFrame = NOBODY, order: Any = "random") -> SplitResult:
    divided = divide(table, NOBODY, targets=["started"], order=order, time_column="index_date", seed=1)
    return SplitResult(divided.validation, {}, compare_assignments(before, divided.assigned))


def judged(*frames: pd.DataFrame, **wanted: Any) -> SplitResult:
    """Splits that come from elsewhere."""
    return SplitResult(SplitEnforcer().validate_splits(*frames, **wanted), {}, Stability(0, 0, 0))


def four(table: pd.DataFrame) -> list[pd.DataFrame]:
    bounds = [0, *(int(share * len(table)) for share in (0.6, 0.8, 0.95, 1))]
    return [table.iloc[a:b] for a, b in pairwise(bounds)]


def without_pandas() -> SplitResult:
    """The one library that splitting needs."""
    from pandas import DataFrame

    return judged(*[DataFrame()] * 4)


RATIOS = {
    "missing column": Case(partial(judged, *four(rows().drop(columns="patient_id"))), "missing_column"),
    "missing library": Case(without_pandas, "missing_library", without="pandas"),
    "exception inside": EXCEPTION,
    "empty input": Case(partial(judged, *four(rows().head(0))), "too_few_patients"),
    "all-null column": Case(partial(judged, *four(rows(started=np.nan)), targets=["started"]), "one_class"),
    "one row": Case(partial(made, rows().head(1)), "too_few_patients"),
    "wrong time zone": Case(
        partial(judged, *four(rows(index_date=ZONES)), time_column="index_date"), "bad_dates"
    ),
    "nothing evaluated": Case(partial(judged, *[pd.DataFrame({"patient_id": []})] * 4), "too_few_patients"),
}
STABLE = {
    "missing column": Case(partial(made, rows(), NOBODY.drop(columns="split")), "missing_column"),
    "missing library": Case(without_pandas, "missing_library", without="pandas"),
    "exception inside": EXCEPTION,
    "empty input": Case(partial(made, rows().head(0)), "too_few_patients"),
    "all-null column": Case(partial(made, rows(patient_id=None)), "bad_assignments"),
    "one row": Case(partial(made, rows().head(1)), "too_few_patients"),
    "wrong time zone": Case(partial(made, rows(index_date=ZONES), order="temporal"), "bad_dates"),
    "nothing evaluated": Case(partial(judged, *four(rows())), "nothing_evaluated"),
}
CASES: Cases = {"split_ratios": RATIOS, "stable_splits": STABLE}
