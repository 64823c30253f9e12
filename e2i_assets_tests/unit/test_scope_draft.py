"""`e2i scope new`: what it suggests, what it writes, and what it does not write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from e2i_assets.cli.main import app
from e2i_assets.modeling.errors import ConfigError
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.scopes.draft import (
    CRITERIA,
    ScopeDraft,
    ScopeTaken,
    suggested_problem_type,
    write_scope,
)
from e2i_assets.modeling.scopes.files import read_scope
from e2i_assets.modeling.scopes.problem_types import SCOPES
from e2i_assets.modeling.scopes.scope import PredictiveScope
from e2i_assets.settings import settings
from e2i_assets_tests.conftest import shipped_config


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = shipped_config(tmp_path)
    monkeypatch.setenv("E2I_CONFIG", str(folder))
    settings.cache_clear()
    yield folder
    settings.cache_clear()


def new(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, ["scope", "new", *arguments], input=typed)


@pytest.mark.parametrize(
    ("description", "kind"),
    [
        ("Will the brand be started?", "binary_classification"),
        ("How many prescriptions will be filled?", "regression"),
        ("TRx in the follow-up window", "regression"),
        ("Who is likely to adopt, yes or no", "binary_classification"),
        ("Time to the first relapse", "regression"),
    ],
)
def test_the_words_of_a_question_suggest_its_problem_type(description: str, kind: str) -> None:
    assert suggested_problem_type(description) == kind


@pytest.mark.parametrize("kind", SCOPES)
def test_a_draft_of_every_problem_type_can_be_read(tmp_path: Path, kind: str) -> None:
    classes = ("a: b", "#c", '"d"') if kind == "multiclass_classification" else ()
    treatment = "arm" if kind == "causal_inference" else ""
    draft = ScopeDraft(
        "asked", 'Is it: "so" # or {not}?', kind, "outcome", classes, 30, 70, ("age",), ("sex",),
        treatment=treatment,
    )  # fmt: skip
    scope = read_scope(write_scope(tmp_path, draft))
    assert (scope.description, scope.target) == (draft.description, "outcome")
    assert (scope.horizon_days, scope.minimum_samples) == (30, 70)
    assert (scope.features.required, scope.features.exclude) == (("age",), ("sex",))
    if isinstance(scope, CausalScope):
        assert (scope.treatment, scope.problem.problem_type) == ("arm", "binary_classification")
        return
    assert isinstance(scope, PredictiveScope)
    assert {c.name: c.threshold for c in scope.success_criteria} == CRITERIA[kind]
    assert scope.problem.labels == classes
    assert scope.baseline is not None


def test_what_is_not_given_is_asked_for_with_a_suggestion_that_suits_the_question(config: Path) -> None:
    done = new("fills", typed="How many prescriptions?\n\n\n")
    assert done.exit_code == 0, done.output
    assert "Problem type [regression]" in done.stdout
    assert "e2i scope check fills" in done.stdout
    scope = read_scope(config / "scopes" / "fills.yaml")
    assert (scope.problem_type, scope.target) == ("regression", "trx_followup")
    assert new("stops", "-y").exit_code == 0
    # The initiation is asked for by a scope already.
    assert read_scope(config / "scopes" / "stops.yaml").target == "discontinued"


def test_a_file_that_is_there_is_not_touched(config: Path) -> None:
    path = config / "scopes" / "conversion.yaml"
    before = path.read_bytes()
    with pytest.raises(ScopeTaken, match=r"conversion\.yaml is there already"):
        write_scope(path.parent, ScopeDraft("conversion", "again?", "regression", "trx_followup"))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        (ScopeDraft("asked", "?", "regression", "y", required=("y",)), "y is the target"),
        (ScopeDraft("asked", "?", "ranking", "y"), "there is no ranking"),
        (ScopeDraft("asked", "?", "regression", "y", criteria={"min_auc": 0.7}), "min_auc: no such metric"),
        (ScopeDraft("../asked", "?", "regression", "y"), "is no name of a scope"),
    ],
)
def test_what_contradicts_itself_is_not_written(tmp_path: Path, draft: ScopeDraft, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        write_scope(tmp_path, draft)
    assert list(tmp_path.iterdir()) == []


def test_a_criterion_is_a_name_and_a_number(config: Path) -> None:
    assert new("fills", "-y", "--criterion", "min_auc").exit_code == 2
    assert not (config / "scopes" / "fills.yaml").exists()
    assert new("fills", "-y", "--criterion", "min_auc=0.61", "--criterion", "max_brier=0.2").exit_code == 0
    scope = read_scope(config / "scopes" / "fills.yaml")
    assert isinstance(scope, PredictiveScope)
    assert [(c.name, c.threshold) for c in scope.success_criteria] == [("min_auc", 0.61), ("max_brier", 0.2)]


def test_a_criterion_is_written_as_it_was_given(config: Path) -> None:
    """Rounded, it would let through what was not to pass."""
    stated = [
        "--problem-type",
        "regression",
        "--criterion",
        "max_rmse=12345678",
        "--criterion",
        "min_r2=0.123456789",
    ]
    assert new("revenue", "-y", *stated).exit_code == 0
    criteria = read_scope(config / "scopes" / "revenue.yaml").success_criteria
    assert [c.threshold for c in criteria] == [12345678, 0.123456789]
    twice = new("fills", "-y", "--criterion", "min_auc=0.7", "--criterion", "min_auc=0.6")
    assert (twice.exit_code, (config / "scopes" / "fills.yaml").exists()) == (2, False)


@pytest.mark.parametrize("wrong", [False, True])
def test_the_first_scope_can_be_written(config: Path, wrong: bool) -> None:
    folder = config / "scopes"
    for path in folder.iterdir():
        path.unlink()
    if wrong:
        (folder / "wrong.yaml").write_text("name: [")
    else:
        folder.rmdir()
    done = new("started", "-y")
    assert done.exit_code == 0, done.output
    assert read_scope(folder / "started.yaml").name == "started"
