"""What to do next for a service: pure, of what is wanted and what runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

FAILURES = 3
"""Failed health checks in a row, or starts of a release, after which something else is done (guide)."""
ERROR_RATE = 0.05
"""Share of requests answered with an error above which a switch is taken back (guide)."""

Phase = Literal["empty", "starting", "ready", "dead"]


@dataclass(frozen=True)
class Wanted:
    """What a service is to answer with.

    Attributes:
        release: the one that is to answer.
        confirmed: whether it is on record as answering.
        previous: the one to go back to; None where there is none.
    """

    release: str
    confirmed: bool = False
    previous: str | None = None


@dataclass(frozen=True)
class Slot:
    """One of the two places for a service's process, as it was observed.

    Attributes:
        release: what runs there, or ran; None where nothing has.
        phase: `dead` is a process that is gone, or that did not become ready in time.
        active: the router is told to ask it.
        starts: of this release here, since it was last found healthy.
        failed_checks: health checks that failed in a row.
        unreachable: whether the last one got no answer at all.
        error_rate: of its requests, while the switch to it is being watched; None afterwards.
        refusal: why its release is not to answer: it could not be built, or answers otherwise than it should.
    """

    name: str
    release: str | None = None
    phase: Phase = "empty"
    active: bool = False
    starts: int = 0
    failed_checks: int = 0
    unreachable: bool = False
    error_rate: float | None = None
    refusal: str | None = None

    @property
    def answers(self) -> bool:
        """Whether the router asks it and it can answer."""
        return self.active and self.phase == "ready"

    @property
    def trouble(self) -> str | None:
        """What speaks for going back to the release before."""
        if self.failed_checks >= FAILURES:
            return f"{self.failed_checks} health checks in a row failed"
        if self.error_rate is not None and self.error_rate > ERROR_RATE:
            return f"{self.error_rate:.1%} of the requests since the switch were answered with an error"
        return None


class Action(StrEnum):
    """What can be done about a difference."""

    REST = "rest"
    START = "start"
    STOP = "stop"
    SWITCH = "switch"
    RETIRE = "retire"
    CONFIRM = "confirm"
    GIVE_UP = "give_up"
    ROLL_BACK = "roll_back"
    REPORT = "report"


@dataclass(frozen=True)
class Step:
    """The next thing to do.

    Attributes:
        slot: in which it is done.
        release: which one is started.
        reason: why, where something went wrong.
    """

    action: Action
    slot: str | None = None
    release: str | None = None
    reason: str = ""


REST = Step(Action.REST)


def next_step(wanted: Wanted | None, slots: Sequence[Slot]) -> Step:
    """One step towards what is wanted; asked again after each, it ends with rest.

    Where nothing is wanted, nothing is to answer. Else requests are answered all the while: a slot is retired
    only when another answers, and nothing that answers is stopped to make room.
    """
    if wanted is None:
        return _shut(slots)
    target = _of(slots, wanted.release)
    if all(slot.active for slot in slots):
        return _retire_one(target, slots)
    if not any(slot.answers for slot in slots) and (stand_in := _stand_in(wanted, target, slots)):
        return Step(Action.SWITCH, stand_in.name)
    if target is None:
        return _make_room(wanted.release, slots)
    if target.refusal:
        return _without(wanted, target, target.refusal)
    if target.phase in ("dead", "empty"):
        return _start_again(wanted, target)
    if target.phase == "starting":
        return REST
    if not target.active:
        return Step(Action.SWITCH, target.name)
    if not wanted.confirmed:
        return Step(Action.CONFIRM, target.name)
    return _look_after(wanted, target, slots)


def _shut(slots: Sequence[Slot]) -> Step:
    """Nothing is to answer any more: first nobody is asked, then nobody runs."""
    for action, concerned in (
        (Action.RETIRE, [slot for slot in slots if slot.active]),
        (Action.STOP, [slot for slot in slots if slot.phase in ("starting", "ready")]),
    ):
        if concerned:
            return Step(action, concerned[0].name)
    return REST


def _of(slots: Sequence[Slot], release: str) -> Slot | None:
    """The slot of a release; of two, the one that answers, else the one further on."""
    return max(
        (slot for slot in slots if slot.release == release),
        key=lambda slot: (slot.answers, slot.phase == "ready", slot.phase == "starting"),
        default=None,
    )


def _retire_one(target: Slot | None, slots: Sequence[Slot]) -> Step:
    """Both are asked: a switch that was interrupted, or whose old process died meanwhile."""
    stays = target if target and target.phase == "ready" and not target.refusal else None
    stays = stays or next((slot for slot in slots if slot.phase == "ready"), slots[0])
    return Step(Action.RETIRE, next(slot.name for slot in slots if slot is not stays))


def _stand_in(wanted: Wanted, target: Slot | None, slots: Sequence[Slot]) -> Slot | None:
    """Who answers while nobody does: the wanted release, else the one before it."""
    previous = _of(slots, wanted.previous) if wanted.previous else None
    ready = [slot for slot in (target, previous) if slot and slot.phase == "ready" and not slot.refusal]
    return ready[0] if ready else None


def _make_room(release: str, slots: Sequence[Slot]) -> Step:
    spare = min(slots, key=lambda slot: (slot.answers, slot.active, slot.phase != "empty"))
    if spare.phase in ("starting", "ready"):
        return Step(Action.STOP, spare.name)
    return Step(Action.START, spare.name, release)


def _start_again(wanted: Wanted, target: Slot) -> Step:
    if target.starts >= FAILURES and (wanted.previous or not wanted.confirmed):
        return _without(wanted, target, f"its process ended, {target.starts} times in a row")
    return Step(Action.START, target.name, wanted.release)


def _without(wanted: Wanted, target: Slot, reason: str) -> Step:
    """What is done without the wanted release: it never answered, or the one before takes over."""
    if not wanted.confirmed:
        return Step(Action.GIVE_UP, target.name, reason=reason)
    if wanted.previous:
        return Step(Action.ROLL_BACK, target.name, reason=reason)
    return Step(Action.REPORT, target.name, reason=reason)


def _look_after(wanted: Wanted, target: Slot, slots: Sequence[Slot]) -> Step:
    """The wanted release answers: is it well, and is the one before it warm?"""
    if target.trouble and wanted.previous:
        return Step(Action.ROLL_BACK, target.name, reason=target.trouble)
    if target.trouble and target.unreachable:
        return Step(Action.STOP, target.name, reason=target.trouble)  # to be started again
    if target.trouble:
        return Step(Action.REPORT, target.name, reason=target.trouble)
    (other,) = (slot for slot in slots if slot is not target)
    lost = other.phase in ("dead", "empty") and other.release in (None, wanted.previous)
    if wanted.previous and lost and not other.refusal and other.starts < FAILURES:
        return Step(Action.START, other.name, wanted.previous)
    return REST
