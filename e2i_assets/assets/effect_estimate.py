"""Effect estimate: what the treatment changes on average, or why these patients cannot tell it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from e2i_assets.assets import shown
from e2i_assets.assets.known_truth import generator_knows, true_effects
from e2i_assets.assets.scoped import SEED, evidence_config, evidence_of, stage_key
from e2i_assets.causal.report import Effect, EffectReport
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.gates import effect_estimate as rules
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.scopes.answerable import require_answerable
from e2i_assets.modeling.uplift.estimate import EffectEstimate
from e2i_assets.modeling.uplift.plots import estimate_plots
from e2i_assets.modeling.uplift.rows import development
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage


def build_effect_estimate(scope: CausalScope) -> dg.AssetsDefinition:
    """The asset `<scope>/effect_estimate`."""

    @stage(
        key=stage_key(scope, "effect_estimate"),
        group=scope.name,
        scope=scope.name,
        description="Average effect of the treatment in train and validation, doubly robust, cross-fitted.",
        kinds={"econml"},
        gates=(rules.ANSWERABLE, rules.OVERLAP, rules.BALANCE, rules.REFUTATION),
        inputs={"splits": "splits", "cohort": "cohort"},
        config=lambda context: {
            "scope": scope.model_dump(mode="json"),
            **evidence_config(context),
        },
    )
    def effect_estimate(context: StageContext, splits: Splits, cohort: Cohort) -> StageResult:
        evidence = evidence_of(context, scope, splits)
        require_answerable(evidence)
        rows = development(splits, scope).clustered(cohort.members)
        report = rows.effect(seed=SEED)
        with context.cluster() as cluster:
            refutation = None if report.effect is None else rows.refuted(report, cluster)
        plots = estimate_plots(report, context.cells)
        declared = generator_knows(context)
        true = true_effects(declared, rows) if declared else None
        return StageResult(
            EffectEstimate(report, refutation),
            gate_input=rules.EffectJudged(evidence, report, refutation, scope.max_difference, context.cells),
            metadata={
                **effect_metadata(report),
                "refutations": shown.table(map(vars, refutation.refutations if refutation else ())),
                "patients": context.cells.figure(report.rows),
                **({} if true is None else {"true_average_effect": float(true.mean())}),
                **{Path(name).stem: shown.image(png) for name, png in plots.items()},
            },
        )

    return effect_estimate


def effect_metadata(report: EffectReport) -> dict[str, Any]:
    """How an effect looks in Dagit; the most important first."""
    metadata: dict[str, Any] = {
        "status": report.status,
        "summary": report.summary,
        "estimand": report.estimand,
    }
    if report.effect is not None:
        metadata |= {"effect": report.effect.estimate, "effect_p": report.effect.p}
    metadata |= {"figures": shown.table(_effects(report))}
    if (sensitivity := report.sensitivity) is not None:
        metadata |= {
            "e_value": sensitivity.e_value,
            "e_value_limit": sensitivity.e_value_limit,
            "robustness": sensitivity.robustness,
        }
    return metadata | {
        "nuisances": shown.table(
            {"of": fit.of, "metric": fit.metric, "score": fit.score} for fit in report.nuisances
        ),
        **({"notes": " ".join(report.notes)} if report.notes else {}),
    }


def _effects(report: EffectReport) -> Iterator[dict[str, Any]]:
    named: dict[str, Effect | None] = {
        report.estimand: report.effect, "ratio": report.ratio, "att": report.att, "naive": report.naive,
    }  # fmt: skip
    for name, effect in named.items():
        if effect is not None:
            interval = f"{effect.low:.4g} to {effect.high:.4g}"
            yield {"figure": name, "value": effect.estimate, "95 %": interval, "p": effect.p}
