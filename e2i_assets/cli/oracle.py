"""The best score that any model could reach on the test patients: that of the true probability."""

from __future__ import annotations

from e2i_assets.cli.generate import oracle
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.modeling.scopes import load_scopes
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.splits import assignments
from e2i_assets.warehouse.warehouse import Warehouse

UNAVAILABLE = "unavailable"
"""Real data have no oracle."""
KNOWN_OUTCOME = "treatment_initiated"
"""The outcome whose true probability the generator keeps."""


def oracle_score(
    here: Settings, warehouse: Warehouse, partition: str, cohort: Cohort, scope: str
) -> float | str | None:
    """The scope's primary metric, of the generator's probability on the cohort's test patients.

    `unavailable` for real data, and for a target that the generator knows no probability of.
    """
    import polars as pl

    known = oracle(here)
    question = load_scopes(here.config_dir / "scopes")[scope]
    target = question.target
    assigned = assignments(warehouse, partition)
    test = assigned.loc[assigned["split"] == "test", "patient_id"].tolist()
    if known is None or target != KNOWN_OUTCOME or target not in cohort.members.columns or not test:
        return UNAVAILABLE
    members = cohort.members.filter(pl.col("patient_id").is_in(test), pl.col(target).is_not_null())
    rows = members.join(known, on="patient_journey_id")
    if rows.is_empty():
        return UNAVAILABLE
    outcome = rows.get_column(target).cast(pl.Int8).to_numpy()
    return question.problem.measure(outcome, rows.get_column("p_true").to_numpy())
