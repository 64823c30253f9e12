"""What the check that warns of drift must not take for none."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.monitoring.model_profile import Baseline, ModelProfile
from e2i_assets.monitoring.profile import ReferenceProfile
from e2i_assets.monitoring.watching import Seen, Watched, watch
from e2i_assets_tests.unit.fail_closed import EXCEPTION, Case, Cases

ROWS = 200
TABLE = pd.DataFrame({"lab_1": np.random.default_rng(0).normal(size=ROWS), "arm": ["a", "b"] * (ROWS // 2)})
PROFILE = ModelProfile(
    "model", 1, "f", "binary_classification", (), "started", ReferenceProfile.of(TABLE),
    ReferenceProfile.of(pd.DataFrame({"prediction": np.linspace(0, 1, ROWS)})), (), "roc_auc", True,
    {"roc_auc": Baseline(0.8, 0.7, 0.9)}, 0.5,
)  # fmt: skip


def watched(frame: pd.DataFrame) -> Watched:
    return watch(PROFILE, Seen(frame), Binary())


CASES: Cases = {
    "no_drift": {
        "missing column": Case(partial(watched, TABLE.drop(columns="lab_1")), "drift"),
        "missing library": Case(partial(watched, TABLE), "missing_library", without="scipy"),
        "exception inside": EXCEPTION,
        "empty input": Case(partial(watched, TABLE.head(0)), "not_decided"),
        "all-null column": Case(partial(watched, TABLE.assign(lab_1=np.nan)), "drift"),
        "one row": Case(partial(watched, TABLE.head(1)), "not_decided"),
        "wrong time zone": Case(
            partial(watched, TABLE.assign(lab_1=pd.date_range("2024-01-01", periods=ROWS, tz="Asia/Tokyo"))),
            "drift",
        ),
        "nothing evaluated": Case(partial(Watched, PROFILE), "not_decided"),
    }
}
