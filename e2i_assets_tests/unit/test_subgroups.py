"""Groups of patients: who is told of, how far from others, and what is too little to tell."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from e2i_assets.gates.evaluation import SUBGROUP_GAPS
from e2i_assets.modeling.evaluation.evaluate import evaluate
from e2i_assets.modeling.evaluation.subgroups import groups_of, hidden_below, subgroup_table
from e2i_assets.modeling.metrics.figures import Subgroup
from e2i_assets.modeling.metrics.intervals import Interval, of_difference
from e2i_assets.modeling.problems.base import Evaluation, Problem
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.problems.multiclass import Multiclass
from e2i_assets.modeling.problems.regression import Regression
from e2i_assets_tests.unit.modeling_frames import TEST, TRAIN, VALIDATION, trained


def patients(rows: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age_at_diagnosis": rng.integers(12, 90, rows).astype(float),
            "gender": rng.choice(["F", "M"], rows),
            "insurance_type": rng.choice(["commercial", "medicare", None], rows).astype(object),
        }
    )


def test_patients_are_grouped_by_what_is_known_of_them() -> None:
    frame = pd.DataFrame(
        {
            "age_at_diagnosis": [17, 18, 39.5, 40, 65, np.nan],
            "gender": ["F", "M", None, "F", "M", "F"],
            "insurance_type": [None] * 6,
        },
        index=[7, 3, 9, 1, 2, 5],
    )
    groups, unavailable = groups_of(frame)
    assert groups["age band"].tolist() == [
        "under 18",
        "18 to 39",
        "18 to 39",
        "40 to 64",
        "65 and over",
        "not known",
    ]
    assert groups["sex"].tolist() == ["F", "M", "not known", "F", "M", "F"]
    assert unavailable == {
        "region": "the splits have no geographic_region",
        "insurance": "the splits have no insurance_type",
    }


@pytest.mark.parametrize(
    ("problem", "biased"), [(Binary(), True), (Regression(), True), (Multiclass(("a", "b", "c")), False)]
)
def test_every_problem_type_has_figures_of_groups(problem: Problem, biased: bool) -> None:
    rng = np.random.default_rng(1)
    groups, _ = groups_of(patients(400))
    p = rng.random(400)
    targets = {
        "binary_classification": ((rng.random(400) < p).astype(int), p),
        "regression": (p + rng.normal(size=400), p),
        "multiclass_classification": (rng.integers(0, 3, 400), rng.dirichlet([1, 1, 1], 400)),
    }
    table = subgroup_table(problem, *targets[problem.problem_type], groups, minimum=5)
    assert [group.level for group in table if group.dimension == "age band"] == [
        "under 18",
        "18 to 39",
        "40 to 64",
        "65 and over",
    ]
    assert [group.level for group in table if group.dimension == "insurance"][-1] == "not known"
    assert sum(group.n for group in table if group.dimension == "sex") == 400
    for group in table:
        assert group.interval.low <= group.value <= group.interval.high
        assert group.gap_interval.low <= group.gap <= group.gap_interval.high
        assert (group.bias is not None) is biased
    women, men = (group for group in table if group.dimension == "sex")
    assert women.gap == pytest.approx(-men.gap)


def test_a_small_group_has_no_figures() -> None:
    y = np.array([0, 1] * 20 + [0] * 6 + [1] * 4 + [0, 1])
    levels = pd.DataFrame({"region": ["north"] * 40 + ["south"] * 6 + ["west"] * 4 + ["zone"] * 2})
    north, south, west, zone = subgroup_table(Binary(), y, np.linspace(0, 1, 52), levels, minimum=5)
    assert north.value is not None
    assert (south.n, south.value, south.reason) == (6, None, "fewer than 5 of an outcome")
    for few in (west, zone):
        assert (few.n, few.value, few.reason) == (None, None, "fewer than 5 patients")
    assert [group.n for group in hidden_below((north, south, west, zone), 8)] == [40, None, None, None]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([40, 20, 4], [40, None, None]),  # 4 were all less 40 and 20
        ([40, 20, 2, 2], [40, None, None, None]),  # so were the two together
        ([40, 20, 3, 2], [40, 20, None, None]),
        ([40, 4], [None, None]),
        ([40, 20], [40, 20]),
    ],
)
def test_no_small_group_is_what_is_left_of_all(sizes: list[int], message: list[int | None]) -> None:
    levels = pd.DataFrame({"region": np.repeat(list("abcd")[: len(sizes)], sizes)})
    y = np.random.default_rng(0).normal(size=len(levels))
    table = subgroup_table(Regression(), y, np.zeros(len(y)), levels, minimum=5)
    assert [group.n for group in table] == message
    assert [group.value is None for group in table] == [n is None for n in message]


def test_many_rows_of_few_patients_are_a_small_group() -> None:
    """And so are the many rows with an outcome that few patients have, and what a group is compared with."""
    y = np.array([0, 1] * 40)
    levels = pd.DataFrame({"sex": ["F"] * 60 + ["M"] * 20, "region": ["east"] * 40 + ["west"] * 40})
    people = np.array([f"p{row}" for row in range(60)] + ["p60", "p61"] * 10)
    people[41:60:2] = "q"  # in the west one patient, and one of the two above, have the outcome

    def table(who: np.ndarray | None) -> dict[str, Subgroup]:
        groups = subgroup_table(Binary(), y, np.linspace(0, 1, 80), levels, minimum=5, patients=who)
        return {group.level: group for group in groups}

    assert all(group.gap is not None for group in table(None).values())
    by_level = table(people)
    assert (by_level["M"].n, by_level["M"].reason) == (None, "fewer than 5 patients")
    assert (by_level["west"].value, by_level["west"].reason) == (None, "fewer than 5 of an outcome")
    assert (by_level["F"].n, by_level["F"].value) == (None, None)  # all less M
    assert by_level["east"].value is not None
    assert by_level["east"].gap is None


def evaluation(wrong: bool) -> Evaluation:
    """Predictions turned round for one of two regions, or for none."""
    rng = np.random.default_rng(3)
    p = rng.beta(2, 3, 600)
    region = np.where(np.arange(600) % 2, "north", "south")
    y = (rng.random(600) < p).astype(int)
    answer = np.where((region == "south") & wrong, 1 - p, p)
    evaluated = evaluate(trained("LogisticRegression"), TEST, VALIDATION, TRAIN)
    table = subgroup_table(Binary(), y, answer, pd.DataFrame({"region": region}), minimum=5)
    return dataclasses.replace(
        evaluated, subgroups=table, unavailable={"subgroups sex": "the splits have no gender"}
    )


def test_a_group_that_is_served_worse_warns() -> None:
    verdict = SUBGROUP_GAPS.verdict(evaluation(wrong=True))
    assert (verdict.passed, verdict.reason) == (False, "subgroup_gap")
    assert "region south" in verdict.message
    assert {row["figure"] for row in verdict.rows} == {"roc_auc against all others", "predicted less actual"}
    fair = SUBGROUP_GAPS.verdict(evaluation(wrong=False))
    assert fair.passed
    assert "sex: the splits have no gender" in fair.message.replace("subgroups ", "")


def test_what_is_no_difference_warns_in_one_evaluation_of_twenty_at_most() -> None:
    """Eight groups of one process, each with two intervals."""
    warned, evaluated = 0, evaluation(wrong=False)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        p = rng.beta(2, 3, 400)
        groups = pd.DataFrame(
            {"region": rng.choice(list("nesw"), 400), "insurance": rng.choice(list("abcd"), 400)}
        )
        table = subgroup_table(Binary(), (rng.random(400) < p).astype(int), p, groups, minimum=5)
        warned += not SUBGROUP_GAPS.verdict(dataclasses.replace(evaluated, subgroups=table)).passed
    assert warned <= 5


def test_a_difference_is_as_uncertain_as_both_its_figures() -> None:
    alone, other = Interval(0.6, 0.9), Interval(0.5, 0.7)
    apart = of_difference(0.8, alone, 0.6, other)
    assert apart == pytest.approx((0.2 - np.hypot(0.2, 0.1), 0.2 + np.hypot(0.1, 0.1)))
    paired = of_difference(0.8, alone, 0.6, other, correlation=0.9)
    assert apart.low < paired.low < 0.2 < paired.high < apart.high
    assert of_difference(1.0, Interval(0.7, 1.0), 1.0, Interval(0.7, 1.0)).low < -0.2


def test_few_rows_are_hidden_once_the_minimum_has_risen() -> None:
    group = Subgroup("sex", "F", 12, value=0.7)
    assert hidden_below([group], 12) == (group,)
    assert hidden_below([group], 13)[0].value is None
    of_few = dataclasses.replace(group, patients=7)
    assert hidden_below([of_few], 7) == (of_few,)
    assert hidden_below([of_few], 8)[0].n is None
