"""What a mapping says of an OMOP CDM: concept sets, the index event, and what becomes of each set."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from e2i_assets.ingest.omop_tables import DAYS, RECORD_TABLES, RecordTable

Number: TypeAlias = (
    Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True, allow_inf_nan=False)]
)
JourneyAttribute: TypeAlias = Literal["treated_before_index", "age_by_year", "index_end_date"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Concept(_Model):
    """One concept of a set, with its own say on what comes with it.

    Attributes:
        id: concept id.
        descendants: take what `concept_ancestor` has below it, too; unstated: as the set says.
        mapped: take what `concept_relationship` says `Maps to` it (and to its descendants), too.
    """

    id: int
    descendants: bool | None = None
    mapped: bool = False


class ConceptSet(_Model):
    """Concepts of one meaning, as OMOP concept ids.

    Attributes:
        concepts: concept ids, or concepts with their own say.
        descendants: take what `concept_ancestor` has below them, too.
        exclude: concepts that are taken out again, with their descendants where `descendants` holds.
    """

    concepts: tuple[int | Concept, ...] = Field(min_length=1)
    descendants: bool = True
    exclude: tuple[int | Concept, ...] = ()

    @property
    def stated(self) -> list[int]:
        """Every concept that is named."""
        return [concept.id for concept in (*self.included(), *self.excluded())]

    def included(self) -> list[Concept]:
        """Concepts that are taken, each with its own say."""
        return [self._with_say(concept) for concept in self.concepts]

    def excluded(self) -> list[Concept]:
        """Concepts that are taken out again."""
        return [self._with_say(concept) for concept in self.exclude]

    def _with_say(self, concept: int | Concept) -> Concept:
        stated = Concept(id=concept) if isinstance(concept, int) else concept
        own = self.descendants if stated.descendants is None else stated.descendants
        return Concept(id=stated.id, descendants=own, mapped=stated.mapped)


class Measurement(_Model):
    """A laboratory test: a concept set, and how its units become one.

    Attributes:
        concept_set: name of the set.
        units: `unit_concept_id` to the factor that makes its values ours. A row in another unit is a bad
            row. Without units all values of the set must be in one unit.
    """

    concept_set: str
    units: dict[int, float] = {}


class Asked(_Model):
    """What is asked of a record: `field operator value`; an unknown value is not what is asked.

    Attributes:
        field: a column of the record's table, or `start_date`, `end_date` (as recorded), `length` (days from
            the first to the last, reckoned where none is recorded), `age` (year of the record less year of
            birth), `gender_concept_id`, `visit_concept_id`.
        operator: how it is compared; `between` includes both ends.
        value: a number, an ISO date, a list of numbers (`in`, `not_in`), or low and high (`between`).
    """

    field: str
    operator: Literal["==", "!=", ">", ">=", "<", "<=", "between", "not_between", "in", "not_in"]
    value: Number | dt.date | tuple[Number, ...] | tuple[dt.date, dt.date]

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        values = self.value if isinstance(self.value, tuple) else None
        if self.operator.endswith("between") and (values is None or len(values) != 2):
            raise ValueError(f"{self.operator} takes two values, low then high")
        if self.operator in ("in", "not_in") and not values:
            raise ValueError(f"{self.operator} takes a list of numbers that is not empty")
        if self.operator not in ("in", "not_in", "between", "not_between") and values is not None:
            raise ValueError(f"{self.operator} takes one value")
        first = values[0] if values else self.value
        if isinstance(first, dt.date) != (self.field in DAYS):
            raise ValueError(f"{self.field} takes {'dates' if self.field in DAYS else 'numbers'}")
        return self


class Records(_Model):
    """Records of the CDM that become events of one name.

    Attributes:
        table: where they are.
        concept_set, source_concept_set: sets that the record's concept and the source's own must be of.
        first: only a person's first record of the set, of which the rest is then asked.
        where: what is asked of each.
    """

    table: RecordTable
    concept_set: str | None = None
    source_concept_set: str | None = None
    first: bool = False
    where: tuple[Asked, ...] = ()

    @model_validator(mode="after")
    def _table_has_it(self) -> Self:
        table = RECORD_TABLES[self.table]
        if unknown := sorted({asked.field for asked in self.where} - set(table.fields)):
            raise ValueError(
                f"nothing of {self.table} is called {', '.join(unknown)}; there are {', '.join(table.fields)}"
            )
        if self.source_concept_set is not None and table.source_concept is None:
            raise ValueError(f"{self.table} has no concepts of the source")
        return self


class Index(_Model):
    """The index event as records that `events` names.

    Attributes:
        events: names under `events`; a record of any of them will do.
        limit: which of a person's records counts.
        prior_days, post_days: observation that a record must have before and after it to count.
    """

    events: tuple[str, ...] = Field(min_length=1)
    limit: Literal["first", "last"] = "first"
    prior_days: int = Field(default=0, ge=0)
    post_days: int = Field(default=0, ge=0)


class Omop(_Model):
    """How an OMOP CDM becomes one partition of ours: one journey for each person with the index event.

    Attributes:
        database_schema: schema of the CDM tables in a database (`schema` in the file).
        brand, indication: the partition.
        as_of: day of the CDM's release, from which its timeliness is judged.
        concept_sets: name to concepts.
        index: condition set, whose first record inside an observation period is the diagnosis; or the records
            of `events` that are the index event.
        index_code: ICD-10-CM code of the diagnosis where the CDM does not keep one.
        treatment: drug set of the brand; its first exposure from the index date on is the initiation. Without
            it no initiation is known.
        followup_days: window in which an initiation counts as the outcome.
        conditions, drugs: sets whose records become diagnosis and prescription events, beside those above.
        measurements: name of a test (`event_subtype`) to its concept set.
        events: name of an event (`event_subtype`) to the records that are one.
        visits: whether visits become events.
        comorbidities, prior_treatments: sets that are counted before the index date.
        attributes: what journeys tell beyond the contract: whether the brand was dispensed before the index
            date, the year of the index date less that of birth, the day on which the index event ends.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    database_schema: str | None = Field(default=None, alias="schema")
    brand: str = Field(min_length=1)
    indication: str = Field(min_length=1)
    as_of: dt.date
    concept_sets: dict[str, ConceptSet] = Field(min_length=1)
    index: str | Index
    index_code: str | None = None
    treatment: str | None = None
    followup_days: int | None = Field(default=None, gt=0)
    conditions: tuple[str, ...] = ()
    drugs: tuple[str, ...] = ()
    measurements: dict[str, Measurement] = {}
    events: dict[str, Records] = {}
    visits: bool = True
    comorbidities: tuple[str, ...] = ()
    prior_treatments: tuple[str, ...] = ()
    attributes: tuple[JourneyAttribute, ...] = ("treated_before_index",)

    @model_validator(mode="after")
    def _sets_are_declared(self) -> Self:
        unknown = sorted(set(self._named()) - set(self.concept_sets))
        if unknown:
            raise ValueError(f"no concept set named {', '.join(unknown)}")
        return self

    @model_validator(mode="after")
    def _events_are_declared(self) -> Self:
        index_events = self.index.events if isinstance(self.index, Index) else ()
        if unknown := sorted(set(index_events) - set(self.events)):
            raise ValueError(f"no event named {', '.join(unknown)}")
        if isinstance(self.index, str) and "index_end_date" in self.attributes:
            raise ValueError("index_end_date needs an index of `events`")
        others = {*self.plain_conditions, *self.plain_drugs, *self.measurements}
        if twice := sorted(others & set(self.events)):
            raise ValueError(f"events named {', '.join(twice)} are made of a set of that name: rename")
        return self

    @model_validator(mode="after")
    def _treatment_is_followed(self) -> Self:
        if (self.treatment is None) != (self.followup_days is None):
            raise ValueError("treatment and followup_days go together: state both, or neither")
        if self.treatment is None and "treated_before_index" in self.attributes:
            raise ValueError("treated_before_index needs a treatment: state other attributes, or none")
        return self

    @property
    def plain_conditions(self) -> tuple[str, ...]:
        """Condition sets of which every record is an event."""
        index = (self.index,) if isinstance(self.index, str) else ()
        return tuple(dict.fromkeys([*index, *self.conditions]))

    @property
    def plain_drugs(self) -> tuple[str, ...]:
        """Drug sets of which every exposure is an event."""
        treatment = (self.treatment,) if self.treatment else ()
        return tuple(dict.fromkeys([*treatment, *self.drugs]))

    def _named(self) -> Iterator[str]:
        for names in (self.plain_conditions, self.plain_drugs, self.comorbidities, self.prior_treatments):
            yield from names
        yield from (test.concept_set for test in self.measurements.values())
        for records in self.events.values():
            yield from (name for name in (records.concept_set, records.source_concept_set) if name)
