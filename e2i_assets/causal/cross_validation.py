"""One effect, estimated by several libraries on the same rows and folds, and whether they agree.

Agreement is of methods that share rows and assumptions: it shows that no library's workings made the number,
not that nothing was left unmeasured.
"""

from __future__ import annotations

import asyncio
import importlib
import time
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any, Literal

import numpy as np
import pandas as pd

from e2i_assets.causal import agreement
from e2i_assets.causal.agreement import PairAgreement
from e2i_assets.causal.data import CausalData, known_afterwards, names_of, prepare
from e2i_assets.causal.errors import CausalDataError
from e2i_assets.causal.graph import CausalGraph
from e2i_assets.causal.libraries import LEVEL_Z, LIBRARIES, Answer, Library
from e2i_assets.causal.nuisance import FOLDS
from e2i_assets.causal.overlap import LEAST_ROWS
from e2i_assets.causal.question import Question, arrows, pose
from e2i_assets.causal.report import Effect
from e2i_assets.contracts.variables import Variable

KNOWN_WARNINGS = (
    "The design matrix is rank-deficient",  # levels of a covariate add up to one: predictions are the same
    r"\d+ variables are assumed unobserved",  # the graph names causes that no column measures
)

ValidationStatus = Literal["passed", "warning", "failed", "incomplete", "not_identified"]


@dataclass(frozen=True)
class LibraryResult:
    """What one library said.

    Attributes:
        version: installed one; empty where it is not there.
        seconds: of the estimate alone, wall time; imports are not counted.
        effect: none where it failed.
        error: kind of error it failed with; empty where it has an effect.
        detail: the error's own words, which may speak of the data: for whoever asked, not for a record.
    """

    library: str
    version: str
    method: str
    seconds: float
    effect: Effect | None = None
    error: str = ""
    detail: str = ""


@dataclass(frozen=True)
class CrossValidation:
    """What the libraries say together.

    `passed` is the only status that satisfies a gate: all libraries that were asked have an estimate, and
    nothing sets any two apart. `warning`: some are apart; `failed`: two contradict each other;
    `incomplete`: a library has no estimate; `not_identified`: the rows cannot tell the effect, and no library
    was asked.

    It may be awaited, and is itself: `await validator.validate(…)` and `validator.validate(…)` are the same.

    Attributes:
        explanation: why the status is not `passed`; empty where it is.
        agreement_score: mean agreement of the pairs, 0 to 1; none with fewer than two estimates, as all of
            the following.
        direction_agreement: whether no pair contradicts in sign.
        interval_overlap: the smallest of a pair.
        consensus_effect: the middle estimate.
        consensus_interval: holds the intervals of all libraries, so it is never narrower than what they
            differ by.
        rows: those whose outcome is known, the same for all.
    """

    status: ValidationStatus
    treatment: str
    outcome: str
    covariates: tuple[str, ...]
    rows: int
    folds: int
    seed: int
    explanation: str = ""
    agreement_score: float | None = None
    direction_agreement: bool | None = None
    interval_overlap: float | None = None
    consensus_effect: float | None = None
    consensus_interval: tuple[float, float] | None = None
    libraries: tuple[LibraryResult, ...] = ()
    pairs: tuple[PairAgreement, ...] = ()

    def __await__(self) -> Generator[None, None, CrossValidation]:
        yield from ()
        return self

    @property
    def written(self) -> CrossValidation:
        """As it may be kept: without an error's words, which may speak of the data."""
        return replace(self, libraries=tuple(replace(one, detail="") for one in self.libraries))

    @property
    def passed(self) -> bool:
        """Whether a gate may go by it."""
        return self.status == "passed"

    @property
    def summary(self) -> str:
        """One sentence for a person."""
        what = f"{self.treatment} on {self.outcome}: {self.status}"
        if self.consensus_effect is None or self.consensus_interval is None:
            return f"{what}. {self.explanation}"
        low, high = self.consensus_interval
        effect = f"{self.consensus_effect:.4g} ({low:.4g} to {high:.4g})"
        return f"{what}, {effect}, agreement {self.agreement_score:.2f}. {self.explanation}".rstrip()


