"""What is made of journeys: predictions, suggestions to the field force, monthly figures, causal findings."""

from __future__ import annotations

from typing import ClassVar

import polars as pl

from e2i_assets.contracts.base import UTC, Table, TableFacts, column
from e2i_assets.contracts.levels import (
    ACCEPTANCE_STATUSES,
    DELIVERY_STATUSES,
    PREDICTION_TYPES,
    PRIORITIES,
    REGIONS,
)
from e2i_assets.contracts.variables import OUTCOME


class MlPredictions(Table):
    """Scores that earlier models gave to a journey."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "ml_predictions"
        metadata: ClassVar = {
            "facts": TableFacts(
                partition_by="journey",
                dated_by="prediction_timestamp",
            )
        }

    prediction_id: pl.String = column("Identifier of the prediction", role="id", key=True)
    patient_journey_id: pl.String = column(
        "Journey that was scored", role="id", references="patient_journeys.patient_journey_id"
    )
    patient_id: pl.String = column("Patient that was scored", role="id")
    hcp_id: pl.String = column(
        "HCP whom the prediction concerns", role="id", nullable=True, references="hcp_profiles.hcp_id"
    )
    model_version: pl.String = column("Version of the scoring model", role="audit", nullable=True)
    prediction_type: pl.String = column(
        "What was predicted, by kind", role="feature", available_at="prediction_timestamp",
        allowed=PREDICTION_TYPES,
    )  # fmt: skip
    prediction_timestamp: UTC = column(
        "When the score was given", role="time", available_at="prediction_timestamp"
    )
    prediction_value: pl.Float64 = column(
        "Probability that was predicted", role="feature", available_at="prediction_timestamp", nullable=True,
        unit="0-1", low=0, high=1,
    )  # fmt: skip
    confidence_score: pl.Float64 = column(
        "Confidence of the model in its prediction", role="feature", available_at="prediction_timestamp",
        nullable=True, unit="0-1", low=0, high=1,
    )  # fmt: skip


class Triggers(Table):
    """Suggestions sent to the field force about a journey, and what became of them."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "triggers"
        metadata: ClassVar = {
            "facts": TableFacts(
                partition_by="journey",
                dated_by="trigger_date",
                checks={"expires_after_sent": "expiration_date IS NULL OR expiration_date >= trigger_date"},
            )
        }

    trigger_id: pl.String = column("Identifier of the suggestion", role="id", key=True)
    patient_journey_id: pl.String = column(
        "Journey that the suggestion is about", role="id", references="patient_journeys.patient_journey_id"
    )
    patient_id: pl.String = column("Patient whom the suggestion is about", role="id")
    hcp_id: pl.String = column(
        "HCP whom the field force is to see", role="id", nullable=True, references="hcp_profiles.hcp_id"
    )
    trigger_date: pl.Date = column("Day the suggestion was raised", role="time", available_at="trigger_date")
    trigger_type: pl.String = column(
        "What is suggested, by kind", role="feature", available_at="trigger_date"
    )
    priority: pl.String = column(
        "How urgent the suggestion is", role="feature", available_at="trigger_date", nullable=True,
        allowed=PRIORITIES,
    )  # fmt: skip
    confidence_score: pl.Float64 = column(
        "Confidence of the model behind the suggestion", role="feature", available_at="trigger_date",
        nullable=True, unit="0-1", low=0, high=1,
    )  # fmt: skip
    lead_time_days: pl.Int64 = column(
        "Days that the field force has to act", role="feature", available_at="trigger_date", nullable=True,
        unit="days", low=0,
    )  # fmt: skip
    expiration_date: pl.Date = column(
        "Last day on which to act", role="time", available_at="trigger_date", nullable=True
    )
    delivery_channel: pl.String = column(
        "Channel through which it was sent", role="feature", available_at="trigger_date", nullable=True
    )
    delivery_status: pl.String = column(
        "Whether the suggestion reached the field force", role="post_outcome", available_at=OUTCOME,
        nullable=True, allowed=DELIVERY_STATUSES,
    )  # fmt: skip
    acceptance_status: pl.String = column(
        "What the field force did with the suggestion", role="post_outcome", available_at=OUTCOME,
        nullable=True, allowed=ACCEPTANCE_STATUSES,
    )  # fmt: skip
    outcome_value: pl.Float64 = column(
        "Value that the suggestion realised", role="post_outcome", available_at=OUTCOME, nullable=True,
        unit="0-1", low=0, high=1,
    )  # fmt: skip


class BusinessMetrics(Table):
    """Monthly figures of a brand in a region."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "business_metrics"
        metadata: ClassVar = {
            "facts": TableFacts(
                partition_by="brand",
                dated_by="metric_date",
            )
        }

    metric_id: pl.String = column("Identifier of the figure", role="id", key=True)
    metric_date: pl.Date = column(
        "First day of the month of the figure", role="time", available_at="metric_date"
    )
    metric_name: pl.String = column(
        "What the figure measures, by name", role="feature", available_at="metric_date"
    )
    brand: pl.String = column("Brand that the row is about", role="id")
    region: pl.String = column(
        "Region that the figure is about", role="feature", nullable=True, allowed=REGIONS
    )
    value: pl.Float64 = column(
        "Value of the figure", role="feature", available_at="metric_date", nullable=True,
        unit="unit of metric_name", low=0,
    )  # fmt: skip
    target: pl.Float64 = column(
        "Value that was planned", role="feature", available_at="metric_date", nullable=True,
        unit="unit of metric_name", low=0,
    )  # fmt: skip
    achievement_rate: pl.Float64 = column(
        "Value over planned value, 1 is on plan", role="feature", available_at="metric_date", nullable=True,
        unit="ratio", low=0,
    )  # fmt: skip
    sample_size: pl.Int64 = column(
        "Observations that the figure rests on", role="audit", nullable=True, unit="observations", low=0
    )
    data_source: pl.String = column("Name of the source that the row came from", role="audit", nullable=True)


class CausalPaths(Table):
    """Causal findings on record: which node moves which, and how strongly."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "causal_paths"
        metadata: ClassVar = {
            "facts": TableFacts(
                partition_by="brand",
                dated_by="discovery_date",
            )
        }

    path_id: pl.String = column("Identifier of the finding", role="id", key=True)
    brand: pl.String = column("Brand that the row is about", role="id")
    discovery_date: pl.Date = column(
        "Day on which the finding was made", role="time", available_at="discovery_date"
    )
    source_node: pl.String = column("Node that is the cause", role="feature", available_at="discovery_date")
    target_node: pl.String = column("Node that is the effect", role="feature", available_at="discovery_date")
    path_length: pl.Int64 = column(
        "Edges between cause and effect", role="feature", available_at="discovery_date", nullable=True,
        unit="edges", low=1,
    )  # fmt: skip
    causal_effect_size: pl.Float64 = column(
        "Strength of the effect, negative when the cause lowers it", role="feature",
        available_at="discovery_date", nullable=True, unit="-1 to 1", low=-1, high=1,
    )  # fmt: skip
    confidence_level: pl.Float64 = column(
        "Confidence in the finding", role="feature", available_at="discovery_date", nullable=True, unit="0-1",
        low=0, high=1,
    )  # fmt: skip
    method_used: pl.String = column("Name of the estimator that found it", role="audit", nullable=True)
    data_source: pl.String = column("Name of the source that the row came from", role="audit", nullable=True)
