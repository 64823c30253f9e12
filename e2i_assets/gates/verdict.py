"""What a gate says: passed or not, why, with which figures, and what to do next. Knows nothing of Dagster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Figure = str | int | float | bool | None


@dataclass(frozen=True)
class Verdict:
    """One gate's judgement.

    Attributes:
        reason: a short constant that names the kind of failure (`score_below_threshold`), or `ok`.
        message: the rule, the figure and the threshold, in a sentence.
        figures: what was measured and compared.
        next_step: what to do about a failure.
    """

    passed: bool
    reason: str
    message: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    next_step: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "passed": self.passed, "reason": self.reason, "message": self.message,
            "figures": dict(self.figures), "next_step": self.next_step,
        }  # fmt: skip


def ok(message: str, **figures: Figure) -> Verdict:
    """A gate that passed."""
    return Verdict(True, "ok", message, figures)


def refuse(reason: str, message: str, next_step: str, **figures: Figure) -> Verdict:
    """A gate that blocks."""
    return Verdict(False, reason, message, figures, next_step)


@dataclass(frozen=True)
class Gate:
    """A rule that guards an asset: its name, what it holds, and the pure function that judges."""

    name: str
    description: str
    judge: Callable[[Any], Verdict]

    def verdict(self, subject: Any) -> Verdict:
        """Judge; a judge that raises, or answers with anything but a verdict, blocks.

        The exception's own text is left out: it may quote a patient's values.
        """
        try:
            answer = self.judge(subject)
        except Exception as error:  # noqa: BLE001 -- whatever goes wrong in a gate, the gate is closed
            return refuse(
                "gate_error",
                f"{self.name} could not be evaluated: {type(error).__name__}",
                "Read the stack of this exception in the run's log, mend its cause and run again.",
                exception=type(error).__name__,
            )
        if not isinstance(answer, Verdict):
            return refuse(
                "gate_error", f"{self.name} gave no verdict", "Return a Verdict from the gate's judge."
            )
        return answer
