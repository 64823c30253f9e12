"""Model candidate: which algorithm, chosen on the training split alone."""

from __future__ import annotations

import dataclasses

import dagster as dg

from e2i_assets.assets import shown
from e2i_assets.assets.scoped import SEED, evidence_config, evidence_of, feature_names, labelled, stage_key
from e2i_assets.contracts.partition_key import PartitionKey
from e2i_assets.gates import model_candidate as rules
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.scopes.answerable import require_answerable
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.modeling.selection.candidate import select_candidate
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage
from e2i_assets.warehouse.queries.models import evaluations_before
from e2i_assets.warehouse.queries.studies import data_changed


def build_model_candidate(scope: Scope) -> dg.AssetsDefinition:
    """The asset `<scope>/model_candidate`."""

    @stage(
        key=stage_key(scope, "model_candidate"),
        group=scope.name,
        scope=scope.name,
        description="Algorithm that fits the scope's constraints and does best in cross-validation on train.",
        kinds={"scikitlearn"},
        gates=(rules.ANSWERABLE,),
        inputs={"splits": "splits"},
        config=lambda context: {
            "scope": scope.model_dump(mode="json"),
            **evidence_config(context),
        },
    )
    def model_candidate(context: StageContext, splits: Splits) -> StageResult:
        evidence = evidence_of(context, scope, splits)
        require_answerable(evidence)
        names = feature_names(splits, scope)
        features = [feature for feature in splits.features if feature.name in names]
        train = labelled("train", splits.train, names, scope)
        cohort = context.cohort_config
        changed = data_changed(context.warehouse, PartitionKey(cohort.brand, cohort.indication))
        history = evaluations_before(context.warehouse, changed, _alike(context, scope))
        candidate = select_candidate(scope, train, features=features, seed=SEED, history=history)
        return StageResult(
            # What was measured differs from run to run; the artifact must not.
            dataclasses.replace(candidate, measured={}),
            gate_input=evidence,
            metadata={
                "algorithm": candidate.algorithm,
                "rationale": candidate.rationale,
                "benchmark": shown.table(vars(finalist) for finalist in candidate.finalists),
                "measured": shown.table(
                    {"algorithm": name, **vars(cost)} for name, cost in candidate.measured.items()
                ),
                "earlier_evaluations": {name: f"{r.met} of {r.evaluated} met" for name, r in history.items()},
                "alternatives": dict(candidate.alternatives),
            },
        )

    return model_candidate


def _alike(context: StageContext, scope: Scope) -> list[str]:
    """The scopes of the same problem type."""
    scopes = load_scopes(context.settings.config_dir / "scopes")
    return [name for name, other in scopes.items() if other.problem_type == scope.problem_type]
