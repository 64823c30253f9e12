"""Criteria of a definition on records of a CDM, as named events of a mapping."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from e2i_assets.cohorts.circe.concept_sets import ConceptSets, unique
from e2i_assets.cohorts.circe.document import INSTEAD, Node, refused
from e2i_assets.cohorts.circe.ranges import Comparison, concepts, date_range, number_range, whole_range


class Ask(NamedTuple):
    """How a key of a criterion is read, and what of a record it asks."""

    kind: Literal["dates", "whole", "number", "concepts"]
    field: str


@dataclass(frozen=True)
class Kind:
    """A kind of criterion: the table, the key of the source's concept set, and what may be asked by key."""

    table: str
    source: str | None
    asks: dict[str, Ask]


STARTS = Ask("dates", "start_date")
ENDS = Ask("dates", "end_date")
AGE = Ask("whole", "age")
GENDER = Ask("concepts", "gender_concept_id")
OCCURRENCE = {
    "OccurrenceStartDate": STARTS, "Age": AGE, "Gender": GENDER,
    "VisitType": Ask("concepts", "visit_concept_id"),
}  # fmt: skip
ERA = {
    "EraStartDate": STARTS, "EraEndDate": ENDS, "EraLength": Ask("whole", "length"), "AgeAtStart": AGE,
    "Gender": GENDER,
}  # fmt: skip
VALUES = {
    "ValueAsNumber": Ask("number", "value_as_number"),
    "ValueAsConcept": Ask("concepts", "value_as_concept_id"),
    "Unit": Ask("concepts", "unit_concept_id"),
}
KINDS: dict[str, Kind] = {
    "ConditionOccurrence": Kind("condition_occurrence", "ConditionSourceConcept", OCCURRENCE | {
        "OccurrenceEndDate": ENDS,
        "ConditionType": Ask("concepts", "condition_type_concept_id"),
        "ConditionStatus": Ask("concepts", "condition_status_concept_id"),
    }),
    "DrugExposure": Kind("drug_exposure", "DrugSourceConcept", OCCURRENCE | {
        "OccurrenceEndDate": ENDS,
        "DrugType": Ask("concepts", "drug_type_concept_id"),
        "RouteConcept": Ask("concepts", "route_concept_id"),
        "Refills": Ask("whole", "refills"),
        "Quantity": Ask("number", "quantity"),
        "DaysSupply": Ask("whole", "days_supply"),
    }),
    "ProcedureOccurrence": Kind("procedure_occurrence", "ProcedureSourceConcept", OCCURRENCE | {
        "ProcedureType": Ask("concepts", "procedure_type_concept_id"),
        "Modifier": Ask("concepts", "modifier_concept_id"),
        "Quantity": Ask("whole", "quantity"),
    }),
    "Measurement": Kind("measurement", "MeasurementSourceConcept", OCCURRENCE | VALUES | {
        "MeasurementType": Ask("concepts", "measurement_type_concept_id"),
        "Operator": Ask("concepts", "operator_concept_id"),
        "RangeLow": Ask("number", "range_low"),
        "RangeHigh": Ask("number", "range_high"),
    }),
    "Observation": Kind("observation", "ObservationSourceConcept", OCCURRENCE | VALUES | {
        "ObservationType": Ask("concepts", "observation_type_concept_id"),
        "Qualifier": Ask("concepts", "qualifier_concept_id"),
    }),
    "VisitOccurrence": Kind("visit_occurrence", "VisitSourceConcept", {
        "OccurrenceStartDate": STARTS, "OccurrenceEndDate": ENDS, "Age": AGE, "Gender": GENDER,
        "VisitType": Ask("concepts", "visit_type_concept_id"), "VisitLength": Ask("whole", "length"),
    }),
    "DeviceExposure": Kind("device_exposure", "DeviceSourceConcept", OCCURRENCE | {
        "OccurrenceEndDate": ENDS,
        "DeviceType": Ask("concepts", "device_type_concept_id"),
        "Quantity": Ask("whole", "quantity"),
    }),
    "ConditionEra": Kind("condition_era", None, ERA | {
        "OccurrenceCount": Ask("whole", "condition_occurrence_count"),
    }),
    "DrugEra": Kind("drug_era", None, ERA | {"OccurrenceCount": Ask("whole", "drug_exposure_count")}),
}  # fmt: skip
ADVICE = {
    "CorrelatedCriteria": "Criteria around an event, rather than around the index event, cannot be counted: "
    "state them as an inclusion rule of their own, relative to the index date.",
    "GapDays": "The reference engine itself reads EraLength in its place; remove it.",
}
"""What to do about keys that people are likely to use."""


@dataclass
class Events:
    """The named events of a mapping; a criterion that asks for the same records gets the same name."""

    sets: ConceptSets
    declared: dict[str, dict[str, Any]] = field(default_factory=dict)

    def use(self, criteria: Node) -> str:
        """The name of the events that a criterion such as `{"DrugExposure": {…}}` asks for.

        Raises:
            Refusal: a kind or an attribute that records of a mapping do not have.
        """
        kinds = [key for key, value in criteria.content.items() if value is not None]
        if len(kinds) != 1:
            raise refused(criteria.path, "must name one kind of criterion", "Export the definition again.")
        if kinds[0] not in KINDS:
            raise criteria.refused_at(
                kinds[0][:60], f"criteria of this kind are not read; there are {', '.join(KINDS)}"
            )
        node = criteria.child(kinds[0])
        assert node is not None
        records = self._records(node, KINDS[kinds[0]])
        for name, declared in self.declared.items():
            if declared == records:
                return name
        name = unique(_name(records), self.declared)
        self.declared[name] = records
        return name

    def _records(self, node: Node, kind: Kind) -> dict[str, Any]:
        records: dict[str, Any] = {"table": kind.table}
        if concept_set := self.sets.use(node, "CodesetId"):
            records["concept_set"] = concept_set
        if kind.source is not None and (source := self.sets.use(node, kind.source)):
            records["source_concept_set"] = source
        if node.flag("First"):
            records["first"] = True
        asked = [
            {"field": ask.field, "operator": comparison.operator, "value": comparison.value}
            for key, ask in kind.asks.items()
            if (comparison := _comparison(node, key, ask)) is not None
        ]
        if asked:
            records["where"] = asked
        node.done(ADVICE)
        return records


def _comparison(node: Node, key: str, ask: Ask) -> Comparison | None:
    if ask.kind == "concepts":
        exclude = f"{key}Exclude"
        excluded = key.endswith("Type") and node.flag(exclude)
        if ask.field == "visit_concept_id" and node.has(exclude):
            raise node.refused_at(exclude, "the reference engine has no such key", INSTEAD)
        return concepts(node, key, exclude=excluded)
    below = node.child(key)
    if below is None:
        return None
    return {"dates": date_range, "whole": whole_range, "number": number_range}[ask.kind](below)


def _name(records: dict[str, Any]) -> str:
    concept_set = records.get("concept_set") or records.get("source_concept_set") or records["table"]
    era = "_era" if records["table"].endswith("_era") else ""
    first = "_first" if records.get("first") else ""
    return f"{concept_set}{era}{first}{'_selected' if 'where' in records else ''}"
