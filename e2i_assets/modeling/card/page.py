"""The page of a card: one file without scripts, that loads nothing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from e2i_assets.cohorts.flow import flow_picture
from e2i_assets.html_pages import render
from e2i_assets.modeling.card import tables
from e2i_assets.modeling.card.records import CardRecords, ModelCard
from e2i_assets.modeling.card.summary import limits, summary, tuning
from e2i_assets.modeling.card.tripod import checklist
from e2i_assets.modeling.card.tripod_answers import answers
from e2i_assets.modeling.evaluation.plots import evaluation_plots
from e2i_assets.modeling.explanation.plots import main_plots

TEMPLATE = "model_card.html"
SECTIONS = (
    "Intended use", "Participants", "Predictors", "Model", "What it has learnt", "Performance", "Subgroups",
    "Leakage", "Gates", "Limits", "TRIPOD+AI", "Provenance",
)  # fmt: skip
CAPTIONS: Mapping[str, str] = {
    "roc": "Receiver operating characteristic on test: how well patients are ranked.",
    "precision_recall": "Precision by recall on test: the share with the outcome of those found positive, by "
    "how many of all with the outcome are found. Dashed: their share of all test rows.",
    "calibration": "Calibration on test: predicted probability and observed share, in groups of equal size. "
    "On the dashed line they agree.",
    "decision_curve": "Decision curve on test: net benefit of acting on the model, for all, for nobody.",
    "confusion": "Decided and actual classes on test.",
    "predicted_vs_actual": "Predicted and actual values on test, in groups of equal size.",
    "residuals": "What is left of the actual value when the predicted one is taken off, on test.",
    "learning_curve": "Metric on validation by the number of training patients.",
}
"""Name of a picture of the evaluation to what stands below it."""
EXPLAINED: Mapping[str, str] = {
    "importance": "How far each predictor moves the model's score, in the mean over patients (SHAP).",
    "summary": "Which values of the most important predictors raise the score, and which lower it. Each "
    "point is a group of patients.",
    "interactions": "Pairs of predictors whose joint effect is not the sum of both.",
}
"""The same of what the model has learnt."""


@dataclass(frozen=True)
class Picture:
    """A PNG, in base64, with its caption."""

    caption: str
    data: str


def model_card(records: CardRecords) -> ModelCard:
    """The card; the same records give the same page."""
    page = render(
        TEMPLATE,
        title=f"Model card: {records.scope.description}",
        fingerprint=records.model.fingerprint,
        sections=SECTIONS,
        summary=summary(records),
        intended=records.scope,
        cohort=records.cohort,
        flow=_picture(
            "Who is in the cohort, and whom each rule removed.",
            flow_picture(records.attrition, records.cells),
        ),
        splits=tables.splits_table(records),
        predictors=tables.predictors_table(records),
        candidate=records.candidate,
        finalists=tables.finalists_table(records),
        tuning=tuning(records),
        params=tables.params_table(records),
        metrics=tables.metrics_table(records),
        compared=tables.compared_table(records),
        pictures=_pictures(CAPTIONS, _evaluation_pictures(records)),
        learnt=_pictures(EXPLAINED, main_plots(records.explanation)),
        subgroups=tables.subgroups_table(records),
        unavailable=records.evaluation.unavailable,
        leakage=tables.leakage_table(records),
        gates=tables.gates_table(records),
        limits=limits(records),
        tripod=checklist(answers(records)),
        versions=tables.versions_table(records),
        minimum=records.cells.minimum,
    )
    return ModelCard(page, records.model.fingerprint)


def _evaluation_pictures(records: CardRecords) -> dict[str, bytes]:
    """What is written into them is told as in the text."""
    tests = records.cells.rounded(records.evaluation.n_test)
    return evaluation_plots(replace(records.evaluation, n_test=tests))


def _picture(caption: str, png: bytes) -> Picture:
    return Picture(caption, b64encode(png).decode())


def _pictures(captions: Mapping[str, str], pngs: Mapping[str, bytes]) -> list[Picture]:
    """Pictures by file name; one that has no caption of its own has its name."""
    stems = {Path(name).stem: png for name, png in pngs.items()}
    return [
        _picture(captions.get(stem, stem.replace("_", " ").capitalize()), png) for stem, png in stems.items()
    ]
