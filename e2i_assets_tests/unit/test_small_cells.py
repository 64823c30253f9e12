"""Counts of few patients are hidden, and no difference of two counts gives one away."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2i_assets.assets.evaluation_shown import evaluation_metadata
from e2i_assets.cohorts import CohortConstructor
from e2i_assets.cohorts.attrition import CohortResult, EligibilityLogEntry
from e2i_assets.cohorts.diff import Effect
from e2i_assets.cohorts.flow import flow_picture
from e2i_assets.cohorts.small_cells import COUNTS, Cells
from e2i_assets.json_files import to_json
from e2i_assets.modeling.evaluation.evaluate import evaluate
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets_tests.unit.cohort_frames import config, observed
from e2i_assets_tests.unit.modeling_frames import TEST, TRAIN, VALIDATION, trained

HIDING = Cells(5)


@pytest.mark.parametrize(
    ("count", "text", "figure"),
    [
        (0, "0", 0),
        (1, "<5", "<5"),
        (4, "<5", "<5"),
        (5, "5", 5),
        (7, "5", 5),
        (8, "10", 10),
        (1234, "1,235", 1235),
    ],
)
def test_counts_are_hidden_or_rounded(count: int, text: str, figure: int | str) -> None:
    assert (HIDING.text(count), HIDING.figure(count)) == (text, figure)
    assert (Cells().text(count), Cells().figure(count)) == (f"{count:,}", count)


@pytest.mark.parametrize(
    ("count", "total", "share"), [(0, 0, 0.0), (3, 50, None), (47, 50, None), (20, 50, 0.4)]
)
def test_a_share_of_few_is_not_told(count: int, total: int, share: float | None) -> None:
    assert HIDING.share(count, total) == share


def test_a_document_hides_counts_wherever_they_are_and_nothing_else() -> None:
    result = {
        "masks": [{"failed": 3, "rows": 3}],
        "total_count": 103,
        "exclusion_rate": 0.03,
        "cohort_id": "c",
    }
    assert HIDING.document({"result": result}) == {
        "result": {
            "masks": [{"failed": 3, "rows": "<5"}], "total_count": 105, "exclusion_rate": None, "cohort_id": "c",
        }
    }  # fmt: skip
    assert Cells().document(result) == result


def ways(left: int, after: int, removed: str) -> set[int]:
    """The numbers of removed rows that agree with what is told."""
    answer = range(1, 1000)
    return {
        r
        for r in range(1, 5)
        for before in answer
        if HIDING.rounded(before) == left
        and HIDING.rounded(before - r) == after
        and HIDING.text(r) == removed
    }


@given(st.integers(20, 900), st.integers(1, 4))
def test_what_is_left_before_and_after_a_rule_does_not_tell_whom_it_removed(left: int, removed: int) -> None:
    answer = HIDING.rounded(left), HIDING.rounded(left - removed), HIDING.text(removed)
    assert len(ways(*answer)) >= 3


def test_no_count_of_a_construction_is_told_as_it_is() -> None:
    """Of 53 journeys 3 are under age; 50 is a multiple of five as it is."""
    ids = [f"j{i}" for i in range(53)]
    frame = observed(pl.DataFrame({"patient_journey_id": ids, "age": [17] * 3 + [40] * 50}))
    _, result = CohortConstructor(config([("age", ">=", 18)])).construct_cohort(frame)
    first = HIDING.document(to_json(result))["eligibility_log"][0]
    assert (first["removed_count"], first["sole_removed_count"], first["null_count"]) == ("<5", "<5", 0)
    assert "| 0 | All journeys |  |  |  |  | 55 |  |" in result.attrition_markdown(HIDING)
    assert "| <5 | 0 | 50 | <5 |" in result.attrition_markdown(HIDING)
    assert flow_picture(result, HIDING) != flow_picture(result)
    counts = {
        f.name for kind in (CohortResult, EligibilityLogEntry, Effect) for f in dataclasses.fields(kind)
    }
    assert {name for name in counts if name.endswith("_count")} <= COUNTS


@pytest.mark.parametrize(("cells", "patients"), [(HIDING, 120), (Cells(), 118)])
def test_an_evaluation_tells_of_test_as_other_stages_do(cells: Cells, patients: int) -> None:
    problem, result = Binary(), evaluate(trained("LogisticRegression"), TEST, VALIDATION, TRAIN)
    shown = evaluation_metadata(dataclasses.replace(result, n_test=118), problem, cells)
    assert shown["test_patients"] == patients
