"""One effect, estimated by several libraries on the same rows and folds, and whether they agree.

Agreement is of methods that share rows and assumptions: it shows that no library's workings made the number,
not that nothing was left unmeasured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from e2i_assets.causal import agreement
from e2i_assets.causal.agreement import PairAgreement
from e2i_assets.causal.asking import LibraryResult, ask_apart
from e2i_assets.causal.data import known_afterwards, names_of, prepare
from e2i_assets.causal.errors import CausalDataError
from e2i_assets.causal.graph import CausalGraph
from e2i_assets.causal.libraries import LIBRARIES, Library
from e2i_assets.causal.nuisance import FOLDS
from e2i_assets.causal.overlap import LEAST_ROWS
from e2i_assets.causal.question import arrows, pose
from e2i_assets.contracts.variables import Variable

TIMEOUT = 600.0
"""Seconds: on thousands of rows each library takes a few, and its import on a busy machine a hundred."""

ValidationStatus = Literal["passed", "warning", "failed", "incomplete", "not_identified"]


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
        without_outcome: rows that were left out because it is not.
        estimand: whose effect every library was asked for: that of all rows.
    """

    status: ValidationStatus
    treatment: str
    outcome: str
    covariates: tuple[str, ...]
    rows: int
    folds: int
    seed: int
    without_outcome: int = 0
    estimand: Literal["ate"] = "ate"
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
        what = f"{self.estimand.upper()} of {self.treatment} on {self.outcome}: {self.status}"
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
        timeout: float = TIMEOUT,
        on_library: Callable[[str], None] = lambda _: None,
    ) -> CrossValidation:
        """Estimate the average effect on all rows, the ATE, with each library; rows count as independent.

        Args:
            frame: one row for each patient; those whose outcome is missing are left out, and counted.
            treatment, outcome, target, control: as for `estimate_effect`.
            covariates: columns to adjust for; with a graph they may be left out, and are the graph's.
            libraries: names of those to ask.
            graph: the adjustment is checked against it, and DoWhy identifies the effect in it. Without one
                every covariate counts as a cause of treatment and outcome.
            timeout: seconds that each library may take, its import among them; one that takes longer is ended
                and has failed.
            on_library: called with the name of each library before it is asked.

        Raises:
            CausalDataError: the table cannot be asked this, or the covariates do not fit the graph.
        """
        self._refuse_libraries(libraries)
        if not 2 <= folds <= LEAST_ROWS or seed < 0 or not timeout > 0:
            raise CausalDataError(
                f"{folds} folds, seed {seed} and a timeout of {timeout} s",
                f"Give 2 to {LEAST_ROWS} folds, a seed of 0 or more, and a timeout above 0.",
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
        result = CrossValidation(
            "not_identified", treatment, outcome, adjusted, len(data.y), folds, seed,
            without_outcome=int(frame[outcome].isna().sum()),
        )  # fmt: skip
        question, refusal = pose(data, arrows(data, treatment, outcome, adjusted, graph), folds, seed)
        if refusal:
            return replace(result, explanation=refusal)
        answers = []
        for name in libraries:
            on_library(name)
            answers.append(ask_apart(name, self.known[name], question, timeout))
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
