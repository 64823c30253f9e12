"""Building a bundle: what is refused, what is in it, and that the store never sees half of one."""

from __future__ import annotations

import ast
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from e2i_assets.modeling.errors import ServedModelError
from e2i_assets.modeling.explanation.example_row import example_features
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.selection import one_row
from e2i_assets.serving import Bundle, BundleConflictError, BundleError, bento_store, build_bundle
from e2i_assets.serving.pipeline_check import check_pipeline
from e2i_assets.serving.schema import feature_schema
from e2i_assets.serving.server.request_schema import doubts, request_models, to_frame
from e2i_assets.serving.store import build_into_store, stored
from e2i_assets_tests.serving_toy import FEATURES, LEVELS, USUAL, feature, toy_data, toy_pipeline

SCHEMA = feature_schema(FEATURES, LEVELS, USUAL)
NAME = "e2i-conversion-remibrutinib_csu"


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return toy_pipeline(LogisticRegression())


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with bento_store(tmp_path / "bentoml") as folder:
        yield folder


def build(pipeline: Pipeline, **changes: Any) -> Bundle:
    options: dict[str, Any] = {
        "features": FEATURES,
        "name": NAME,
        "version": "v1",
        "answer": Binary().answer([0, 1], "initiated", 0.5),
        "metadata": {"validation_auc": 0.71},
        "levels": LEVELS,
        "usual": USUAL,
    }
    options |= changes
    return build_bundle(pipeline, options.pop("features"), **options)


def bundles(home: Path) -> list[str]:
    return sorted(f"{path.parent.name}:{path.name}" for path in home.glob("bentos/*/*/") if path.is_dir())


def test_a_bundle_holds_all_that_it_needs_and_nothing_of_the_package(pipeline: Pipeline, home: Path) -> None:
    bundle = build(pipeline)
    assert bundle.tag == f"{NAME}:v1"
    assert bundle.path == home / "bentos" / NAME / "v1"
    source = bundle.path / "src"
    assert {path.name for path in source.iterdir()} == {
        "bentofile.yaml", "contributions.py", "file_hashes.py", "models", "observability", "one_row", "release.json",
        "server", "service.py",
    }  # fmt: skip
    assert {path.name for path in (source / "models" / NAME).iterdir()} == {"pipeline.joblib", "schema.json"}
    imported = {
        (node.module or "").partition(".")[0] if isinstance(node, ast.ImportFrom) else node.names[0].name
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert "e2i_assets" not in imported
    schema = json.loads((source / "models" / NAME / "schema.json").read_text())
    assert schema["metadata"] == {"validation_auc": 0.71}
    assert schema["features"][2]["levels"] == ["north", "south"]
    assert schema["one_row"] == bundle.one_row == "compiled"
    assert (
        schema["example"] == bundle.example == {"age": 50, "uas7": 21, "region": "north", "biologic": False}
    )
    requirements = (bundle.path / "env" / "python" / "requirements.txt").read_text().split()
    assert all("==" in line for line in requirements)
    assert {line.partition("==")[0] for line in requirements} >= {
        "scikit-learn",
        "numpy",
        "pandas",
        "bentoml",
    }
    assert "xgboost" not in " ".join(requirements)
    assert (home / "bentos" / NAME / "latest").read_text() == "v1"
    assert list((home / "tmp").glob("e2i-*")) == []
    assert not [path for path in (source, *bundle.path.rglob("*.sh")) if path.stat().st_mode & 0o077]


def test_in_a_container_the_service_listens_beyond_the_loopback_interface(
    pipeline: Pipeline, home: Path
) -> None:
    dockerfile = (build(pipeline).path / "env" / "docker" / "Dockerfile").read_text()
    assert "BENTOML_HOST=0.0.0.0" in dockerfile


def test_the_same_content_is_built_once(home: Path) -> None:
    first = build(toy_pipeline(LogisticRegression()))
    made = (first.path / "bento.yaml").stat().st_mtime_ns
    assert build(toy_pipeline(LogisticRegression())) == first
    assert (first.path / "bento.yaml").stat().st_mtime_ns == made


def test_other_content_under_the_same_version_is_refused(pipeline: Pipeline, home: Path) -> None:
    build(pipeline)
    with pytest.raises(BundleConflictError, match="new version"):
        build(pipeline, answer=Binary().answer([0, 1], "initiated", 0.4))
    with pytest.raises(BundleConflictError):
        build(toy_pipeline(LogisticRegression(C=0.1)))


def test_a_version_is_not_taken_for_one_that_begins_like_it(pipeline: Pipeline, home: Path) -> None:
    build(pipeline, version="v10")
    assert build(pipeline, version="v1").path.name == "v1"
    assert bundles(home) == [f"{NAME}:v1", f"{NAME}:v10"]


def test_two_bundles_of_one_process_keep_their_own_features(pipeline: Pipeline, home: Path) -> None:
    build(pipeline)
    frame, outcome = toy_data()
    small = Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())])
    small.fit(frame[["age"]].fillna(0), outcome)
    imputing = Pipeline([("fill", ColumnTransformer([("age", _zero(), ["age"])])), *small.steps])
    imputing.fit(frame[["age"]], outcome)
    bundle = build(imputing, features=FEATURES[:1], levels={}, usual={}, name="e2i-conversion-small")
    described = json.loads(next(bundle.path.rglob("models/*/schema.json")).read_text())
    assert [feature["name"] for feature in described["features"]] == ["age"]
    assert bundle.one_row == "pipeline: Pipeline has no quick form"


