"""What a mapping says of an OMOP CDM: concept sets, the index event, and what becomes of each set."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ConceptSet(_Model):
    """Concepts of one meaning, as OMOP concept ids.

    Attributes:
        concepts: concept ids.
        descendants: take what `concept_ancestor` has below them, too.
        exclude: concept ids that are taken out again, with their descendants where `descendants` holds.
    """

    concepts: tuple[int, ...] = Field(min_length=1)
    descendants: bool = True
    exclude: tuple[int, ...] = ()


class Measurement(_Model):
    """A laboratory test: a concept set, and how its units become one.

    Attributes:
        concept_set: name of the set.
        units: `unit_concept_id` to the factor that makes its values ours. A row in another unit is a bad
            row. Without units all values of the set must be in one unit.
    """

    concept_set: str
    units: dict[int, float] = {}


class Omop(_Model):
    """How an OMOP CDM becomes one partition of ours: one journey for each person with the index event.

    Attributes:
        database_schema: schema of the CDM tables in a database (`schema` in the file).
        brand, indication: the partition.
        as_of: day of the CDM's release, from which its timeliness is judged.
        concept_sets: name to concepts.
        index: condition set; a person's first record of it inside an observation period is the diagnosis.
        index_code: ICD-10-CM code of the diagnosis where the CDM does not keep one.
        treatment: drug set of the brand; its first exposure from the index date on is the initiation.
        followup_days: window in which an initiation counts as the outcome.
        conditions, drugs: sets whose records become diagnosis and prescription events, beside those above.
        measurements: name of a test (`event_subtype`) to its concept set.
        visits: whether visits become events.
        comorbidities, prior_treatments: sets that are counted before the index date.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    database_schema: str | None = Field(default=None, alias="schema")
    brand: str = Field(min_length=1)
    indication: str = Field(min_length=1)
    as_of: dt.date
    concept_sets: dict[str, ConceptSet] = Field(min_length=1)
    index: str
    index_code: str | None = None
    treatment: str
    followup_days: int = Field(gt=0)
    conditions: tuple[str, ...] = ()
    drugs: tuple[str, ...] = ()
    measurements: dict[str, Measurement] = {}
    visits: bool = True
    comorbidities: tuple[str, ...] = ()
    prior_treatments: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _sets_are_declared(self) -> Self:
        unknown = sorted(set(self._named()) - set(self.concept_sets))
        if unknown:
            raise ValueError(f"no concept set named {', '.join(unknown)}")
        return self

    def _named(self) -> Iterator[str]:
        yield self.index
        yield self.treatment
        for names in (self.conditions, self.drugs, self.comorbidities, self.prior_treatments):
            yield from names
        yield from (test.concept_set for test in self.measurements.values())