class CrossValidator:
    """Asks several libraries for one effect, and compares their answers."""

    def __init__(self, libraries: Mapping[str, Library] = LIBRARIES) -> None:
        """Know these libraries, by name."""
        self.known = libraries

    def validate(
        self,
        frame: pd.DataFrame,
        *,
        treatment: str,
        outcome: str,
        covariates: Sequence[str | Variable] = (),
        libraries: Sequence[str] = ("dowhy", "econml", "causalml"),
        graph: CausalGraph | None = None,
        target: Any = None,
        control: Any = None,
        folds: int = FOLDS,
        seed: int = 0,
        on_library: Callable[[str], None] = lambda _: None,
    ) -> CrossValidation:
        """Estimate the average effect with each library.

        Args:
            frame: one row for each patient; those whose outcome is missing are left out.
            treatment, outcome, target, control: as for `estimate_effect`.
            covariates: columns to adjust for; with a graph they may be left out, and are the graph's.
            libraries: names of those to ask.
            graph: the adjustment is checked against it, and DoWhy identifies the effect in it. Without one
                every covariate counts as a cause of treatment and outcome.
            on_library: called with the name of each library before it is asked.

        Raises:
            CausalDataError: the table cannot be asked this, or the covariates do not fit the graph.
        """
        self._refuse_libraries(libraries)
        if not 2 <= folds <= LEAST_ROWS or seed < 0:
            raise CausalDataError(
                f"{folds} folds and seed {seed}", f"Give 2 to {LEAST_ROWS} folds, and a seed of 0 or more."
            )
        measured = frame.columns
        chosen = covariates or (graph.adjustment_set(treatment, outcome, measured) if graph else ())
        if not chosen:
            raise CausalDataError(
                "no covariates: every library would take the difference of the arms",
                "Name columns that were known before the treatment, or give a graph that names them.",
            )
        adjusted = names_of(chosen)
        if graph:
            graph.check(treatment, outcome, adjusted)
        if late := known_afterwards(chosen):
            raise CausalDataError(
                f"known only after the treatment: {', '.join(late)}", "Leave them out of the covariates."
            )
        once = list(frame.columns).count(outcome) == 1
        data, _ = prepare(
            frame[frame[outcome].notna()] if once else frame,
            treatment=treatment,
            outcome=outcome,
            covariates=adjusted,
            target=target,
            control=control,
        ).sorted()
        if not data.x.shape[1]:
            raise CausalDataError(
                f"covariates of one value alone: {', '.join(data.left_out)}; nothing is left to adjust for",
                "Name columns that differ between patients.",
            )
        result = CrossValidation("not_identified", treatment, outcome, adjusted, len(data.y), folds, seed)
        question, refusal = pose(data, arrows(data, treatment, outcome, adjusted, graph), folds, seed)
        if refusal:
            return replace(result, explanation=refusal)
        answers = []
        for name in libraries:
            on_library(name)
            answers.append(ask(name, self.known[name], question))
        return concluded(result, answers, float(data.y.std()))

    async def validate_async(self, frame: pd.DataFrame, **asked: Any) -> CrossValidation:
        """`validate` in a thread of its own, which leaves the event loop free."""
        return await asyncio.to_thread(self.validate, frame, **asked)

    def _refuse_libraries(self, libraries: Sequence[str]) -> None:
        known = ", ".join(self.known)
        if unknown := [name for name in libraries if name not in self.known]:
            raise CausalDataError(f"no such library: {', '.join(unknown)}", f"Name some of: {known}.")
        if not libraries or len(set(libraries)) < len(libraries):
            raise CausalDataError("name each library once", f"Name some of: {known}.")


def ask(name: str, library: Library, question: Question) -> LibraryResult:
    """Let one library estimate; whatever goes wrong in it is its failure alone."""
    from matplotlib import rc_context
    from threadpoolctl import threadpool_limits

    dose = question.data.treatment_kind == "continuous"
    result = LibraryResult(name, "", library.dose_method if dose else library.method, 0.0)
    started = time.perf_counter()
    try:
        result = replace(result, version=metadata.version(library.distribution))
        with rc_context():  # CausalML sets a style for all pictures of the process
            importlib.import_module(library.module)
        started = time.perf_counter()
        with threadpool_limits(limits=1), warnings.catch_warnings():
            for known in KNOWN_WARNINGS:
                warnings.filterwarnings("ignore", message=known)
            effect = _effect(library.estimate(question), question.data)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the library has failed, and says so
        result = replace(result, error=type(error).__name__, detail=str(error).partition("\n")[0])
    else:
        result = replace(result, effect=effect)
    return replace(result, seconds=time.perf_counter() - started)


def _effect(answer: Answer, data: CausalData) -> Effect:
    """An answer that can be one.

    Raises:
        ValueError: it is not finite, its interval has no width or leaves the estimate out, or it is more than
            all that the outcome spans.
    """
    from scipy.stats import norm

    estimate, low, high = answer
    if not np.isfinite(answer).all():
        raise ValueError("the estimate or its interval is not finite")
    if not low <= estimate <= high or low == high:
        raise ValueError("the interval has no width or does not hold the estimate")
    if data.treatment_kind == "binary" and abs(estimate) > np.ptp(data.y):
        raise ValueError("the estimate is more than the outcome spans")
    standard_error = (high - low) / (2 * LEVEL_Z)
    return Effect(estimate, low, high, float(2 * norm.sf(abs(estimate) / standard_error)), standard_error)


def concluded(
    result: CrossValidation, answers: Sequence[LibraryResult], outcome_sd: float
) -> CrossValidation:
    """Compare what the libraries answered."""
    effects = {answer.library: answer.effect for answer in answers if answer.effect}
    failures = [f"{answer.library} failed ({answer.error})" for answer in answers if not answer.effect]
    result = replace(result, status="incomplete", libraries=tuple(answers))
    if len(effects) < 2:
        alone = "one estimate agrees with nothing" if effects else "no library has an estimate"
        return replace(result, explanation="; ".join([*failures, alone]))
    pairs = agreement.compare(effects, outcome_sd)
    apart = [f"{' and '.join(pair.libraries)}: {pair.why}" for pair in pairs if pair.status != "passed"]
    middle, interval = agreement.consensus(list(effects.values()))
    return replace(
        result,
        status="incomplete" if failures else agreement.overall(pairs),
        explanation="; ".join(failures + apart),
        agreement_score=sum(pair.agreement for pair in pairs) / len(pairs),
        direction_agreement=all(pair.same_direction for pair in pairs),
        interval_overlap=min(pair.interval_overlap for pair in pairs),
        consensus_effect=middle,
        consensus_interval=interval,
        pairs=pairs,
    )