def _zero() -> FunctionTransformer:
    return FunctionTransformer(np.nan_to_num)


def test_building_leaves_the_process_as_it_was(pipeline: Pipeline, home: Path) -> None:
    before = (Path.cwd(), list(sys.path), {"service", "server", "one_row"} & sys.modules.keys())
    build(pipeline)
    assert (Path.cwd(), list(sys.path), {"service", "server", "one_row"} & sys.modules.keys()) == before


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), OSError(28, "No space left on device", "x")])
def test_an_interrupted_build_leaves_nothing_in_the_store(
    pipeline: Pipeline, home: Path, monkeypatch: pytest.MonkeyPatch, interruption: BaseException
) -> None:
    """BentoML copies the finished bundle file by file; here, that stops half way."""
    copy, copied = shutil.copy, []

    def copy_until_interrupted(source: str, target: str, **options: Any) -> str:
        if "bentoml_bento" in os.fspath(source):
            if len(copied) == 2:
                raise interruption
            copied.append(target)
        return copy(source, target, **options)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copy", copy_until_interrupted)
        with pytest.raises((KeyboardInterrupt, BundleError), match=r"copying failed|^$"):
            build(pipeline)
    assert len(copied) == 2
    assert bundles(home) == []
    assert list((home / "tmp").glob("e2i-*")) == []
    assert build(pipeline).path.is_dir()


def test_of_two_builders_the_slower_takes_what_the_faster_made(
    pipeline: Pipeline, home: Path, tmp_path: Path
) -> None:
    first = build(pipeline, build_dir=tmp_path / "sources")
    options = {
        "service": "service:PredictionService",
        "python": {"packages": ["numpy"], "lock_packages": False},
    }
    again = build_into_store(first.tag, first.content, tmp_path / "sources", options)
    assert again == first.path
    with pytest.raises(BundleConflictError):
        build_into_store(first.tag, "other", tmp_path / "sources", options)


def test_an_unreadable_bundle_in_the_store_is_named(home: Path) -> None:
    (home / "bentos" / NAME / "v1").mkdir(parents=True)
    with pytest.raises(BundleError, match=f"{NAME}:v1: unreadable"):
        stored(f"{NAME}:v1", "any")


def test_the_store_is_the_one_of_the_block_only(pipeline: Pipeline, tmp_path: Path, home: Path) -> None:
    build(pipeline)
    with bento_store(tmp_path / "inner") as inner:
        assert os.environ["BENTOML_HOME"] == str(inner)
        assert build(pipeline, version="v2").path.is_relative_to(inner)
    assert os.environ["BENTOML_HOME"] == str(home)
    assert bundles(home) == [f"{NAME}:v1"]


def test_an_exception_in_the_block_restores_the_store_as_well(tmp_path: Path, home: Path) -> None:
    with pytest.raises(ZeroDivisionError), bento_store(tmp_path / "inner"):
        _ = 1 / 0
    assert os.environ["BENTOML_HOME"] == str(home)
    assert build(toy_pipeline(LogisticRegression())).path.is_relative_to(home)


