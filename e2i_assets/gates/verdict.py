"""What a gate says: passed or not, why, with which figures, and what to do next. Knows nothing of Dagster."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2i_assets.errors import E2IError

Figure = str | int | float | bool | None


@dataclass(frozen=True)
class Verdict:
    """One gate's judgement.

    Attributes:
        reason: a short constant that names the kind of failure (`score_below_threshold`), or `ok`.
        message: the rule, the figure and the threshold, in a sentence.
        figures: what was measured and compared.
        next_step: what to do about a failure.
        rows: each thing that was found, where there are several.
    """

    passed: bool
    reason: str
    message: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    next_step: str = ""
    rows: tuple[Mapping[str, Figure], ...] = ()

    @property
    def summary(self) -> str:
        """The message, and what to do next where something is to be done."""
        return f"{self.message.rstrip('.')}. {self.next_step}" if self.next_step else self.message


def ok(message: str, **figures: Figure) -> Verdict:
    """A gate that passed."""
    return Verdict(True, "ok", message, _plain(figures))


def not_asked_for(message: str) -> Verdict:
    """A gate that passes only because the configuration states that what it guards is not asked for."""
    return Verdict(True, "not_asked_for", message)


def refuse(
    reason: str,
    message: str,
    next_step: str,
    rows: Iterable[Mapping[str, Figure]] = (),
    /,
    **figures: Figure,
) -> Verdict:
    """A gate that blocks, with a row of each thing that was found."""
    return Verdict(False, reason, message, _plain(figures), next_step, tuple(map(_plain, rows)))


def _plain(figures: Mapping[str, Figure]) -> dict[str, Figure]:
    """JSON has no NaN and no infinity; they are written as text."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in figures.items()
    }


def refusal(error: E2IError | ImportError) -> Verdict:
    """What a gate says of what could not even be made: bad data, or a library that is not there."""
    if isinstance(error, ImportError):
        library = error.name or "unnamed"
        return refuse(
            "missing_library",
            f"the library {library} cannot be imported.",
            "Install what is pinned (uv pip install -r requirements.lock) and run again.",
            library=library,
        )
    return refuse(error.code, str(error), error.next_step)


def not_judged(because: str) -> Verdict:
    """A gate that blocks for want of something to judge, which another gate tells the reason of."""
    return refuse(
        "not_judged", f"not judged, because {because} refuses.", f"Do what {because} says, and run again."
    )


@dataclass(frozen=True)
class Gate:
    """A rule that guards an asset: its name, what it holds, and the pure function that judges.

    Attributes:
        answers_for: kinds or codes of the stage's refusals that this gate tells; the first gate tells others.
    """

    name: str
    description: str
    judge: Callable[[Any], Verdict]
    answers_for: tuple[str, ...] = ()

    def verdict(self, gate_input: Any) -> Verdict:
        """Judge; a judge that raises, or answers with anything but a verdict, blocks.

        The exception's own text is left out: it may quote a patient's values.
        """
        try:
            answer = self.judge(gate_input)
        except ImportError as error:
            return refusal(error)
        except Exception as error:  # noqa: BLE001 -- whatever goes wrong in a gate, the gate is closed
            last = traceback.extract_tb(error.__traceback__)[-1]
            raised_at = f"{Path(last.filename).name}:{last.lineno}"
            return refuse(
                "gate_error",
                f"{self.name} could not be evaluated: {type(error).__name__} at {raised_at}.",
                "Mend what raised it, or report a fault of the gate; nothing is published until it judges.",
                exception=type(error).__name__,
                raised_at=raised_at,
            )
        if not isinstance(answer, Verdict):
            return refuse(
                "gate_error", f"{self.name} gave no verdict", "Return a Verdict from the gate's judge."
            )
        return answer


def refusals(gates: Sequence[Gate], error: E2IError | ImportError) -> dict[str, Verdict]:
    """The verdicts of all gates when the stage could make nothing: the reason is told once."""
    names = {kind.__name__ for kind in type(error).__mro__} | {getattr(error, "code", "")}
    owner = next((gate.name for gate in gates if names & set(gate.answers_for)), gates[0].name)
    return {gate.name: refusal(error) if gate.name == owner else not_judged(owner) for gate in gates}
