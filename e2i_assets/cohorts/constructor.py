"""From journeys to a cohort: one pass over the rules, the members, and the attrition."""

from __future__ import annotations

from typing import Any

from e2i_assets.cohorts.attrition import CohortResult, MaskCounts, result_of, tally, with_masks
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.cohorts.criteria import rules_of
from e2i_assets.cohorts.errors import CohortError
from e2i_assets.cohorts.sources import JOURNEY_KEY, open_source


class CohortConstructor:
    """Applies one definition to tables of journeys."""

    def __init__(self, config: CohortConfig) -> None:
        self.config = config

    def construct_cohort(self, journeys: Any) -> tuple[Any, CohortResult]:
        """Choose the eligible rows and say how many each rule removed.

        Args:
            journeys: one row per journey: a pandas, Polars, Arrow or Ibis table, or the path of a Parquet
                file. `patient_journey_id`, where it is there, must be unique and never null. A DuckDB table
                over Parquet must have been read with `can_have_nan=True`: DuckDB overlooks NaN otherwise.

        Returns:
            The eligible rows with all their columns, sorted by `patient_journey_id` where it is there, in the
            kind that was given (a path gives a Polars frame, an Ibis table stays one); and the result.

        Raises:
            CohortError: CC_002 missing columns, CC_004 types or keys, CC_005 date columns.
        """
        cohort_id = self.config.cohort_id
        source = open_source(journeys, self.config.required_fields, cohort_id)
        rules = rules_of(self.config, source.table)
        if repeated := source.repeated_keys():
            raise CohortError(
                "CC_004",
                f"{cohort_id}: {repeated} rows repeat or lack {JOURNEY_KEY}; each journey must be there once",
            )
        masked = source.held(with_masks(source.table, rules, source.keep))
        counts = MaskCounts.of(source.fetch(tally(masked)))
        return source.members(masked), result_of(self.config, rules, counts)
