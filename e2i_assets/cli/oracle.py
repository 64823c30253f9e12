"""The best score that any model could reach on the test patients: that of the true mean of their outcome."""

from __future__ import annotations

from e2i_assets.cli.generate import declared
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.ingest.synthetic.followup import TRUE_MEANS
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.splits import assignments
from e2i_assets.warehouse.warehouse import Warehouse

UNAVAILABLE = "unavailable"
"""Real data have no oracle."""


def oracle_score(
    here: Settings,
    warehouse: Warehouse,
    partition: str,
    cohort: Cohort,
    scope: str,
    metric: str | None = None,
) -> float | str | None:
    """The primary metric, or another one, of the generator's true means on the cohort's test patients.

    `unavailable` for real data, for a target of which the generator knows none, and for patients of data that
    were generated before with another seed.
    """
    import polars as pl

    known = declared(here)
    question = load_scopes(here.config_dir / "scopes")[scope]
    target, true = question.target, TRUE_MEANS.get(question.target)
    assigned = assignments(warehouse, partition)
    test = assigned.loc[assigned["split"] == "test", "patient_id"].tolist()
    if known is None or true not in known.oracle.columns or target not in cohort.members.columns or not test:
        return UNAVAILABLE
    members = cohort.members.filter(pl.col("patient_id").is_in(test), pl.col(target).is_not_null())
    rows = members.join(known.oracle, on="patient_journey_id")
    outcome = rows.get_column(target).cast(pl.Float64).to_numpy()
    mean = known.true_means(target, rows["patient_journey_id"], outcome)
    if mean is None:
        return UNAVAILABLE
    if metric is None:
        return question.problem.measure(outcome, mean)
    return question.problem.metrics(outcome, mean, None)[metric]
