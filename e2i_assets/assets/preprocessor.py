"""Preprocessor: imputation, scaling and encoding, fitted on train only."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pandas as pd

from e2i_assets.assets import shown
from e2i_assets.assets.scoped import SEED, feature_names, labelled, stage_key
from e2i_assets.gates import preprocessor as rules
from e2i_assets.modeling.artifacts import FittedPreprocessor, Splits
from e2i_assets.modeling.preprocessing.feature_selection import ChosenFeatures, choose_features
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor, preprocessor_summary
from e2i_assets.modeling.preprocessing.refit import refit_check
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage


def build_preprocessor(scope: Scope) -> dg.AssetsDefinition:
    """The asset `<scope>/preprocessor`."""

    @stage(
        key=stage_key(scope, "preprocessor"),
        group=scope.name,
        scope=scope.name,
        description="Imputation, scaling and encoding with statistics of the train split alone.",
        kinds={"scikitlearn"},
        gates=(rules.FITTED_ON_TRAIN,),
        inputs={"splits": "splits"},
        config=lambda context: {
            "scope": scope.model_dump(mode="json"),
            "minimum_cell_count": context.quality.minimum_cell_count,
        },
    )
    def preprocessor(context: StageContext, splits: Splits) -> StageResult:
        declared = feature_names(splits, scope)
        train = labelled("train", splits.train, declared, scope)
        features = [feature for feature in splits.features if feature.name in declared]
        cells = context.quality.minimum_cell_count

        def choose(X: pd.DataFrame) -> ChosenFeatures:
            return choose_features(
                X,
                train.y,
                features,
                scope.features.selection,
                problem=scope.problem,
                seed=SEED,
                patients=train.patients,
                minimum_cell_count=cells,
                required=scope.features.required,
            )

        counted: dict[str, Any] = {
            "y": train.y,
            "classes": scope.problem.stratified,
            "patients": train.patients,
            "minimum_cell_count": cells,
        }
        chosen = choose(train.X)
        fitted = fit_preprocessor(train.X, chosen.kept, **counted)
        return StageResult(
            FittedPreprocessor(fitted, tuple(chosen.names)),
            gate_input=refit_check(
                fitted,
                train.X,
                lambda frame: fit_preprocessor(frame, choose(frame).kept, **counted),
            ),
            metadata={
                "features_in": len(declared),
                "features_kept": len(chosen.kept),
                "removed": shown.table(
                    {"feature": name, "reason": reason} for name, reason in chosen.removed.items()
                ),
                "columns_out": len(fitted.get_feature_names_out()),
                "rows_fitted_on": len(train.X),
                "statistics": preprocessor_summary(fitted),
            },
        )

    return preprocessor