def test_a_store_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="BENTOML_HOME"), bento_store(tmp_path / "file"):
        pass


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "1.0+abc"},
        {"version": "V1"},
        {"name": "e2i conversion"},
        {"name": "x" * 64},
        {"metadata": {"auc": float("nan")}},
        {"levels": {}},
        {"levels": LEVELS | {"age": ["1"]}},
        {"features": ()},
        {"features": (*FEATURES, FEATURES[0])},
        {"features": FEATURES[1:]},
        {"features": (*FEATURES, feature("weight", "numeric", "kg", "Weight"))},
    ],
    ids=str,
)
def test_what_is_not_fit_for_a_bundle_is_refused(
    pipeline: Pipeline, home: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(BundleError):
        build(pipeline, **changes)
    assert bundles(home) == []


def _without_imputer() -> Pipeline:
    frame, outcome = toy_data()
    model = Pipeline(
        [("prepare", ColumnTransformer([("age", "passthrough", ["age"])])), ("model", LogisticRegression())]
    )
    return model.fit(frame[["age"]].fillna(0), outcome)


def _with_step(step: Any) -> Pipeline:
    fitted = toy_pipeline(LogisticRegression())
    return Pipeline([("extra", step), *fitted.steps])


def _three_classes() -> Pipeline:
    frame, outcome = toy_data()
    return toy_pipeline(LogisticRegression()).fit(frame, outcome + (frame.index.to_numpy() % 2))


@pytest.mark.parametrize(
    ("make", "features", "rule"),
    [
        (_without_imputer, SCHEMA[:1], "null for every feature"),
        (lambda: toy_pipeline(LogisticRegression(), handle_unknown="error"), SCHEMA, "unknown category"),
        (lambda: _with_step(FunctionTransformer(lambda frame: frame)), SCHEMA, "cannot be pickled"),
        (lambda: _with_step(FunctionTransformer(doubts)), SCHEMA, "needs code of"),
        (_three_classes, SCHEMA, "2 finite numbers"),
    ],
    ids=["nulls", "unknown", "lambda", "own-code", "classes"],
)
def test_a_pipeline_that_could_not_serve_is_refused(make: Any, features: Any, rule: str) -> None:
    with pytest.raises(BundleError, match=rule):
        check_pipeline(make(), features, Binary().answer([0, 1], "initiated", 0.5))


@pytest.mark.parametrize(
    ("labels", "positive", "index"),
    [([0, 1], "initiated", 1), ([0, 1], "0", 0), ([0.0, 1.0], "1", 1), (["no", "yes"], "no", 0)],
)
def test_the_positive_class_is_found_by_name_or_is_class_1(
    labels: list[Any], positive: str, index: int
) -> None:
    frame, outcome = toy_data()
    model = toy_pipeline(LogisticRegression()).fit(frame, np.array(labels)[outcome])
    answer = Binary().answer(model.classes_, positive, 0.5)
    assert answer.columns == (1 - index, index)
    negative, given = check_pipeline(model, SCHEMA, answer).golden[0].given
    nobody = dict.fromkeys((feature["name"] for feature in SCHEMA), None)
    assert given == model.predict_proba(to_frame(SCHEMA, [nobody]))[0, index] == 1 - negative
    if labels == ["no", "yes"]:
        with pytest.raises(ServedModelError, match="positive class"):
            Binary().answer(model.classes_, "initiated", 0.5)


def test_an_answer_that_is_not_binary_is_refused() -> None:
    with pytest.raises(ServedModelError, match="two classes"):
        Binary().answer(_three_classes().classes_, "initiated", 0.5)
    with pytest.raises(ServedModelError, match="between 0 and 1"):
        Binary().answer([0, 1], "initiated", 1.5)


def test_a_request_to_copy_is_made_of_ranges_and_levels() -> None:
    kinds = {
        "age": "numeric",
        "visits": "numeric",
        "dose": "numeric",
        "rare": "numeric",
        "region": "categorical",
        "treated": "boolean",
    }
    features = [feature(name, kind, integer=name == "visits") for name, kind in kinds.items()]
    usual = {"age": (31.0, 78.0), "visits": (0.0, 7.0), "dose": (0.125, 0.875)}
    assert example_features(features, {"region": ["north", "south"]}, usual) == {
        "age": 54, "visits": 3, "dose": 0.5, "rare": None, "region": "north", "treated": False,
    }  # fmt: skip
    row = example_features(FEATURES, LEVELS, USUAL)
    request_models(SCHEMA, "toy")[0].model_validate({"features": row})
    assert not doubts(SCHEMA, [row])


def test_a_row_alone_that_is_answered_otherwise_stops_the_build(
    pipeline: Pipeline, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = one_row.compiled

    def dishonest(pipeline: Any, method: str) -> Any:
        """Wrong by a little, and only where the region is a level that training had not."""
        answer = honest(pipeline, method)
        return lambda row: answer(row) + 2e-6 * (row["region"] not in ("north", "south", None))

    monkeypatch.setattr(one_row, "compiled", dishonest)
    with pytest.raises(BundleError, match="they differ by 2e-06, more than 1e-06"):
        build(pipeline)
    assert bundles(home) == []
