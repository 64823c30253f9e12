"""Model candidate: which algorithm, chosen on the training split alone."""

from __future__ import annotations

import dagster as dg

from e2i_assets.assets import shown
from e2i_assets.assets.scoped import SEED, feature_names, labelled, stage_key
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.scope import Scope
from e2i_assets.modeling.selection import select_candidate
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage


def build_model_candidate(scope: Scope) -> dg.AssetsDefinition:
    """The asset `<scope>/model_candidate`."""

    @stage(
        key=stage_key(scope, "model_candidate"),
        group=scope.name,
        scope=scope.name,
        description="Algorithm that fits the scope's constraints and does best in cross-validation on train.",
        kinds={"scikitlearn"},
        inputs={"splits": "splits"},
        config=lambda context: scope.model_dump(mode="json"),
    )
    def model_candidate(context: StageContext, splits: Splits) -> StageResult:
        names = feature_names(splits, scope)
        features = [feature for feature in splits.features if feature.name in names]
        train = labelled("train", splits.train, names, scope)
        candidate = select_candidate(scope, train, features=features, seed=SEED)
        return StageResult(
            candidate,
            metadata={
                "algorithm": candidate.algorithm,
                "rationale": candidate.rationale,
                "benchmark": shown.table(vars(finalist) for finalist in candidate.finalists),
                "alternatives": dict(candidate.alternatives),
            },
        )

    return model_candidate
