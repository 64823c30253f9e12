"""From a spec to tables, truth and oracle: the one place where the parts of the generator meet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from e2i_assets.contracts.levels import GENERATED
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.synthetic.activity import draw_predictions, draw_triggers
from e2i_assets.ingest.synthetic.business import business_metrics, causal_paths
from e2i_assets.ingest.synthetic.dirt import soil
from e2i_assets.ingest.synthetic.draws import conform, numbered
from e2i_assets.ingest.synthetic.events import draw_events
from e2i_assets.ingest.synthetic.followup import DRAWN, TRUE_MEANS, with_followup
from e2i_assets.ingest.synthetic.hcps import draw_hcps, hcp_profiles
from e2i_assets.ingest.synthetic.journeys import patient_journeys
from e2i_assets.ingest.synthetic.outcome import PROCESSES, with_outcomes
from e2i_assets.ingest.synthetic.patients import draw_patients
from e2i_assets.ingest.synthetic.profiles import profile_of
from e2i_assets.ingest.synthetic.spec import GeneratorSpec, PartitionKey
from e2i_assets.ingest.synthetic.support import support_tables
from e2i_assets.ingest.synthetic.truth import ORACLE_COLUMNS, truth_of


@dataclass(frozen=True, eq=False)
class SyntheticData:
    """A generated data set.

    Attributes:
        tables: every table, each as its contract in `contracts.tables.TABLES` says, rows in the order of
            their keys' numbers; apart from the dirt.
        truth: what is true of the process, JSON types only (see `truth.figures`).
        oracle: per `patient_journey_id` the true mean of each outcome under the realised treatment
            (`followup.TRUE_MEANS`), that of the initiation without and with treatment (`p0`, `p1`), the
            `propensity`, and the probability that the outcome is known (`p_known`); each outcome as it was
            drawn, by which one sees to which data it belongs. Never loaded as a table.
        dirt: the faulty rows, as `dirt.MANIFEST`; truth and oracle are those of the clean tables.
    """

    tables: dict[str, pl.DataFrame]
    truth: dict[str, Any]
    oracle: pl.DataFrame
    dirt: pl.DataFrame


@dataclass(frozen=True, eq=False)
class _People:
    """One partition's HCPs, and its patients with outcomes and identifiers."""

    hcps: pl.DataFrame
    population: pl.DataFrame
    attributes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Part:
    """One partition's share: its people, and rows that still lack their own identifiers."""

    hcps: pl.DataFrame
    population: pl.DataFrame
    journeys: pl.DataFrame
    events: pl.DataFrame
    predictions: pl.DataFrame
    triggers: pl.DataFrame


def generate(spec: GeneratorSpec, on_partition: Callable[[], None] = lambda: None) -> SyntheticData:
    """Generate every table; equal specs give byte-identical results.

    Args:
        on_partition: called when a partition's rows are there.

    Raises:
        ValueError: a partition has no profile.
    """
    parts = []
    for position, partition in enumerate(spec.partitions):
        parts.append(_part(spec, partition, position))
        on_partition()
    population = _together(part.population for part in parts)
    events = pl.concat(part.events for part in parts)
    frames = {
        "hcp_profiles": hcp_profiles(spec.rng("hcp_profiles"), pl.concat(part.hcps for part in parts)),
        "patient_journeys": pl.concat(part.journeys for part in parts).sort("patient_journey_id"),
        "treatment_events": events.with_columns(treatment_event_id=numbered("trx", 7)),
        "ml_predictions": pl.concat(part.predictions for part in parts).with_columns(
            prediction_id=numbered("pred", 6)
        ),
        "triggers": pl.concat(part.triggers for part in parts).with_columns(trigger_id=numbered("trg", 6)),
        "business_metrics": business_metrics(
            spec.rng("business_metrics"), population, events, spec.calendar, spec.sizes.months
        ).with_columns(metric_id=numbered("metric", 5), data_source=pl.lit(GENERATED)),
        "causal_paths": causal_paths(
            spec.rng("causal_paths"), population, spec.calendar, spec.sizes.quarters
        ).with_columns(path_id=numbered("path", 4), data_source=pl.lit(GENERATED)),
    }  # fmt: skip
    frames |= support_tables(spec, population, pl.concat(_placed(part) for part in parts))
    tables, dirt = soil(spec, {name: conform(frames[name], table) for name, table in TABLES.items()})
    return SyntheticData(
        tables=tables,
        truth=truth_of(spec, population),
        oracle=population.select(ORACLE_COLUMNS).join(
            frames["patient_journeys"].select(
                "patient_journey_id", *(pl.col(outcome).alias(DRAWN + outcome) for outcome in TRUE_MEANS)
            ),
            on="patient_journey_id",
            how="left",
            maintain_order="left",
        ),
        dirt=dirt,
    )


