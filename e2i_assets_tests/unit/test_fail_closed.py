"""Every gate refuses what it cannot judge, with a typed reason and a next step. A new gate must join."""

from __future__ import annotations

import json
import pkgutil
from dataclasses import replace
from functools import cache
from importlib import import_module

import pytest

from e2i_assets import gates
from e2i_assets.build import build_assets
from e2i_assets.errors import E2IError
from e2i_assets.gates.verdict import Gate, Verdict, refusal, refuse
from e2i_assets.json_files import to_json
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.resources.io_manager import GATES
from e2i_assets_tests.conftest import ROOT
from e2i_assets_tests.unit.fail_closed import (
    HAZARDS,
    Case,
    cohort,
    deployment,
    effects,
    hidden,
    kpis,
    leakage,
    models,
    qc,
    registry,
    splits,
    watching,
)  # fmt: skip

REGISTERS = (
    qc.CASES, cohort.CASES, leakage.CASES, splits.CASES, models.CASES, effects.CASES, registry.CASES,
    deployment.CASES, watching.CASES, kpis.CASES,
)  # fmt: skip
REGISTER = {gate: cases for register in REGISTERS for gate, cases in register.items()}
RULES = {
    gate.name: gate
    for module in pkgutil.iter_modules(gates.__path__, "e2i_assets.gates.")
    for gate in vars(import_module(module.name)).values()
    if isinstance(gate, Gate)
}


@cache
def guards() -> set[str]:
    """The gates that an asset declares."""
    specs = [
        spec
        for asset in build_assets(list(load_scopes(ROOT / "config/scopes").values()))
        for spec in asset.specs
    ]
    return {gate for spec in specs for gate in spec.metadata.get(GATES, ())}


def warnings() -> set[str]:
    """The checks of assets that only warn."""
    assets = build_assets(list(load_scopes(ROOT / "config/scopes").values()))
    return {check.name for asset in assets for check in asset.check_specs if not check.blocking}


def verdict(gate: Gate, case: Case) -> Verdict:
    """As the gated stage does it: a refusal of the computation is the verdict, else the gate judges."""
    with hidden(case.without):
        try:
            subject = case.make()
        except (E2IError, ImportError) as error:
            return refusal(error)
        return gate.verdict(subject)


def test_every_gate_has_a_case_of_every_hazard() -> None:
    assert sorted(gate for register in REGISTERS for gate in register) == sorted(RULES)
    missing = {gate: sorted(set(HAZARDS) ^ set(cases)) for gate, cases in REGISTER.items()}
    assert not {gate: hazards for gate, hazards in missing.items() if hazards}


def test_every_gate_guards_an_asset() -> None:
    assert guards() | warnings() == set(RULES)
    assert not guards() & warnings()


@pytest.mark.parametrize(
    ("gate", "hazard"), [(gate, hazard) for gate, cases in REGISTER.items() for hazard in cases]
)
def test_a_gate_is_closed_by(gate: str, hazard: str) -> None:
    case = REGISTER[gate][hazard]
    answer = verdict(RULES[gate], case)
    assert not answer.passed, answer.message
    assert answer.reason == case.reason, answer.message
    assert (answer.reason == "gate_error") == (hazard == "exception inside")
    assert len(answer.message) > 10
    assert len(answer.next_step) > 10
    assert "17" not in str(to_json(answer))


def test_figures_that_json_does_not_know_are_kept_as_text() -> None:
    result = refuse(
        "differs", "the figures differ.", "Compute them again.", gap=float("nan"), top=float("inf")
    )
    assert json.loads(json.dumps(to_json(result), allow_nan=False))["figures"] == {"gap": "nan", "top": "inf"}


def test_an_audit_of_columns_that_nobody_declared_asks_for_their_availability() -> None:
    ((target, report),) = leakage.audited(leakage.frame()).leakage.items()
    undeclared = replace(report, examined={**report.examined, "availability": 0}, undeclared=("dose", "arm"))
    answer = RULES["no_leakage"].verdict(leakage.made(undeclared))
    assert (answer.passed, answer.reason) == (False, "nothing_declared")
    assert answer.message == f"of no feature for {target} has anybody said when it is known: dose, arm."
    assert "available_at: index" in answer.next_step
