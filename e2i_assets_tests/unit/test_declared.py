"""What the generator knows of journeys: all that are asked for, or nothing."""

from __future__ import annotations

import polars as pl
import pytest

from e2i_assets.ingest.synthetic.declared import Declared


@pytest.mark.parametrize(
    ("outcome", "journeys", "means"),
    [
        ("treatment_initiated", ["b", "a"], [0.7, 0.2]),
        ("treatment_initiated", ["b", "stranger"], None),
        ("treatment_initiated", [], None),
        ("treatment_initiated", ["c"], None),
        ("lifetime_value", ["a"], None),
        ("an outcome of the user's", ["a"], None),
    ],
)
def test_true_means_are_of_exactly_these_journeys(outcome, journeys, means) -> None:
    oracle = pl.DataFrame({"patient_journey_id": ["a", "b", "c"], "p_true": [0.2, 0.7, None]})
    found = Declared({}, oracle, pl.DataFrame()).true_means(outcome, journeys)
    assert (None if found is None else found.tolist()) == means
