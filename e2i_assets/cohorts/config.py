"""Cohort definitions: criteria, temporal windows and attributes, read from YAML or written in Python."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator, model_validator

from e2i_assets.cohorts.criterion import TAGS, AnyCriterion, Criterion, EventCriterion, StrictModel, leaves
from e2i_assets.cohorts.errors import CohortError
from e2i_assets.cohorts.event_windows import EventType, EventWindows
from e2i_assets.cohorts.quality_terms import QualityTerms, Refresh
from e2i_assets.config_files import ConfigFileError, Text, read_settings
from e2i_assets.contracts.base import columns
from e2i_assets.contracts.partition_key import PartitionKey
from e2i_assets.contracts.patients import PatientJourneys
from e2i_assets.contracts.tables import RAW_TABLES, TABLES
from e2i_assets.contracts.variables import Attribute

OBSERVATION_START = "first_observation_date"
OBSERVATION_END = "last_observation_date"
RECORDED = "source_timestamp"
"""When the source recorded a row: what is said of later days is not known."""
JOURNEY_KEY = "patient_journey_id"
EVENT_KEY = "treatment_event_id"
EVENT_DATE = "event_date"
EVENT_COST = "cost"
EVENT_DURATION = "duration_days"
MAX_CRITERIA = 60
"""Criteria of one definition; with the temporal rules each has one bit of a 64-bit mask."""


def _table(name: str) -> str:
    if name not in RAW_TABLES:
        raise ValueError(f"no such table; there are {', '.join(RAW_TABLES)}")
    return name


TableName: TypeAlias = Annotated[str, AfterValidator(_table)]


Days: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=36_500)]


class TemporalRequirements(StrictModel):
    """Observation that each member must have around the index date.

    Attributes:
        lookback_days: days before it, which features are made of.
        followup_days: days after it, by which the outcome is known.
        index_date_field: column of the journeys that has the index date.
    """

    lookback_days: Days = 180
    followup_days: Days = 90
    index_date_field: Text = "diagnosis_date"


class FeatureChoice(StrictModel):
    """Which columns are features, and what is told of events.

    Attributes:
        include: columns forced into the features; the leakage gate still judges them.
        exclude: columns left out.
        event_subtypes: event type to those subtypes that are counted as features of their own.
        event_windows: further statistics of events, over windows within the lookback.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    event_subtypes: dict[EventType, tuple[str, ...]] = Field(default={})
    event_windows: tuple[EventWindows, ...] = ()


