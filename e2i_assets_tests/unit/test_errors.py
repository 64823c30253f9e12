"""Every error of the package has one base, says its kind and a next step, and survives another process."""

from __future__ import annotations

import ast
import builtins
import copy
import importlib
import inspect
import json
import pickle
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, get_args

import pytest

import e2i_assets
from e2i_assets.causal.report import Reason
from e2i_assets.cli.output import fail
from e2i_assets.cohorts.errors import CohortError
from e2i_assets.errors import CodedError, E2IError
from e2i_assets.gates.verdict import refusal
from e2i_assets.ingest.problems import LoadError, Problem
from e2i_assets.modeling.errors import SplitError
from e2i_assets.modeling.scopes.answerable import Obstacle
from e2i_assets_tests.conftest import ROOT as TOP

ROOT = Path(e2i_assets.__file__).parent
CARRIED = ("serving/server", "observability")
BUILT_IN = {
    name
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, BaseException)
}
BASES = {E2IError, CodedError}
"""What every kind shares; of the second there is no instance."""
PROBLEM = Problem("f.csv", "triggers", "hcp_id", "is null", 2, (3, 7))
VALUES: dict[Any, Any] = {
    "str": "said of it",
    "tuple[str, ...]": ("tables", "triggers"),
    "Sequence[Problem]": [PROBLEM],
    "Sequence[Obstacle]": [Obstacle("too_few", "12 patients, 100 are needed", "Wait for more data.")],
}
"""A value for each type that a constructor asks for."""


def classes() -> Iterator[tuple[Path, ast.ClassDef]]:
    """Of the package, but for what travels in bundles, without our base of errors."""
    carried = {path for folder in CARRIED for path in (ROOT / folder).rglob("*.py")}
    for path in sorted(set(ROOT.rglob("*.py")) - carried):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield path, node


def named(base: ast.expr) -> str:
    return base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""


def exception_types() -> list[type[Exception]]:
    """All of the package, found in its source: by a base of Python's, of a library's name, or of ours."""
    collected: dict[str, Path] = {}
    everything = list(classes())
    while True:
        more = {
            node.name: path
            for path, node in everything
            if any(
                (name := named(base)) in BUILT_IN
                or name in collected
                or re.search("(Error|Exception)$", name)
                for base in node.bases
            )
        }
        if more == collected:
            break
        collected = more
    return [getattr(importlib.import_module(_module(path)), name) for name, path in collected.items()]


