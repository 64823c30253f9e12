"""A scope file from a few answers: what is suggested, what is written, and how it is commented."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from e2i_assets.errors import E2IError
from e2i_assets.modeling.errors import ConfigError
from e2i_assets.modeling.scopes.files import read_scope
from e2i_assets.modeling.scopes.problem_types import SCOPES

NUMBERS = re.compile(
    r"\b(how (many|much)|volume|count|number of|quantity|amount|value|revenue|duration|time to|trx|nrx)\b",
    re.IGNORECASE,
)
"""Words of a question whose answer is a number."""
CRITERIA: Mapping[str, Mapping[str, float]] = {
    "binary_classification": {"min_auc": 0.70},
    "multiclass_classification": {"min_f1": 0.50},
    "regression": {"min_r2": 0.20},
}
"""Success criteria to begin with, by problem type."""
PLAUSIBLE = {"regression": "plausible_max_r2: 0.90", "causal_inference": "plausible_max: 0.95"}
PLAUSIBLE_AUC = "plausible_max_auc: 0.95"


class ScopeTaken(E2IError, ValueError):
    """There is a scope file of that name; nothing was written."""

    code = "scope_taken"
    next_step = "Give another name, or edit the file that is there."


@dataclass(frozen=True)
class ScopeDraft:
    """The answers that a scope file is written from.

    Attributes:
        classes: of the target, where the problem type has such.
        horizon_days: None for the follow-up window of each cohort.
        criteria: `min_<metric>` or `max_<metric>` to its threshold.
        treatment: column of what is compared, where the question is causal.
    """

    name: str
    description: str
    problem_type: str
    target: str
    classes: tuple[str, ...] = ()
    horizon_days: int | None = None
    minimum_samples: int = 100
    required: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    criteria: Mapping[str, float] = field(default_factory=dict)
    treatment: str = ""


def suggested_problem_type(description: str) -> str:
    """The problem type that a question's words suggest: a number where it asks for one, else a yes or no."""
    return "regression" if NUMBERS.search(description) else "binary_classification"


TEMPLATE = """\
# A question that cohorts list under `scopes`; `e2i scope check` says whether the data can answer it.
name: {name}   # as the file
description: {description}
problem_type: {problem_type}   # {problem_types}
target: {target}   # an outcome of the contract or of the cohort file
{classes}horizon_days: {horizon_days}   # by then the outcome is known; null: when the cohort's follow-up ends
split_order: random   # temporal: every index date of train before those of the other splits
minimum_samples: {minimum_samples}   # with fewer patients of known outcome in train nothing is learnt
features:
  required: {required}   # a partition without them is refused, and they stay in the model
  exclude: {exclude}   # no model sees them
selection:
  max_latency_ms: 100   # of a prediction
  max_memory_gb: 8   # while serving
  interpretability_required: false
  preferred_algorithms: []   # these rank higher; measuring decides
  excluded_algorithms: []
{plausible}   # above it, features that nobody declared as known are asked for
"""
PREDICTION = """\
baseline:   # what a model must beat on test
  model: no_features   # or simple, a regularised linear model
  min_lift: 0   # share by which the primary metric must be better
success_criteria:   # min_<metric> or max_<metric>, judged on test
{criteria}
"""
EFFECT = """\
treatment: {treatment}   # 0/1, a feature that is known on the index date
outcome: binary   # or number
estimand: ate   # of all; att: of the treated; ato: of those in whom both arms are found; trimmed
max_difference: 0.1   # standardised difference between the arms that a covariate may keep, once weighted
clusters: hcp_id   # patients of one HCP are alike: intervals are of so many HCPs; "" for of each patient
treat_share: 0.3   # of patients who could be treated: what that brings is told
segments: {{}}   # feature to the values from which the next segment begins
"""


def scope_text(draft: ScopeDraft) -> str:
    """The file, each key with what it does."""
    criteria = draft.criteria or CRITERIA.get(draft.problem_type, {})
    rest = EFFECT if draft.treatment else PREDICTION
    return (TEMPLATE + rest).format(
        name=draft.name,
        description=_quoted(draft.description),
        problem_type=draft.problem_type,
        problem_types=", ".join(SCOPES),
        target=_quoted(draft.target),
        classes=f"classes: {_quoted(draft.classes)}   # the values of the target\n" if draft.classes else "",
        horizon_days=_quoted(draft.horizon_days),
        minimum_samples=draft.minimum_samples,
        required=_quoted(draft.required),
        exclude=_quoted(draft.exclude),
        plausible=PLAUSIBLE.get(draft.problem_type, PLAUSIBLE_AUC),
        treatment=_quoted(draft.treatment),
        criteria="\n".join(f"  {name}: {_quoted(threshold)}" for name, threshold in criteria.items()),
    )


def _quoted(value: object) -> str:
    """As YAML, of which JSON is a part: whatever is in a text, it stays one."""
    return json.dumps(value, ensure_ascii=False)


def write_scope(folder: Path, draft: ScopeDraft) -> Path:
    """Write the scope's file, if what it says can be; a file that is there is not touched.

    Raises:
        ScopeTaken: there is one of that name.
        ConfigError: what it would say is wrong or contradictory; nothing is left of it.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", draft.name):
        raise ConfigError(
            f"{draft.name!r} is no name of a scope",
            "Begin with a letter, and use lower-case letters, digits and _.",
        )
    path = folder / f"{draft.name}.yaml"
    folder.mkdir(exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(scope_text(draft))
    except FileExistsError as error:
        raise ScopeTaken(f"{path} is there already; nothing was written.") from error
    try:
        read_scope(path)
    except ConfigError:
        path.unlink()
        raise
    return path