class CohortConfig(StrictModel):
    """The definition of one partition's cohort.

    Attributes:
        cohort_name: for people.
        brand, indication: as in the data.
        version: of the definition, as somebody counts it; its content has a hash of its own.
        status: for people; construction does not ask for it.
        clinical_rationale: why the cohort is as it is; the model card shows it.
        inclusion_criteria: rules that a journey must meet, in this order.
        exclusion_criteria: rules that no journey may meet, asked after those.
        scopes: names of the problem definitions that the partition serves.
        attributes: clinical columns beyond the contract of `patient_journeys`, by name.
        features: columns forced in or left out.
        required_tables: tables without which the partition's quality cannot be judged.
        not_collected: columns of patient_journeys, or `table.column`, that the sources do not have, so that
            their emptiness is no fault of the data; what a mapping does not bring need not be named.
        death_date_field, birth_date_field: columns of the journeys, where they have such: observation ends
            with death, and nothing happens before birth.
        refresh: `none` for data that are complete, such as a finished trial's.
        quality: thresholds of this partition that differ from `config/quality.yaml`, with their reason.
        temporal_requirements: null asks for no window: the partition has no index date and no observation.
        equal_rows: of different patients: `same_split` assigns them together, `allow` takes them for chance,
            `refuse` takes them for copies.
        minimum_size: members below which the cohort is refused.
    """

    cohort_name: Text
    brand: Text
    indication: Text
    version: str = Field(default="1.0.0", pattern=r"^\d+\.\d+\.\d+$")
    status: Literal["active", "draft", "archived", "locked"] = "active"
    clinical_rationale: str = ""
    scopes: tuple[str, ...] = ()
    inclusion_criteria: tuple[AnyCriterion, ...]
    exclusion_criteria: tuple[AnyCriterion, ...] = ()
    temporal_requirements: TemporalRequirements | None = TemporalRequirements()
    attributes: dict[str, Attribute] = Field(default={})
    features: FeatureChoice = FeatureChoice()
    required_tables: tuple[TableName, ...] = RAW_TABLES
    not_collected: tuple[str, ...] = ()
    death_date_field: Text | None = None
    birth_date_field: Text | None = None
    refresh: Refresh = "continuous"
    quality: QualityTerms | None = None
    equal_rows: Literal["refuse", "same_split", "allow"] = "same_split"
    minimum_size: int = Field(default=100, ge=1)

    @field_validator("features")
    @classmethod
    def _windows_within_lookback(cls, features: FeatureChoice, info: ValidationInfo) -> FeatureChoice:
        """Beyond the lookback nobody has to be observed, and a count would be of what was seen by chance."""
        if not features.event_windows or "temporal_requirements" not in info.data:  # wrong itself
            return features
        if (windows := info.data["temporal_requirements"]) is None:
            raise ValueError("event_windows count days from the index date: state temporal_requirements")
        for place, entry in enumerate(features.event_windows):
            if longer := [days for days in entry.windows if days > windows.lookback_days]:
                raise ValueError(
                    f"event_windows[{place}]: {longer} days are longer than lookback_days, which is "
                    f"{windows.lookback_days}: shorten them, or ask for a longer lookback"
                )
        return features

    @model_validator(mode="after")
    def _engine_can_hold_it(self) -> Self:
        criteria = len(self.criteria)
        if criteria > MAX_CRITERIA:
            raise ValueError(f"{criteria} criteria, at most {MAX_CRITERIA} are allowed")
        contract = {column.name for column in columns(PatientJourneys)}
        others = {f"{table}.{column.name}" for table in RAW_TABLES for column in columns(TABLES[table])}
        if unknown := sorted(set(self.not_collected) - contract - others):
            raise ValueError(
                f"not_collected {unknown}: no such columns of patient_journeys, nor table.column of another"
            )
        if self.event_criteria and self.temporal_requirements is None:
            named = ", ".join(criterion.name for criterion in self.event_criteria)
            raise ValueError(
                f"criteria {named} count days from the index date: state temporal_requirements, not null"
            )
        if shadowed := sorted(contract & self.attributes.keys()):
            raise ValueError(f"attributes {shadowed} are columns of patient_journeys already: remove them")
        return self

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read one definition.

        Raises:
            CohortError: CC_001, naming the file, the key path and the rule of each mistake.
        """
        try:
            content, lines = read_settings(Path(path))
        except ConfigFileError as error:
            raise CohortError("CC_001", str(error)) from None
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise CohortError("CC_001", "; ".join(lines.mistakes(error, TAGS))) from None

    @property
    def partition_key(self) -> PartitionKey:
        """Brand and indication."""
        return PartitionKey(self.brand, self.indication)

    @classmethod
    def from_brand(cls, brand: str, indication: str | None = None) -> Self:
        """The definition of a brand and indication among the cohort files; case does not matter.

        The indication may be left out where the brand has one only.

        Raises:
            CohortError: CC_001 when none fits or more than one does; lists what there is.
        """
        from e2i_assets.settings import config_dir

        folder = config_dir() / "cohorts"
        known, wrong = cls._readable(folder)
        matches = [c for c in known if _slug(c.brand) == _slug(brand)]
        if indication is not None:
            matches = [c for c in matches if _slug(c.indication) == _slug(indication)]
        if len(matches) == 1:
            return matches[0]
        name = brand if indication is None else f"{brand} / {indication}"
        listed = _listed(matches or known)
        problem = "names several cohorts, give the indication" if matches else "has no cohort file"
        raise CohortError("CC_001", "; ".join([f"{name!r} {problem}", f"{folder} has: {listed}", *wrong]))

    @classmethod
    def _readable(cls, folder: Path) -> tuple[list[Self], list[str]]:
        """The definitions of a folder, and what is wrong with the files that hold none."""
        known, wrong = [], []
        for path in sorted(folder.glob("*.yaml")):
            try:
                known.append(cls.from_yaml(path))
            except CohortError as error:
                wrong.append(str(error))
        return known, wrong

    @cached_property
    def config_hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the definition as canonical JSON."""
        canonical = json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def cohort_id(self) -> str:
        """Brand, indication and version, such as `remibrutinib_csu_v1.0.0`."""
        return f"{_slug(self.brand)}_{_slug(self.indication)}_v{self.version}"

    @property
    def required_fields(self) -> tuple[str, ...]:
        """Columns of the journeys that construction reads, each once, in the order of the rules."""
        criteria = [c.field for c in leaves(self.criteria) if isinstance(c, Criterion)]
        key = [JOURNEY_KEY] if self.event_criteria else []
        return tuple(dict.fromkeys([*criteria, *self.date_fields, *key]))

    def absent(self, table: str) -> frozenset[str]:
        """Columns of a table whose emptiness is no fault: not collected, or dates that are not asked for."""
        own = {name.removeprefix(f"{table}.") for name in self.not_collected if name.startswith(f"{table}.")}
        if table != PatientJourneys.Config.name:
            return frozenset(own)
        undated = () if self.temporal_requirements else (OBSERVATION_START, OBSERVATION_END, "diagnosis_date")
        return frozenset({*own, *undated, *(name for name in self.not_collected if "." not in name)})

    @property
    def date_fields(self) -> tuple[str, ...]:
        """Columns of the journeys that the windows read as dates; none where no window is asked for."""
        windows = self.temporal_requirements
        if windows is None:
            return ()
        death = [self.death_date_field] if self.death_date_field else []
        others = [c.days_from for c in self.event_criteria if c.days_from]
        dates = (windows.index_date_field, OBSERVATION_START, OBSERVATION_END, *death, *others)
        return tuple(dict.fromkeys(dates))

    @property
    def criteria(self) -> tuple[AnyCriterion, ...]:
        """Inclusion criteria, then exclusion criteria."""
        return (*self.inclusion_criteria, *self.exclusion_criteria)

    @property
    def event_criteria(self) -> tuple[EventCriterion, ...]:
        """The criteria on events among them, those inside groups too."""
        return tuple(c for c in leaves(self.criteria) if isinstance(c, EventCriterion))

    @property
    def event_fields(self) -> tuple[str, ...]:
        """Columns of the events that construction reads, each once; none without a criterion on events."""
        kinds = [condition.field for criterion in self.event_criteria for condition in criterion.where]
        counted = [c.distinct for c in self.event_criteria if c.distinct]
        lasting = [EVENT_DURATION for c in self.event_criteria if c.dated_by == "end"]
        return tuple(dict.fromkeys([JOURNEY_KEY, EVENT_DATE, *kinds, *counted, *lasting])) if kinds else ()


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _listed(configs: Sequence[CohortConfig]) -> str:
    return ", ".join(f"{c.brand} / {c.indication} (v{c.version})" for c in configs) or "no cohort file"
