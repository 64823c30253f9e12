"""What the reconciler does next, for every state that two slots can be in."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from e2i_assets.deployment.decision import REST, Action, Slot, Step, Wanted, next_step

NEW, OLD = "new", "old"
WANTED = Wanted(NEW, confirmed=True, previous=OLD)
FIRST = Wanted(NEW)


def slot(name: str, release: str | None = None, phase: str = "empty", **facts: object) -> Slot:
    return Slot(name, release, phase, **facts)  # type: ignore[arg-type]


def blue(*given: str | None, **facts: object) -> Slot:
    return slot("blue", *given, **facts)  # type: ignore[arg-type]


def green(*given: str | None, **facts: object) -> Slot:
    return slot("green", *given, **facts)  # type: ignore[arg-type]


ANSWERING = blue(NEW, "ready", active=True)
WARM = green(OLD, "ready")
CASES = {
    "nothing is wanted": (None, blue(), green(), REST),
    "what answers and is not wanted any more is asked no more": (
        None, ANSWERING, WARM, Step(Action.RETIRE, "blue"),
    ),
    "then it is stopped": (None, replace(ANSWERING, active=False), WARM, Step(Action.STOP, "blue")),
    "and so is the warm one": (None, blue(NEW, "dead"), WARM, Step(Action.STOP, "green")),
    "the first release starts": (FIRST, blue(), green(), Step(Action.START, "blue", NEW)),
    "it is waited for": (FIRST, blue(NEW, "starting"), green(), REST),
    "it takes over": (FIRST, blue(NEW, "ready"), green(), Step(Action.SWITCH, "blue")),
    "it is put on record": (FIRST, ANSWERING, green(), Step(Action.CONFIRM, "blue")),
    "all is well": (WANTED, ANSWERING, WARM, REST),
    "alone is well": (Wanted(NEW, True), ANSWERING, green(), REST),
    "the next starts beside": (
        Wanted("next", previous=NEW), ANSWERING, green(), Step(Action.START, "green", "next"),
    ),
    "the warm one makes room": (Wanted("next", previous=NEW), ANSWERING, WARM, Step(Action.STOP, "green")),
    "a wish that was changed makes room": (
        Wanted("next", previous=NEW), ANSWERING, green("other", "starting"), Step(Action.STOP, "green"),
    ),
    "the next takes over": (
        Wanted("next", previous=NEW), ANSWERING, green("next", "ready"), Step(Action.SWITCH, "green"),
    ),
    "an interrupted switch is ended": (
        Wanted("next", previous=NEW), ANSWERING, green("next", "ready", active=True), Step(Action.RETIRE, "blue"),
    ),
    "a switch to a process that died is taken back": (
        Wanted("next", previous=NEW), ANSWERING, green("next", "dead", active=True), Step(Action.RETIRE, "green"),
    ),
    "the old one died in the switch": (
        Wanted("next", previous=NEW), replace(ANSWERING, phase="dead"), green("next", "ready", active=True),
        Step(Action.RETIRE, "blue"),
    ),
    "green is killed before the switch": (
        Wanted("next", previous=NEW), ANSWERING, green("next", "dead", starts=1), Step(Action.START, "green", "next"),
    ),
    "green is killed three times": (
        Wanted("next", previous=NEW), ANSWERING, green("next", "dead", starts=3),
        Step(Action.GIVE_UP, "green", reason="its process ended, 3 times in a row"),
    ),
    "green answers wrong": (
        Wanted("next", previous=NEW), ANSWERING, green("next", "ready", refusal="wrong"),
        Step(Action.GIVE_UP, "green", reason="wrong"),
    ),
    "blue is killed after the switch": (
        WANTED, ANSWERING, green(OLD, "dead", starts=1), Step(Action.START, "green", OLD),
    ),
    "the warm one does not start any more": (WANTED, ANSWERING, green(OLD, "dead", starts=3), REST),
    "nothing is warm yet": (WANTED, ANSWERING, green(), Step(Action.START, "green", OLD)),
    "what was rolled back stays warm": (WANTED, ANSWERING, green("bad", "ready"), REST),
    "who answers is killed, the old one stands in": (
        WANTED, blue(NEW, "dead", active=True), WARM, Step(Action.SWITCH, "green"),
    ),
    "then it is started again": (
        WANTED, blue(NEW, "dead"), replace(WARM, active=True), Step(Action.START, "blue", NEW),
    ),
    "and takes over again": (WANTED, blue(NEW, "ready"), replace(WARM, active=True), Step(Action.SWITCH, "blue")),
    "who answers is killed, nothing is warm": (
        Wanted(NEW, True), blue(NEW, "dead", active=True, starts=9), green(), Step(Action.START, "blue", NEW),
    ),
    "who answers keeps ending": (
        WANTED, blue(NEW, "dead", starts=3), replace(WARM, active=True),
        Step(Action.ROLL_BACK, "blue", reason="its process ended, 3 times in a row"),
    ),
    "three failed checks": (
        WANTED, replace(ANSWERING, failed_checks=3), WARM,
        Step(Action.ROLL_BACK, "blue", reason="3 health checks in a row failed"),
    ),
    "two failed checks": (WANTED, replace(ANSWERING, failed_checks=2), WARM, REST),
    "errors after a switch": (
        WANTED, replace(ANSWERING, error_rate=0.051), WARM,
        Step(Action.ROLL_BACK, "blue", reason="5.1% of the requests since the switch were answered with an error"),
    ),
    "as many as allowed": (WANTED, replace(ANSWERING, error_rate=0.05), WARM, REST),
    "unhealthy with nothing to go back to": (
        Wanted(NEW, True), replace(ANSWERING, failed_checks=3), green(),
        Step(Action.REPORT, "blue", reason="3 health checks in a row failed"),
    ),
    "hung with nothing to go back to": (
        Wanted(NEW, True), replace(ANSWERING, failed_checks=3, unreachable=True), green(),
        Step(Action.STOP, "blue", reason="3 health checks in a row failed"),
    ),
    "a warm release is rolled back to at once": (
        Wanted(OLD, previous=NEW), ANSWERING, WARM, Step(Action.SWITCH, "green"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_next_step(case: str) -> None:
    wanted, one, other, step = CASES[case]
    assert next_step(wanted, (one, other)) == step


def slots(name: str) -> list[Slot]:
    kinds = [slot(name)]
    for release, phase in product((NEW, OLD, "bad"), ("starting", "ready", "dead")):
        for active, refusal, starts in product((False, True), (None, "wrong"), (1, 3)):
            kinds.append(slot(name, release, phase, active=active, refusal=refusal, starts=starts))
    return kinds


WISHES: list[Wanted | None] = [None]
WISHES += [Wanted(NEW, confirmed, previous) for confirmed in (False, True) for previous in (None, OLD)]


@pytest.mark.parametrize("wanted", WISHES, ids=str)
def test_whatever_runs_the_steps_lead_to_rest_and_take_no_answer_away(wanted: Wanted | None) -> None:
    """Every pair of slots there is; each step is done as the reconciler does it, each start succeeds."""
    for pair in product(slots("blue"), slots("green")):
        wish = wanted
        state = {one.name: one for one in pair}
        for _ in range(20):
            step = next_step(wish, list(state.values()))
            answered = any(one.answers for one in state.values())
            if step.action in (Action.REST, Action.REPORT):
                ready = {k: replace(v, phase="ready") for k, v in state.items() if v.phase == "starting"}
                if not ready:
                    break
                state |= ready
                continue
            wish = done(step, wish, state)
            assert any(one.answers for one in state.values()) or not answered or wish is None, (pair, step)
        else:
            pytest.fail(f"{wanted} and {pair} never come to rest")
        if wish is None:
            assert not any(one.active or one.phase == "ready" for one in state.values()), pair
        elif wanted and wish == replace(wanted, confirmed=True) and step.action is Action.REST:
            (asked,) = [one for one in state.values() if one.active]
            assert (asked.release, asked.phase) == (NEW, "ready"), pair


def done(step: Step, wanted: Wanted | None, state: dict[str, Slot]) -> Wanted | None:
    """What is wanted after a step; changes the state of the slots."""
    name = str(step.slot)
    assert wanted or step.action in (Action.RETIRE, Action.STOP)
    match step.action:
        case Action.START:
            state[name] = Slot(name, step.release, "starting")
        case Action.STOP:
            assert not state[name].answers
            state[name] = Slot(name)
        case Action.SWITCH:
            assert state[name].phase == "ready"
            assert not state[name].refusal
            for other in state:
                state[other] = replace(state[other], active=other == name)
        case Action.RETIRE:
            state[name] = replace(state[name], active=False)
        case Action.CONFIRM:
            assert wanted
            return replace(wanted, confirmed=True)
        case Action.GIVE_UP:
            assert wanted
            state[name] = Slot(name) if not state[name].active else state[name]
            return Wanted(wanted.previous, True) if wanted.previous else None
        case Action.ROLL_BACK:
            assert wanted
            return Wanted(str(wanted.previous), previous=None)
    return wanted
