"""What the generator knows of journeys: all that are asked for, or nothing."""

from __future__ import annotations

import polars as pl
import pytest

from e2i_assets.ingest.synthetic import GeneratorSpec, generate
from e2i_assets.ingest.synthetic.declared import Declared
from e2i_assets.ingest.synthetic.followup import TRUE_MEANS


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
    rejected_rows = Declared({}, oracle, pl.DataFrame()).true_means(outcome, journeys, [1.0] * len(journeys))
    assert (None if rejected_rows is None else rejected_rows.tolist()) == means


def test_the_truth_of_another_seed_is_none_of_these_data() -> None:
    one, other = (
        Declared({}, generate(GeneratorSpec(seed=seed, scale="small")).oracle, pl.DataFrame())
        for seed in (1, 2)
    )
    for outcome, column in TRUE_MEANS.items():
        rows = one.oracle.drop_nulls(f"drawn_{outcome}").head(50)
        asked = outcome, rows["patient_journey_id"], rows[f"drawn_{outcome}"].cast(pl.Float64)
        assert one.true_means(*asked).tolist() == rows[column].cast(pl.Float64).to_list()
        assert other.true_means(*asked) is None
