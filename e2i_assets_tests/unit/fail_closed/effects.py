"""Fail closed: the gates of an effect and of the model of effects."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from e2i_assets.causal.cate import CateChoice
from e2i_assets.causal.cross_validation import CrossValidation
from e2i_assets.causal.report import Effect, EffectReport
from e2i_assets.contracts.variables import Feature
from e2i_assets.gates.cross_validation import Compared
from e2i_assets.gates.effect_estimate import EffectJudged
from e2i_assets.gates.uplift import Chosen
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.scopes.answerable import Answerability
from e2i_assets.modeling.uplift.model import train_uplift
from e2i_assets.modeling.uplift.rows import causal_rows
from e2i_assets_tests.unit.fail_closed import EXCEPTION, Case, Cases

SCOPE = CausalScope(
    name="uplift", description="Does it help?", problem_type="causal_inference", target="started",
    treatment="engaged",
)  # fmt: skip
FEATURES = [
    Feature(name=name, kind="numeric", source="patient_journeys", available_at="index")
    for name in ("engaged", "age", "severity")
]
EVIDENCE = Answerability("uplift", 60, 60, 30, 0.5, 2, (), ())
NOTHING = EffectReport(
    status="not_identified", treatment="engaged", outcome="started", covariates=(), estimand="ate", seed=0,
    rows=0, treated=0, arm="1", control="0", treatment_kind="binary", outcome_kind="binary",
)  # fmt: skip
NOT_ASKED = CrossValidation(
    "not_identified", "engaged", "started", (), rows=0, folds=5, seed=0, explanation="Too few of an arm."
)

SHOWN = replace(NOTHING, status="effect", effect=Effect(0.2, 0.1, 0.3, 0.01, 0.05))


def table(**changes: Any) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = {"age": rng.normal(size=60), "severity": rng.normal(size=60), "engaged": np.arange(60) % 2.0}
    return pd.DataFrame({**rows, "started": (rng.random(60) < 0.5).astype(float)}).assign(**changes)


def judged(frame: pd.DataFrame) -> EffectJudged:
    return EffectJudged(EVIDENCE, causal_rows([frame], FEATURES, SCOPE).effect(seed=0), None, 0.1)


def compared(frame: pd.DataFrame) -> Compared:
    rows = causal_rows([frame], FEATURES, SCOPE)
    return Compared(rows.effect(seed=0), rows.cross_validated(seed=0))


def chosen(frame: pd.DataFrame) -> Chosen:
    rows = causal_rows([frame], FEATURES, SCOPE)
    model = train_uplift(
        rows, rows.effect(seed=0), n_train=len(frame), seed=0, minimum_cell_count=5, accept=lambda _: False
    )
    return Chosen(model.constant, model.choice)


def hazards(make: Any, nothing: Case) -> dict[str, Case]:
    dated = table(engaged=pd.Timestamp("2024-01-01", tz="Asia/Tokyo"))
    return {
        "missing column": Case(partial(make, table().drop(columns="severity")), "training_data"),
        "missing library": Case(partial(make, table()), "missing_library", without="sklearn"),
        "exception inside": EXCEPTION,
        "empty input": Case(partial(make, table().head(0)), "causal_data"),
        "all-null column": Case(partial(make, table(engaged=np.nan)), "causal_data"),
        "one row": Case(partial(make, table().head(1)), "causal_data"),
        "wrong time zone": Case(partial(make, dated), "causal_data"),
        "nothing evaluated": nothing,
    }


CASES: Cases = {
    "overlap": hazards(judged, Case(lambda: EffectJudged(EVIDENCE, NOTHING, None, 0.1), "nothing_evaluated")),
    "balance": hazards(judged, Case(lambda: EffectJudged(EVIDENCE, NOTHING, None, 0.1), "not_judged")),
    "refutation": hazards(
        judged, Case(lambda: EffectJudged(EVIDENCE, SHOWN, None, 0.1), "nothing_evaluated")
    ),
    "libraries_agree": hazards(
        compared, Case(lambda: Compared(NOTHING, NOT_ASKED), "libraries_not_identified")
    ),
    "beats_constant_effect": hazards(
        chosen, Case(lambda: Chosen(True, CateChoice(0.0, (), {}, 2.0, None, 0, 0)), "nothing_evaluated")
    ),
}