def _module(path: Path) -> str:
    return ".".join(("e2i_assets", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


TYPES = exception_types()


def built(kind: type[Exception]) -> Any:
    """An instance, of a value for each parameter that its constructor requires."""
    given = []
    for parameter in inspect.signature(kind).parameters.values():
        if parameter.default is parameter.empty:
            if parameter.name == "code":
                given.append(next(iter(kind.next_steps)))  # type: ignore[attr-defined]
            else:
                given.append(VALUES[parameter.annotation])
    return kind(*given)


def carried(error: Exception) -> dict[str, Any]:
    assert isinstance(error, E2IError)
    return {
        "type": type(error), "text": str(error), "args": error.args, "code": error.code,
        "next_step": error.next_step, "exit_code": error.exit_code, "fields": vars(error),
    }  # fmt: skip


def test_the_walk_finds_them() -> None:
    assert len(TYPES) == len(set(TYPES)) > 40
    assert {E2IError, CohortError, LoadError, SplitError} <= set(TYPES)


@pytest.mark.parametrize("kind", [k for k in TYPES if k is not CodedError], ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling_and_copying(kind: type[Exception]) -> None:
    error = built(kind)
    assert isinstance(error, E2IError)
    assert re.fullmatch(r"[a-z_]+|CC_00\d", error.code)
    assert re.fullmatch(r"[A-Z`].{10,}", error.next_step)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert again is not error
        assert carried(again) == carried(error)


@pytest.mark.parametrize("kind", [k for k in TYPES if k not in BASES], ids=lambda kind: kind.__name__)
def test_a_kind_has_a_code_of_its_own(kind: type[E2IError]) -> None:
    others = {
        built(other).code
        for other in TYPES
        if issubclass(other, E2IError)
        and other not in BASES
        and not issubclass(kind, other)
        # Where each place gives the code, a narrower kind has those of its base.
        and not (issubclass(kind, CodedError) and issubclass(other, kind))
    }
    assert issubclass(kind, E2IError)
    assert built(kind).code not in others


def raise_far_away(error: Exception) -> None:
    raise error


def test_errors_come_back_from_a_process_pool() -> None:
    stated = SplitError("too few.", "Load more.", code="too_few_patients")
    lost = LoadError([PROBLEM], "and more")
    with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as pool:
        for error in (stated, lost, CohortError("CC_004", "dose is text")):
            back = pool.submit(raise_far_away, error).exception()
            assert isinstance(back, type(error))
            fields = carried(back)
            assert fields | {"fields": vars(error)} == carried(error)
            assert {name: fields["fields"][name] for name in vars(error) if name != "__notes__"} == {
                name: value for name, value in vars(error).items() if name != "__notes__"
            }
    assert lost.problems == (PROBLEM,)


def test_a_gate_answers_with_what_an_error_says() -> None:
    answer = refusal(SplitError("too few.", "Load more.", code="too_few_patients"))
    assert (answer.reason, answer.message, answer.next_step) == ("too_few_patients", "too few.", "Load more.")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CohortError("CC_002", "dose is missing"), "CC_002"),
        (LoadError([PROBLEM]), "load"),
        (FileNotFoundError(2, "No such file or directory", "x.csv"), "file"),
        (ZeroDivisionError("patient 17"), "unforeseen"),
    ],
)
def test_a_command_tells_people_and_scripts_the_same(
    error: Exception, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code = fail(error, as_json=True)
    shown = capsys.readouterr()
    document = json.loads(shown.out)["error"]
    assert list(document) == ["code", "message", "next_step"]
    assert document["code"] == code
    assert exit_code == getattr(error, "exit_code", 2)
    assert "17" not in shown.out
    if code != "unforeseen":
        assert shown.err.startswith(f"error: {document['message']}")
        assert shown.err.endswith(f"{document['next_step']}\n")
    assert fail(error) == exit_code
    assert capsys.readouterr().out == ""


def constants(stated: ast.expr) -> Iterator[str]:
    """What an argument may be: a text, one of two, or the beginning of a composed one, with `…` behind it."""
    match stated:
        case ast.Constant(value=str() as text):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from (*constants(one), *constants(other))
        case ast.JoinedStr(values=[ast.Constant(value=beginning), *_]):
            yield f"{beginning}…"


def calls() -> Iterator[ast.Call]:
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield node


def error_codes() -> set[str]:
    """Of kinds, of their tables of next steps, and what a place states: `code=`, an obstacle's first word."""
    of_kinds = {kind.code for kind in TYPES if issubclass(kind, E2IError)}
    of_places = {code for kind in TYPES if kind is not CodedError for code in getattr(kind, "next_steps", ())}
    stated = [keyword.value for call in calls() for keyword in call.keywords if keyword.arg == "code"]
    stated += [call.args[0] for call in calls() if named(call.func) == "Obstacle"]
    return of_kinds | of_places | {code for argument in stated for code in constants(argument)}


def gate_reasons() -> set[str]:
    """What gates say of their own: rules of splits that do not hold, reasons of effects among it."""
    stated = [call.args[0] for call in calls() if named(call.func) in ("refuse", "Violation") and call.args]
    return {*get_args(Reason), *(reason for argument in stated for reason in constants(argument))}


def test_every_code_and_reason_is_in_troubleshooting() -> None:
    page = (TOP / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    documented = re.findall(r"^### `(.+)`\n\S.+", page, flags=re.MULTILINE)
    assert len(documented) > 150
    assert len(documented) == len(set(documented))
    assert set(documented) == error_codes(), (
        "docs/troubleshooting.md lacks codes, or has some that nothing says"
    )
    reasons = re.findall(r"^\| `(.+?)` \| \S", page, flags=re.MULTILINE)
    assert len(reasons) > 40
    assert set(reasons) <= gate_reasons()
    assert gate_reasons() <= {*reasons, *documented}
