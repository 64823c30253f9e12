"""What KPIs need beside the tables that models are made of: of no partition's model, and in no extract."""

from __future__ import annotations

from typing import Any, ClassVar

import polars as pl

from e2i_assets.contracts.base import UTC, Table, TableFacts, column
from e2i_assets.contracts.levels import REGIONS, RUN_STATUSES, UNIVERSES


def _source() -> Any:
    return column("Name of the source that the row came from", role="audit", nullable=True)


def _count(description: str, unit: str, *, nullable: bool = True) -> Any:
    return column(description, role="audit", nullable=nullable, unit=unit, low=0)


class ReferenceUniverse(Table):
    """How many patients or HCPs of an indication there are in a region, by a reference."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "reference_universe"
        metadata: ClassVar = {"facts": TableFacts(dated_by="effective_date")}

    universe_id: pl.String = column("Identifier of the reference figure", role="id", key=True)
    universe_type: pl.String = column("Who is counted, patients or HCPs", role="audit", allowed=UNIVERSES)
    brand: pl.String = column("Brand of the partition", role="id")
    indication: pl.String = column("Indication of the partition", role="id")
    region: pl.String = column(
        "Region that the figure is about", role="audit", nullable=True, allowed=REGIONS
    )
    total_count: pl.Int64 = _count("Patients or HCPs that there are", "patients or HCPs", nullable=False)
    effective_date: pl.Date = column(
        "First day for which the figure stands", role="time", available_at="effective_date"
    )
    data_source: pl.String = _source()


class UserSessions(Table):
    """Sessions of the people who use the platform's reports; without names or addresses."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "user_sessions"
        metadata: ClassVar = {
            "facts": TableFacts(
                dated_by="session_start",
                checks={"ends_after_start": "session_end IS NULL OR session_end >= session_start"},
            )
        }

    session_id: pl.String = column("Identifier of the session", role="id", key=True)
    user_id: pl.String = column("Pseudonym of the user", role="id")
    user_role: pl.String = column("Function of the user, in words", role="audit", nullable=True)
    session_start: UTC = column("When the session began", role="time", available_at="session_start")
    session_end: UTC = column(
        "When the session ended", role="time", available_at="session_end", nullable=True
    )
    data_source: pl.String = _source()


class DataSourceTracking(Table):
    """What each source delivered on a day, and how it fits the other sources."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "data_source_tracking"
        metadata: ClassVar = {
            "facts": TableFacts(
                dated_by="tracking_date",
                checks={
                    "matched_were_received": "records_matched IS NULL OR records_matched <= records_received"
                },
            )
        }

    tracking_id: pl.String = column("Identifier of the delivery", role="id", key=True)
    tracking_date: pl.Date = column("Day of the delivery", role="time", available_at="tracking_date")
    source_name: pl.String = column("Name of the source that delivered", role="audit")
    records_received: pl.Int64 = _count("Records that were delivered", "records", nullable=False)
    records_matched: pl.Int64 = _count("Records that another source has too", "records")
    stacking_eligible_records: pl.Int64 = _count("Records that sources could be stacked for", "records")
    stacking_lift_percentage: pl.Float64 = column(
        "What is known by stacking beyond the source alone", role="audit", nullable=True, unit="percent"
    )
    data_source: pl.String = _source()


class MlAnnotations(Table):
    """Labels that people gave to cases, some to the same case independently."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "ml_annotations"
        metadata: ClassVar = {"facts": TableFacts(dated_by="annotation_timestamp")}

    annotation_id: pl.String = column("Identifier of the label given", role="id", key=True)
    annotation_type: pl.String = column("What is asked about the case", role="audit")
    annotator_id: pl.String = column("Pseudonym of who labelled", role="id")
    annotation_value: pl.String = column("Label that was given", role="audit")
    annotation_timestamp: UTC = column(
        "When the label was given", role="time", available_at="annotation_timestamp"
    )
    iaa_group_id: pl.String = column(
        "Labels of one case that are compared; empty of a case that one person labelled", role="id",
        nullable=True,
    )  # fmt: skip
    data_source: pl.String = _source()


class EtlPipelineMetrics(Table):
    """Runs of the pipelines that bring a source's data to where they are used."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "etl_pipeline_metrics"
        metadata: ClassVar = {
            "facts": TableFacts(
                dated_by="run_start", checks={"ends_after_start": "run_end IS NULL OR run_end >= run_start"}
            )
        }

    pipeline_run_id: pl.String = column("Identifier of the pipeline's run", role="id", key=True)
    pipeline_name: pl.String = column("Name of the pipeline that ran", role="audit")
    run_start: UTC = column("When the run began", role="time", available_at="run_start")
    run_end: UTC = column("When the run ended", role="time", available_at="run_end", nullable=True)
    source_data_timestamp: UTC = column(
        "When the newest data of the run were recorded", role="audit", nullable=True
    )
    status: pl.String = column("How the run ended", role="audit", nullable=True, allowed=RUN_STATUSES)
    records_processed: pl.Int64 = _count("Records that the run handled", "records")
    data_source: pl.String = _source()


class HcpIntentSurveys(Table):
    """What HCPs say of a brand in surveys."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "hcp_intent_surveys"
        metadata: ClassVar = {"facts": TableFacts(dated_by="survey_date")}

    survey_id: pl.String = column("Identifier of the answer", role="id", key=True)
    hcp_id: pl.String = column("HCP who answered", role="id", nullable=True, references="hcp_profiles.hcp_id")
    survey_date: pl.Date = column("Day of the survey", role="time", available_at="survey_date")
    brand: pl.String = column("Brand that was asked about", role="id")
    intent_to_prescribe_score: pl.Int64 = column(
        "Intent to prescribe the brand, 7 is certain", role="audit", nullable=True, unit="1-7", low=1, high=7
    )
    previous_survey_id: pl.String = column(
        "Answer of the same HCP before; empty of the first", role="id", nullable=True
    )
    data_source: pl.String = _source()