def _placed(part: _Part) -> pl.DataFrame:
    """HCPs with the brand and indication of their partition."""
    partition = part.population.select("brand", "indication").head(1)
    return part.hcps.select("hcp_id", "geographic_region").join(partition, how="cross")


_COMMON = [
    "patient_journey_id", "brand", "indication", "geographic_region", "diagnosis_date", "age_at_diagnosis",
    "disease_severity", "comorbidity_count", "prior_treatment_count", "academic_hcp", "engagement_score",
    "hcp_engaged", "propensity", "p0", "p1", "p_known", "y0", "y1", *TRUE_MEANS, *TRUE_MEANS.values(),
]  # fmt: skip
"""Columns of the population that every partition has and brand-level tables, truth or estimators read."""


def people(spec: GeneratorSpec) -> pl.DataFrame:
    """The patients of `generate`, complete, with both potential outcomes and without any table made of them.

    Columns are those that every partition has; rows are sorted by `patient_journey_id`.
    """
    parts = [_people(spec, partition, position) for position, partition in enumerate(spec.partitions)]
    return _together(part.population for part in parts)


def _together(populations: Iterable[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(frame.select(_COMMON) for frame in populations).sort("patient_journey_id")


def _people(spec: GeneratorSpec, partition: PartitionKey, position: int) -> _People:
    """The people of the partition at this position of the spec.

    Patient numbers of the partitions interleave, HCP numbers follow each other.
    """
    profile, sizes, key = profile_of(partition), spec.sizes, partition.stem
    hcps = draw_hcps(spec.rng("hcps", key), profile, sizes.hcps).with_columns(
        hcp_id=numbered("hcp", 5, pl.int_range(1, pl.len() + 1) + position * sizes.hcps)
    )
    patients = draw_patients(spec.rng("patients", key), profile, spec.calendar, hcps, sizes.patients)
    number = pl.int_range(pl.len()) * len(spec.partitions) + position + 1
    initiated = with_outcomes(spec.rng("outcomes", key), PROCESSES[spec.dgp], profile, patients.covariates)
    population = with_followup(lambda outcome: spec.rng(outcome, key), profile, initiated).with_columns(
        patient_journey_id=numbered("patient", 6, number),
        patient_id=numbered("pt", 6, number),
        brand=pl.lit(partition.brand),
        indication=pl.lit(partition.indication),
    )
    return _People(hcps, population, patients.attributes)


def _part(spec: GeneratorSpec, partition: PartitionKey, position: int) -> _Part:
    """Everything of the partition at this position of the spec."""
    profile, sizes, key = profile_of(partition), spec.sizes, partition.stem
    mine = _people(spec, partition, position)
    population = mine.population
    return _Part(
        hcps=mine.hcps,
        population=population,
        journeys=patient_journeys(spec.rng("journeys", key), population, mine.attributes, spec.as_of),
        events=draw_events(spec.rng("events", key), population, profile, partition.brand, spec.as_of),
        predictions=draw_predictions(spec.rng("predictions", key), population, sizes.predictions),
        triggers=draw_triggers(spec.rng("triggers", key), population, sizes.triggers),
    )
