"""Tables of an OMOP CDM whose records can become events: their columns, and what of a record may be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

NUMBERS = frozenset({"value_as_number", "range_low", "range_high", "quantity"})
"""Columns of the CDM that hold numbers with a fraction; all others that may be asked hold whole ones."""
OF_PERSON = {"age": "year(r.day) - p.year", "gender_concept_id": "p.gender"}
"""Fields that the person tells; the age is the difference of the years, as in OHDSI's cohort definitions."""
OF_VISIT = "visit_concept_id"
LENGTH = "length"
DAYS = ("start_date", "end_date")

RecordTable: TypeAlias = Literal[
    "condition_occurrence", "drug_exposure", "procedure_occurrence", "measurement", "observation",
    "visit_occurrence", "device_exposure", "condition_era", "drug_era",
]  # fmt: skip


@dataclass(frozen=True)
class CdmTable:
    """One table with records of persons.

    Attributes:
        key, concept, start: columns of the record's id, concept and first day.
        end: column of its last day, where it has one.
        source_concept: column of the concept that the source used, where it has one.
        event_type: what a record is among our events; of a visit its concept decides.
        asked: further columns that a condition may be on.
        of_visit: whether the record names the visit that it belongs to.
    """

    key: str
    concept: str
    start: str
    end: str | None
    source_concept: str | None
    event_type: str
    asked: tuple[str, ...]
    of_visit: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that are read of every record."""
        return (self.key, "person_id", self.concept, self.start, *([self.end] if self.end else []))

    @property
    def fields(self) -> tuple[str, ...]:
        """What a condition may be on."""
        visit = (OF_VISIT,) if self.of_visit else ()
        return (*DAYS, LENGTH, *OF_PERSON, *visit, *self.asked)


def _table(
    name: str, stem: str, event_type: str, asked: tuple[str, ...], *, dates: str = "", end: bool = False
) -> CdmTable:
    dates = dates or stem
    return CdmTable(
        f"{name}_id", f"{stem}_concept_id", f"{dates}_date", f"{dates.removesuffix('_start')}_end_date" if end
        else None, f"{stem}_source_concept_id", event_type, asked,
    )  # fmt: skip


RECORD_TABLES: Mapping[str, CdmTable] = {
    "condition_occurrence": _table(
        "condition_occurrence", "condition", "diagnosis",
        ("condition_type_concept_id", "condition_status_concept_id"), dates="condition_start", end=True,
    ),
    "drug_exposure": _table(
        "drug_exposure", "drug", "prescription",
        ("drug_type_concept_id", "route_concept_id", "refills", "quantity", "days_supply"),
        dates="drug_exposure_start", end=True,
    ),
    "procedure_occurrence": _table(
        "procedure_occurrence", "procedure", "procedure",
        ("procedure_type_concept_id", "modifier_concept_id", "quantity"),
    ),
    "measurement": _table(
        "measurement", "measurement", "lab_test",
        ("measurement_type_concept_id", "operator_concept_id", "value_as_number", "value_as_concept_id",
         "unit_concept_id", "range_low", "range_high"),
    ),
    "observation": _table(
        "observation", "observation", "diagnosis",
        ("observation_type_concept_id", "value_as_number", "value_as_concept_id", "qualifier_concept_id",
         "unit_concept_id"),
    ),
    "visit_occurrence": _table(
        "visit_occurrence", "visit", "consultation", ("visit_type_concept_id",), dates="visit_start", end=True
    ),
    "device_exposure": _table(
        "device_exposure", "device", "procedure", ("device_type_concept_id", "quantity"),
        dates="device_exposure_start", end=True,
    ),
    "condition_era": CdmTable(
        "condition_era_id", "condition_concept_id", "condition_era_start_date", "condition_era_end_date",
        None, "diagnosis", ("condition_occurrence_count",), of_visit=False,
    ),
    "drug_era": CdmTable(
        "drug_era_id", "drug_concept_id", "drug_era_start_date", "drug_era_end_date", None, "prescription",
        ("drug_exposure_count",), of_visit=False,
    ),
}  # fmt: skip
