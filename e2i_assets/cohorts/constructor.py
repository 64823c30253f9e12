"""From journeys to a cohort: one pass over the rules, the members, and the attrition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from e2i_assets.cohorts.attrition import CohortResult, result_of
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.cohorts.criteria import rules_of
from e2i_assets.cohorts.events import with_event_counts
from e2i_assets.cohorts.sources import open_source


class CohortConstructor:
    """Applies one definition to tables of journeys."""

    def __init__(self, config: CohortConfig) -> None:
        self.config = config

    def construct_cohort(
        self, journeys: Any, events: Any = None, *, on_progress: Callable[[float], None] | None = None
    ) -> tuple[Any, CohortResult]:
        """Choose the eligible rows and say how many each rule removed.

        Args:
            journeys: one row per journey: a pandas, Polars (also lazy), Arrow or Ibis table, or the path of
                Parquet: a file, a folder or a glob. `patient_journey_id`, where it is there, must be unique
                and never null. Dates may be ISO text, except in PostgreSQL. A DuckDB table over Parquet must
                have been read with `can_have_nan=True`.
            events: the events that criteria on events count, with `patient_journey_id` and `event_date`: a
                frame where the journeys are one, a path with a path, an Ibis table of the same connection.
                By `treatment_event_id`, where it is there, the same event counts once however often it was
                delivered; two that differ are refused. One of negative `cost` is a reversal and no event.
            on_progress: of files, told now and then how many per cent of the running statement are done; each
                cohort takes a few statements.

        Returns:
            The eligible rows with all their columns, in the order and the kind that was given (a path gives a
            Polars frame; an Ibis table stays one, and has no order); and the result.

        Raises:
            CohortError: CC_002 missing columns, CC_004 types or keys, CC_005 date columns.
        """
        config = self.config
        with open_source(config, journeys, events, on_progress) as source:
            table = source.journeys
            if source.events is not None:
                table = with_event_counts(config, table, source.events)
            rules = rules_of(config, table)
            members, masks = source.evaluate(table, rules)
        return members, result_of(config, rules, masks)
