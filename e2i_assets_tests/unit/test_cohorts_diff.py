"""Two versions of a definition, what a change does to the counts, and the flow picture."""

import datetime as dt
import struct

import polars as pl
import pytest

from e2i_assets.cohorts import CohortConfig, CohortConstructor, CohortError
from e2i_assets.cohorts.diff import diff_definitions, effect_of, zip_rules
from e2i_assets.cohorts.flow import flow_picture
from e2i_assets.json_files import to_json

ADULT = {"field": "age", "operator": ">=", "value": 18, "description": "Adult"}
NOT_OLD = {"field": "age", "operator": "<", "value": 80}
PREGNANT = {"field": "pregnant", "operator": "==", "value": True}


def config(inclusion, exclusion=(), **changes):
    return CohortConfig(
        cohort_name="Test", brand="Testa", indication="x", inclusion_criteria=inclusion,
        exclusion_criteria=exclusion, **changes,
    )  # fmt: skip


def changes(before, after):
    result = diff_definitions(before, after)
    return [(c.change, c.criterion_type, c.before, c.after) for c in result.criteria]


def journeys():
    day = dt.date(2023, 1, 1)
    dates = {
        "diagnosis_date": day,
        "first_observation_date": day - dt.timedelta(400),
        "last_observation_date": day + dt.timedelta(400),
    }
    return pl.DataFrame(
        {
            "patient_journey_id": ["a", "b", "c", "d", "e"],
            "age": [17, 20, 30, 90, None],
            "pregnant": [False, False, True, None, False],
        }
    ).with_columns(pl.lit(date).alias(name) for name, date in dates.items())


def test_added_dropped_changed_and_reworded_criteria_are_told_apart():
    before = config([ADULT, NOT_OLD, {"field": "egfr", "operator": ">", "value": 30}])
    after = config(
        [NOT_OLD, ADULT | {"value": 21}, {"field": "ldh", "operator": ">", "value": 1.5}],
        [PREGNANT],
        temporal_requirements={"lookback_days": 365},
        version="1.1.0",
    )
    assert changes(before, after) == [
        ("changed", "inclusion", "age >= 18", "age >= 21"),
        ("dropped", "inclusion", "egfr > 30", None),
        ("added", "inclusion", None, "ldh > 1.5"),
        ("added", "exclusion", None, "pregnant == True"),
    ]
    settings = {s.name: (s.before, s.after) for s in diff_definitions(before, after).settings}
    assert settings == {"version": ("1.0.0", "1.1.0"), "temporal_requirements.lookback_days": (180, 365)}
    reworded = config([ADULT | {"clinical_rationale": "Studied in adults."}])
    assert changes(config([ADULT]), reworded) == [
        ("reworded", "inclusion", "Adult", "Adult — Studied in adults.")
    ]
    moved = config([], [ADULT])
    assert [c[:2] for c in changes(config([ADULT]), moved)] == [
        ("dropped", "inclusion"),
        ("added", "exclusion"),
    ]
    assert to_json(diff_definitions(before, before)) == {"criteria": [], "settings": []}


def test_the_effect_counts_who_comes_and_who_goes():
    effect = effect_of(config([ADULT]), config([ADULT | {"value": 25}], [PREGNANT]), journeys())
    assert (effect.before.eligible_count, effect.after.eligible_count) == (3, 1)
    assert (effect.stayed, effect.gained, effect.lost) == (1, 0, 2)
    pairs = zip_rules(effect.before, effect.after)
    assert [name for name, _ in pairs] == [
        "age", "pregnant", "index_date", "lookback_days", "followup_days",
    ]  # fmt: skip
    assert pairs[1][1][0] is None
    assert pairs[1][1][1].removed_count == 1


def test_any_order_and_what_if_rules_were_dropped():
    result = CohortConstructor(config([ADULT, NOT_OLD], [PREGNANT])).construct_cohort(journeys())[1]
    assert [(e.criterion_order, e.removed_count, e.remaining_count) for e in result.in_order([3, 2])][:3] == [
        (3, 1, 4),
        (2, 2, 2),
        (1, 1, 1),
    ]
    assert [e.sole_removed_count for e in result.eligibility_log] == [1, 1, 1, 0, 0, 0]
    assert (result.eligible_without([1]), result.eligible_without([1, 2]), result.eligible_without([])) == (
        2,
        4,
        1,
    )
    assert ((1, 2), (1, 2), 1) in result.failing_together()
    for wrong in ([0], [7], [2, 2]):
        with pytest.raises(CohortError, match="by its number from 1 to 6"):
            result.in_order(wrong)


def test_the_flow_picture_is_a_png_that_stays_the_same_and_grows_with_the_rules():
    pictures = [
        flow_picture(CohortConstructor(config([ADULT] * n, [PREGNANT])).construct_cohort(journeys())[1])
        for n in (1, 1, 12)
    ]
    assert pictures[0] == pictures[1]
    assert pictures[0][:8] == b"\x89PNG\r\n\x1a\n"
    (width, height), (_, taller) = (struct.unpack(">II", picture[16:24]) for picture in pictures[1:])
    assert (width, taller > height) == (720, True)
    empty = CohortConstructor(config([ADULT])).construct_cohort(journeys().head(0))[1]
    assert flow_picture(empty)
