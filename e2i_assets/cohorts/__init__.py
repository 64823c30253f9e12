"""Who is eligible for a partition, and how many patients each rule removed.

Definitions (`config/cohorts/*.yaml`), the criteria engine and its attrition table. Where journeys come from
and which gates judge a cohort is not decided here.
"""

from e2i_assets.cohorts.attrition import CohortResult, EligibilityLogEntry
from e2i_assets.cohorts.config import CohortConfig, TemporalRequirements
from e2i_assets.cohorts.constructor import CohortConstructor
from e2i_assets.cohorts.criterion import Criterion, EventCriterion, GroupCriterion, Operator
from e2i_assets.cohorts.errors import CohortError
from e2i_assets.contracts.variables import Attribute

__all__ = [
    "Attribute",
    "CohortConfig",
    "CohortConstructor",
    "CohortError",
    "CohortResult",
    "Criterion",
    "EligibilityLogEntry",
    "EventCriterion",
    "GroupCriterion",
    "Operator",
    "TemporalRequirements",
]
