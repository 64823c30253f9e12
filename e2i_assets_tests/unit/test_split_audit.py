"""The audit of a partition's splits: compared as the scope asks for its outcome."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from e2i_assets.assets.splits import _audit
from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.scopes.files import read_scope

ROWS = 400


@pytest.mark.parametrize(
    ("asked", "evidence"),
    [
        ({"problem_type": "regression", "success_criteria": {"min_r2": 0.1}}, "absolute correlation"),
        (
            {
                "problem_type": "multiclass_classification",
                "classes": ["a", "b", "c"],
                "success_criteria": {"min_f1": 0.1},
            },
            "cross-validated AUC",
        ),
    ],
)
def test_a_few_numbers_are_what_the_scope_says(tmp_path: Path, asked: dict[str, Any], evidence: str) -> None:
    draw = np.random.default_rng(0)
    score = draw.integers(0, 5, ROWS).astype(float)
    frame = pd.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(ROWS)],
            "index_date": pd.Timestamp("2024-01-01") + pd.to_timedelta(draw.integers(0, 200, ROWS), unit="D"),
            "near": score + draw.normal(0, 0.2, ROWS),
            "score": score,
        }
    )
    (tmp_path / "severity.yaml").write_text(
        yaml.safe_dump({"name": "severity", "description": "How severe?", "target": "score", **asked})
    )
    scope = read_scope(tmp_path / "severity.yaml")
    features: Any = SimpleNamespace(
        frame=frame, features=[Feature(name="near", kind="numeric", source="x.near")]
    )
    cohort: Any = SimpleNamespace(equal_rows="allow")
    (finding,) = [f for f in _audit({"train": frame}, features, scope, cohort).findings if f.kind == "target"]
    assert finding.column == "near"
    assert finding.evidence.startswith(evidence)
