"""What is true of a generated data set, on the scale that users observe: answers to compare with."""

from __future__ import annotations

from typing import Any

import polars as pl

from e2i_assets.ingest.synthetic.spec import GeneratorSpec

ORACLE_COLUMNS = ("patient_journey_id", "p_true", "p0", "p1", "propensity")


def truth_of(spec: GeneratorSpec, population: pl.DataFrame) -> dict[str, Any]:
    """Process, seed, scale, and the true figures of each programme and `overall`; plain JSON types."""
    groups = {
        programme.key: population.filter(brand=programme.brand, indication=programme.indication)
        for programme in spec.programmes
    }
    return {
        "dgp": spec.dgp,
        "seed": spec.seed,
        "scale": spec.scale,
        "partitions": {key: figures(group) for key, group in groups.items()},
        "overall": figures(population),
    }


def figures(population: pl.DataFrame) -> dict[str, float]:
    """True figures of these patients, on the probability scale.

    `average_effect` is the mean of Y1 - Y0, `average_effect_probability` that of p1 - p0, `effect_on_treated`
    the mean of Y1 - Y0 over the treated, `naive_contrast` the difference of observed outcome rates,
    `oracle_auc` the AUC of the true probability under the realised treatment, `overlap` the share of
    propensities within 0.05 to 0.95.
    """
    effect = pl.col("y1").cast(pl.Int8) - pl.col("y0").cast(pl.Int8)
    treated, outcome = pl.col("hcp_engaged"), pl.col("treatment_initiated")
    row = population.select(
        n=pl.len(),
        outcome_rate=outcome.mean(),
        treated_rate=treated.mean(),
        average_effect=effect.mean(),
        average_effect_probability=(pl.col("p1") - pl.col("p0")).mean(),
        effect_on_treated=effect.filter(treated).mean(),
        naive_contrast=outcome.filter(treated).mean() - outcome.filter(~treated).mean(),
        oracle_auc=auc(outcome, pl.col("p_true")),
        overlap=pl.col("propensity").is_between(0.05, 0.95).mean(),
    ).row(0, named=True)
    return {name: value if name == "n" else round(value, 6) for name, value in row.items()}


def auc(outcome: pl.Expr, score: pl.Expr) -> pl.Expr:
    """Area under the ROC curve from ranks (Hanley and McNeil 1982); here because scikit-learn, for this one
    figure, costs more to import than the whole data set to generate.
    """
    positives = outcome.sum().cast(pl.Float64)
    rank_sum = score.rank("average").filter(outcome).sum()
    return (rank_sum - positives * (positives + 1) / 2) / (positives * (pl.len() - positives))
