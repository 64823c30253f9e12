"""The public Eunomia data, and the same with what they lack: values, units, gaps in observation, odd concepts.

Both are what reference counts of cohort definitions were made on; this needs DuckDB alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

NUMBERS = {"measurement": ("value_as_number", "range_low", "range_high"), "observation": ("value_as_number",),
           "procedure_occurrence": ("quantity",)}  # fmt: skip
"""Columns without a value, which Eunomia has as text and the reference engine compares with numbers."""
AMENDMENTS: Sequence[str] = (
    "UPDATE measurement SET value_as_number = ((measurement_id::BIGINT * 7919) % 1000) / 10.0, "
    "range_low = 20, range_high = 60 + (measurement_id::BIGINT % 3) * 10, "
    "unit_concept_id = CASE measurement_id::BIGINT % 3 WHEN 0 THEN 8554 WHEN 1 THEN 8751 ELSE 0 END, "
    "value_as_concept_id = CASE measurement_id::BIGINT % 4 WHEN 0 THEN 45884084 ELSE 0 END "
    "WHERE measurement_id::BIGINT % 11 <> 0",
    "UPDATE observation SET value_as_number = (observation_id * 31) % 50 WHERE observation_id % 2 = 0",
    "UPDATE drug_exposure SET quantity = drug_exposure_id % 90, refills = drug_exposure_id % 4, "
    "days_supply = 14 + drug_exposure_id % 30",
    "UPDATE drug_exposure SET drug_exposure_end_date = NULL WHERE drug_exposure_id % 3 = 0",
    "UPDATE condition_occurrence SET condition_end_date = NULL WHERE condition_occurrence_id % 4 = 0",
    "UPDATE person SET gender_concept_id = 0 WHERE person_id % 13 = 0",
    # A gap of 400 days in the observation of some, and an earlier end of others.
    "INSERT INTO observation_period SELECT observation_period_id + 1000000, person_id, "
    "observation_period_start_date + 16400, observation_period_end_date, period_type_concept_id "
    "FROM observation_period WHERE person_id % 5 = 0 "
    "AND observation_period_end_date > observation_period_start_date + 16500",
    "UPDATE observation_period p SET observation_period_end_date = observation_period_start_date + 16000 "
    "WHERE observation_period_id < 1000000 AND person_id % 5 = 0 "
    "AND observation_period_end_date > observation_period_start_date + 16500",
    "UPDATE observation_period SET observation_period_end_date = observation_period_end_date - 3000 "
    "WHERE person_id % 7 = 0 AND observation_period_end_date > observation_period_start_date + 12000",
    "UPDATE visit_occurrence SET visit_concept_id = 9203 WHERE visit_occurrence_id % 3 = 0",
    "UPDATE visit_occurrence SET visit_end_date = visit_start_date + (visit_occurrence_id % 9)::INTEGER",
    # A concept of no standard that maps to sinusitis, and records that bear it.
    "INSERT INTO concept SELECT 2000000001, 'Sinusitis, local code', domain_id, 'Local', concept_class_id, "
    "NULL, 'SIN', valid_start_date, valid_end_date, NULL FROM concept WHERE concept_id = 4283893",
    "INSERT INTO concept_relationship VALUES (2000000001, 4283893, 'Maps to', '1970-01-01', '2099-12-31', NULL)",
    "UPDATE condition_occurrence SET condition_concept_id = 2000000001 "
    "WHERE condition_concept_id = 4283893 AND condition_occurrence_id % 2 = 0",
)
"""What is changed, in this order, of a copy."""


def copy(source: Path, target: Path, *, amended: bool) -> None:
    """Copy a Eunomia database with numbers as numbers, and change the copy by `AMENDMENTS` where wanted."""
    target.write_bytes(source.read_bytes())
    with duckdb.connect(str(target)) as database:
        for table, names in NUMBERS.items():
            for name in names:
                database.execute(f"ALTER TABLE {table} ALTER {name} TYPE DOUBLE")
        for statement in AMENDMENTS if amended else ():
            database.execute(statement)
