"""What is true of a generated data set, on the scale that users observe: answers to compare with."""

from __future__ import annotations

from typing import Any

import polars as pl

from e2i_assets.ingest.synthetic.followup import TRUE_MEANS
from e2i_assets.ingest.synthetic.outcome import PROCESSES
from e2i_assets.ingest.synthetic.spec import GeneratorSpec

ORACLE_COLUMNS = ("patient_journey_id", *TRUE_MEANS.values(), "p0", "p1", "propensity", "p_known")

FOLLOWUP = tuple(TRUE_MEANS)[1:]
"""The outcomes beside the initiation, whose figures are those of the whole population."""

_severity = pl.col("disease_severity")
SEGMENTS: dict[str, pl.Expr] = {
    "disease_severity": pl.when(_severity > 7)
    .then(pl.lit("high"))
    .when(_severity > 4)
    .then(pl.lit("medium"))
    .otherwise(pl.lit("low"))
    .cast(pl.Enum(["low", "medium", "high"])),
    "diagnosis_year": pl.col("diagnosis_date").dt.year().cast(pl.String),
}
"""By what the effect is told apart; severity is high above 7 and medium above 4."""

EFFECT = pl.col("y1").cast(pl.Int8) - pl.col("y0").cast(pl.Int8)


def truth_of(spec: GeneratorSpec, population: pl.DataFrame) -> dict[str, Any]:
    """Process, seed, size, what to adjust for, and the true figures of each partition and `overall`.

    Plain JSON types. `confounders` are to be adjusted for, `selected_by` makes weights for the patients whose
    outcome is known.
    """
    groups = {
        partition.stem: population.filter(brand=partition.brand, indication=partition.indication)
        for partition in spec.partitions
    }
    process = PROCESSES[spec.dgp]
    return {
        "dgp": spec.dgp,
        "seed": spec.seed,
        "scale": spec.scale,
        "dirty": spec.dirty,
        "confounders": list(process.confounders),
        "selected_by": list(process.selected_by),
        "partitions": {key: figures(group) for key, group in groups.items()},
        "overall": figures(population),
    }


def figures(population: pl.DataFrame) -> dict[str, Any]:
    """True figures of these patients, on the probability scale.

    `average_effect` is the mean of Y1 - Y0, `average_effect_probability` that of p1 - p0, `effect_on_treated`
    the mean of Y1 - Y0 over the treated, `effect_by_segment` that over the levels of `SEGMENTS`; all over
    every patient, known outcome or not. `known_rate` is the share of known outcomes; over these,
    `outcome_rate`, `naive_contrast` (difference of the arms' outcome rates) and `oracle_auc` (AUC of the true
    probability under the realised treatment). `overlap` is the share of propensities within 0.05 to 0.95.
    `followup` has, of the later outcomes, over the patients of whom each is known, `n_known` and `mean`, and
    how well the best of all models would do: `oracle_auc` of a yes or no, `attainable_r2` of a number, which
    is the variance of its true mean over its own.
    """
    treated, outcome = pl.col("hcp_engaged"), pl.col("treatment_initiated")
    observed = outcome.is_not_null()
    row = population.select(
        n=pl.len(),
        known_rate=observed.mean(),
        outcome_rate=outcome.mean(),
        treated_rate=treated.mean(),
        average_effect=EFFECT.mean(),
        average_effect_probability=(pl.col("p1") - pl.col("p0")).mean(),
        effect_on_treated=EFFECT.filter(treated).mean(),
        naive_contrast=outcome.filter(treated).mean() - outcome.filter(~treated).mean(),
        oracle_auc=auc(outcome.filter(observed), pl.col("p_true").filter(observed)),
        overlap=pl.col("propensity").is_between(0.05, 0.95).mean(),
    ).row(0, named=True)
    rounded = {name: value if name == "n" else round(value, 6) for name, value in row.items()}
    segments = {name: _by_segment(population, level) for name, level in SEGMENTS.items()}
    return rounded | {"effect_by_segment": segments, "followup": _followup(population)}


def _followup(population: pl.DataFrame) -> dict[str, dict[str, float]]:
    figures_of = {}
    for outcome in FOLLOWUP:
        value, true = pl.col(outcome), pl.col(TRUE_MEANS[outcome])
        yes_or_no = population.schema[outcome] == pl.Boolean
        best = {"oracle_auc": auc(value, true)} if yes_or_no else {"attainable_r2": true.var() / value.var()}
        known = population.filter(value.is_not_null())
        row = known.select(mean=value.mean(), **best).row(0, named=True)
        figures_of[outcome] = {"n_known": known.height} | {name: round(row[name], 6) for name in row}
    return figures_of


def _by_segment(population: pl.DataFrame, level: pl.Expr) -> dict[str, dict[str, float]]:
    effects = population.group_by(level=level).agg(n=pl.len(), average_effect=EFFECT.mean().round(6))
    return {row.pop("level"): row for row in effects.sort("level").to_dicts()}


def auc(outcome: pl.Expr, score: pl.Expr) -> pl.Expr:
    """Area under the ROC curve from ranks (Hanley and McNeil 1982); here because scikit-learn, for this one
    figure, costs more to import than the whole data set to generate.
    """
    positives = outcome.sum().cast(pl.Float64)
    rank_sum = score.rank("average").filter(outcome).sum()
    return (rank_sum - positives * (positives + 1) / 2) / (positives * (outcome.len() - positives))
