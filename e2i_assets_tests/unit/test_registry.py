"""The registry's rules, people and ledger, without a database."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2i_assets.errors import E2IError
from e2i_assets.registry.errors import RegistryError
from e2i_assets.registry.evidence import ShadowEvidence
from e2i_assets.registry.ledger import Entry, Model, Version, version_number
from e2i_assets.registry.people import require_person, same_person
from e2i_assets.registry.promotion import require_clock, requirements, shadow_requirements
from e2i_assets.registry.rollback import rolled_back
from e2i_assets.registry.rules import FILE, PromotionRules
from e2i_assets.registry.stages import MOVES, STAGES, require_move, require_stage
from e2i_assets_tests.conftest import CONFIG

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
RULES = PromotionRules.of(CONFIG)
NAME = "e2i-conversion-p"
GOOD = {"auc": 0.85, "samples": 2000}


def day(number: float) -> dt.datetime:
    return START + dt.timedelta(days=number)


def version(number: int = 1, **changes: Any) -> Version:
    of = Version(
        model_name=NAME, scope="conversion", partition="p", problem_type="binary_classification",
        algorithm="LightGBM", model_fingerprint="f", service="classification-service",
        bento_tag=f"{NAME}:{number}", files_hash=f"{number:016x}", data_version="d", trained_on={},
        metrics={"auc": 0.85}, samples={"train": 2000}, mlflow_run_id="m", run_id="r", version=number,
        mlflow_version=number, created_at=START,
    )  # fmt: skip
    return replace(of, **changes)


def ledger(*moves: tuple[int, str | None, str, float], event: str = "moved") -> Model:
    """A model by its moves: version, from, to, day."""
    entries = [
        Entry(
            NAME,
            i + 1,
            number,
            "registered" if before is None else event,
            before,
            after,
            "e2i",
            "root",
            day(at),
        )
        for i, (number, before, after, at) in enumerate(moves)
    ]
    return Model(NAME, [version(number) for number in sorted({move[0] for move in moves})], entries)


REPLACED = ledger(
    (1, None, "development", 0), (1, "development", "staging", 0), (1, "staging", "shadow", 1),
    (2, None, "development", 2), (2, "development", "staging", 2), (1, "shadow", "production", 9),
    (2, "staging", "shadow", 10), (1, "production", "staging", 20), (2, "shadow", "production", 20),
)  # fmt: skip


def test_moves_go_from_stage_to_stage_and_nowhere_else() -> None:
    assert set(MOVES) == set(STAGES)
    for before in STAGES:
        for after in STAGES:
            if after in MOVES[before]:
                require_move("m", before, after)
            else:
                with pytest.raises(RegistryError) as refused:
                    require_move("m", before, after)
                assert refused.value.code == ("already_there" if before == after else "no_such_move")
    assert "production" not in MOVES["staging"]
    with pytest.raises(RegistryError, match="no stage 'Prodution'") as refused:
        require_stage("Prodution")
    assert "Did you mean production?" in refused.value.next_step


def test_what_was_in_production_on_a_day() -> None:
    answers = [REPLACED.champion(day(at)) for at in (0, 8.9, 9, 19, 20, 400)]
    assert [version and version.version for version in answers] == [None, None, 1, 1, 2, 2]
    assert REPLACED.stages() == {1: "staging", 2: "production"}
    assert REPLACED.left_production(1) == day(20)
    assert REPLACED.left_production(2) is None


@pytest.mark.parametrize(
    ("stages", "left", "target", "after"),
    [
        ({1: "staging", 2: "staging"}, 2, 1, {2: "development"}),
        ({1: "staging", 2: "staging", 3: "staging"}, 3, 1, {3: "development", 2: "development"}),
        ({1: "staging", 2: "production", 3: "shadow"}, 2, 1, {2: "development"}),
        ({1: "shadow", 2: "staging"}, 2, 1, {2: "development"}),
        ({1: "staging", 2: "staging"}, 2, 2, {}),
        ({1: "production", 2: "staging"}, 2, 1, {}),
        ({1: "staging"}, 1, None, {1: "development"}),
        ({1: "archived"}, 1, None, {}),
    ],
)
def test_what_is_rolled_back_waits_in_development(
    stages: dict[int, str], left: int, target: int | None, after: dict[int, str]
) -> None:
    model = ledger(*((number, None, stage, 0) for number, stage in stages.items()))
    entries = rolled_back(model, left, target, by="Anna Smith", note="errors", at=day(1))
    assert {one.version: one.to_stage for one in entries} == after
    assert {(one.actor, one.note) for one in entries} <= {("Anna Smith", "rolled back: errors")}
    since = Model(NAME, model.versions, [*model.entries, *entries])
    if target is not None:
        assert next(of.version for of, role in since.served() if role == "active") == target


def test_what_was_in_production_is_there_again_after_a_rollback() -> None:
    entries = rolled_back(REPLACED, 2, 1, by="e2i", note="errors", at=day(21))
    assert [(one.sequence, one.version, one.from_stage, one.to_stage) for one in entries] == [
        (10, 2, "production", "staging"),
        (11, 1, "staging", "production"),
    ]
    with pytest.raises(RegistryError, match="has an entry of"):
        rolled_back(REPLACED, 2, 1, by="e2i", note="errors", at=day(19))


@pytest.mark.parametrize("stage", ["development", "archived"])
def test_nothing_is_rolled_back_to_that_may_not_answer(stage: str) -> None:
    model = ledger((1, None, stage, 0), (2, None, "staging", 0))
    with pytest.raises(RegistryError, match=f"version 1 is in {stage}") as refused:
        rolled_back(model, 2, 1, by="Anna Smith", note="errors", at=day(1))
    assert "e2i models promote" in refused.value.next_step


@pytest.mark.parametrize(
    ("stages", "served"),
    [
        ({1: "production", 2: "staging"}, {1: "active"}),
        ({1: "production", 2: "shadow", 3: "shadow"}, {1: "active", 2: "shadow", 3: "shadow"}),
        ({1: "staging", 2: "staging"}, {2: "active"}),
        ({1: "staging", 2: "shadow"}, {1: "active", 2: "shadow"}),
        ({1: "shadow", 2: "shadow"}, {2: "active", 1: "shadow"}),
        ({1: "development", 2: "archived"}, {}),
    ],
)
def test_which_versions_a_service_loads(stages: dict[int, str], served: dict[int, str]) -> None:
    model = ledger(*((number, None, stage, 0) for number, stage in stages.items()))
    assert {of.version: role for of, role in model.served()} == served


def test_a_request_is_open_until_the_version_moves() -> None:
    asked = replace(REPLACED.entries[-1], sequence=10, version=1, event="requested", to_stage="production")
    model = Model(NAME, REPLACED.versions, [*REPLACED.entries, asked])
    assert model.open_request(1) == asked
    assert model.open_request(2) is None
    assert model.stages() == REPLACED.stages()
    moved = replace(asked, sequence=11, event="moved", to_stage="archived")
    assert Model(NAME, model.versions, [*model.entries, moved]).open_request(1) is None


@pytest.mark.parametrize(
    ("stage", "evidence", "missing"),
    [
        ("staging", {"auc": 0.70, "samples": 100}, set()),
        ("staging", {"auc": 0.6999, "samples": 99}, {"min_auc", "min_samples"}),
        ("staging", {"auc": None, "samples": None}, {"min_auc", "min_samples"}),
        ("staging", {}, {"min_auc", "min_samples"}),
        ("staging", {"auc": float("nan"), "samples": 100}, {"min_auc"}),
        ("shadow", {"auc": 0.7499, "samples": 100}, {"min_auc"}),
        ("shadow", {"auc": 0.75, "samples": 100}, set()),
        ("production", {"auc": 0.7999, "samples": 999}, {"min_auc", "min_samples"}),
        ("production", GOOD, set()),
    ],
)  # fmt: skip
def test_the_guides_thresholds(stage: str, evidence: dict[str, Any], missing: set[str]) -> None:
    of = version(metrics=evidence, samples={"train": evidence.get("samples"), "test": 9999})
    judged = requirements(RULES, of, stage)
    assert {one.name for one in judged if not one.met} == missing
    assert {one.name for one in judged} == {"min_auc", "min_samples"}


@pytest.mark.parametrize(
    ("metrics", "missing"),
    [
        ({"interval_width": 0.4, "effective_samples": 30.0, "refuted": 0}, set()),
        ({"interval_width": 0.41, "effective_samples": 29.9, "refuted": 1}, {"max_interval_width", "min_effective_samples", "max_refuted"}),
        ({"interval_width": 0.2, "effective_samples": 90.0, "refuted": None}, {"max_refuted"}),
    ],
)  # fmt: skip
def test_an_effect_is_judged_by_its_interval_overlap_and_refutations(
    metrics: dict[str, float | None], missing: set[str]
) -> None:
    judged = requirements(RULES, version(problem_type="causal_inference", metrics=metrics), "staging")
    assert {one.name for one in judged if not one.met} == missing


ENOUGH = ShadowEvidence(day(0), day(6.9), 7, 1000, 10, 150.0, 0.01)


@pytest.mark.parametrize(
    ("evidence", "now", "missing"),
    [
        (ENOUGH, 7, set()),
        (ENOUGH, 6.99, {"shadow_days"}),
        (replace(ENOUGH, days=6), 30, {"shadow_days"}),
        (replace(ENOUGH, requests=999, errors=0), 7, {"shadow_requests"}),
        (replace(ENOUGH, errors=11), 7, {"shadow_error_rate"}),
        (replace(ENOUGH, latency_p99_ms=150.1), 7, {"shadow_latency_p99_ms"}),
        (replace(ENOUGH, latency_p99_ms=None), 7, {"shadow_latency_p99_ms"}),
        (ShadowEvidence(), 30, {"shadow_days", "shadow_requests", "shadow_error_rate", "shadow_latency_p99_ms"}),
        (replace(ENOUGH, last=day(8)), 7, {"shadow_clock"}),
        (ENOUGH, -1, {"shadow_clock", "shadow_days"}),
    ],
)  # fmt: skip
def test_production_needs_seven_days_of_shadow(
    evidence: ShadowEvidence, now: float, missing: set[str]
) -> None:
    judged = shadow_requirements(RULES, START, evidence, day(now))
    assert {one.name for one in judged if not one.met} == missing


def test_time_does_not_run_backwards() -> None:
    require_clock(REPLACED, day(20))
    with pytest.raises(RegistryError, match="the ledger of e2i-conversion-p has an entry of 2026-01-21"):
        require_clock(REPLACED, day(19.9))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna Smith", "anna  SMITH"), ("Anna Smith", "Smith, Anna"), ("Anna Smith", "anna.smith@example.com"),
        ("Anna Smith", "a.smith"), ("Anna Smith", "asmith"), ("Anna Smith", "annas"), ("Anna Smith", "Anna"),
        ("Anna Maria Smith", "Anna Smith"), ("José Muñoz", "jose munoz"), ("annasmith", "Anna Smith"),
        ("ＡＮＮＡ Smith", "anna smith"), ("anna@one.example", "anna@two.example"),
        ("Jörg Müller", "Joerg Mueller"), ("Jörg Müller", "Jorg Muller"), ("Åse Bø", "Aase Bo"),
        ("Łukasz Nowak", "Lukasz Nowak"), ("Đorđe Ælg", "Dorde Aelg"), ("Anna Smıth", "Anna Smith"),
        ("Jan Vanderberg", "Jan van der Berg"), ("Ann Mary McDonald", "Ann Mc Donald"),
        ("Sean O’Brien", "Sean OBrien"), ("An\u034fna Smith", "Anna Smith"), ("Анна Смит", "Anna Smith"),
    ],
)  # fmt: skip
def test_spellings_of_one_person(one: str, other: str) -> None:
    assert same_person(one, other)
    assert same_person(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna Smith", "Bert Smith"),
        ("Anna Smith", "Anna Jones"),
        ("asmith", "bsmith"),
        ("Anna", "Annabel"),
        ("Jörg Müller", "Joerg Moeller"),
        ("Jan van der Berg", "Jan van der Meer"),
        ("李明", "王芳"),
    ],
)
def test_two_people(one: str, other: str) -> None:
    assert not same_person(one, other)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "x",
        "17",
        "аnna smith",
        "anna\u200bsmith",
        "anna\nsmith\x00",
        "a" * 101,
        "ᴀnna smith",
        "Anna Sm1th",
        "a " * 11,
    ],
)
def test_what_is_no_persons_name(name: str) -> None:
    """Among them a Cyrillic first letter, a space of no width and a small capital."""
    with pytest.raises(RegistryError) as refused:
        require_person(name)
    assert refused.value.code == "no_such_person"


@pytest.mark.parametrize("given", [1, "1", "v1", " V1 "])
def test_versions_as_people_write_them(given: int | str) -> None:
    assert version_number(given) == 1


@pytest.mark.parametrize("given", ["", "latest", "1.0", "-1", "²", 1.5, "9" * 5000])
def test_what_is_no_version(given: Any) -> None:
    with pytest.raises(RegistryError, match="is no version"):
        version_number(given)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c["promotion"].pop("regression"), "state rules for regression as well"),
        (lambda c: c["promotion"].update(ranking=c["promotion"]["regression"]), "ranking: no such problem type"),
        (lambda c: c["promotion"]["regression"]["staging"].update(min_auc=0.7), "staging: min_auc: no such evidence"),
        (lambda c: c["promotion"]["regression"]["shadow"].update(max_r2=0.7), "max_r2 asks for worse; write min_r2"),
        (lambda c: c["promotion"]["regression"].update(staging={}), "state at least one criterion"),
        (lambda c: c["promotion"]["regression"].pop("production"), "production: Field required"),
        (lambda c: c["promotion"]["regression"]["staging"].update(min_r2="0.7"), "min_r2: Input should be a valid"),
        (lambda c: c["production"].update(approval_required=False), "approval_required: Input should be True"),
        (lambda c: c["shadow"].update(min_requests=0), "min_requests: Input should be greater"),
        (lambda c: c.pop("archived"), "archived: Field required"),
        (lambda c: c.update(deprecated={}), "deprecated: no such key"),
    ],
)  # fmt: skip
def test_what_the_file_cannot_say(tmp_path: Path, edit: Any, message: str) -> None:
    content = yaml.safe_load((CONFIG / FILE).read_text())
    edit(content)
    (tmp_path / "mlflow").mkdir()
    (tmp_path / FILE).write_text(yaml.safe_dump(content))
    with pytest.raises(E2IError) as refused:
        PromotionRules.of(tmp_path)
    assert message in str(refused.value)
    assert f"{tmp_path / FILE}:" in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(E2IError, match=r"mlflow\.yaml: cannot be read"):
        PromotionRules.of(tmp_path)
