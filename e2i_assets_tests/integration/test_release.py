"""A release: several registered models in one service, none of which is loaded before it is known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from e2i_assets.file_hashes import hash_of, hashes
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.serving import (
    BundleConflictError,
    BundleError,
    ReleaseMember,
    bento_store,
    build_bundle,
    build_release,
    ensure_release,
    registered_hashes,
)
from e2i_assets_tests.serve_process import forget, post, served
from e2i_assets_tests.serving_toy import FEATURES, LEVELS, ROW, USUAL, toy_pipeline

SERVICE = "classification-service"
MEMBERS: dict[str, ReleaseMember] = {}


def bundled(name: str, penalty: float) -> ReleaseMember:
    bundle = build_bundle(
        toy_pipeline(LogisticRegression(C=penalty)), FEATURES, name=name, version="v1",
        answer=Binary().answer([0, 1], "initiated", 0.5), metadata={}, levels=LEVELS, usual=USUAL,
    )  # fmt: skip
    return ReleaseMember(name, 3, bundle.tag, hash_of(hashes(bundle.path)), "production")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with bento_store(tmp_path_factory.mktemp("release") / "bentoml") as folder:
        for name, penalty in (("first", 1.0), ("second", 0.01)):
            MEMBERS[name] = bundled(name, penalty)
        yield folder


@pytest.fixture(scope="module")
def release(home: Path) -> str:
    return build_release(SERVICE, "r1", list(MEMBERS.values()))


@pytest.fixture(scope="module")
def url(release: str, home: Path) -> Iterator[str]:
    variables = {
        "E2I_ACTIVE_FILE": str(home / "active"),
        "E2I_REGISTERED_HASHES": registered_hashes(MEMBERS.values()),
    }
    with served(release, home, home / "serve.log", **variables) as address:
        yield address


@pytest.mark.parametrize("name", ["first", "second"])
def test_each_model_answers_where_it_is_named(url: str, home: Path, name: str) -> None:
    schema = json.loads((home / f"bentos/{name}/v1/src/models/{name}/schema.json").read_text())
    for golden in schema["golden"]:
        body = {"features": golden["features"]}
        for response in (
            post(url, f"/{name}/predict", body),
            post(url, "/predict", body | {"model_name": name}),
            post(url, f"/{name}/predict_batch", {"features_list": [golden["features"]]}),
            post(url, "/predict_batch", {"features_list": [golden["features"]], "model_name": name}),
        ):
            assert response.status_code == 200, response.text
            answer = response.json()
            np.testing.assert_allclose(answer["probabilities"], [golden["given"]], atol=1e-6)
            assert answer["probabilities"] == [pytest.approx(golden["answer"]["probabilities"][0], abs=1e-6)]
            metadata = answer["_metadata"]
            assert [metadata[key] for key in ("model_name", "version", "stage")] == [name, "3", "production"]


@pytest.mark.parametrize(
    ("path", "named", "status"),
    [
        ("/predict", {}, 400),
        ("/predict", {"model_name": None}, 400),
        ("/predict", {"model_name": "third"}, 404),
        ("/predict", {"model_name": 3}, 404),
        ("/third/predict", {}, 404),
        ("/first/predict", {"model_name": "second"}, 400),
    ],
)
def test_a_model_that_is_not_named_rightly_gets_a_4xx(
    url: str, path: str, named: dict[str, Any], status: int
) -> None:
    response = post(url, path, {"features": ROW} | named)
    assert response.status_code == status
    assert response.json()["detail"][0]["loc"] == ["model_name"]


def test_the_service_tells_of_all_its_models(url: str, home: Path) -> None:
    health = httpx.get(f"{url}/health").json()
    assert (health["status"], health["service"], health["release"]) == ("healthy", SERVICE, f"{SERVICE}:r1")
    assert {name: of["version"] for name, of in health["models"].items()} == {"first": "3", "second": "3"}
    infos = httpx.get(f"{url}/model_info").json()["models"]
    assert [info["model_name"] for info in infos] == ["first", "second"]
    assert httpx.get(f"{url}/model_info", params={"model_name": "second"}).json() == infos[1]
    assert httpx.get(f"{url}/model_info", params={"model_name": "third"}).status_code == 404
    document = httpx.get(f"{url}/openapi.json").json()
    for name in MEMBERS:
        assert f"/{name}/predict" in document["paths"]
        assert list(document["components"]["schemas"][f"{name}.Features"]["properties"]) == list(ROW)


def test_it_is_active_while_the_file_says_so(url: str, home: Path) -> None:
    assert httpx.get(f"{url}/active").status_code == 503
    (home / "active").touch()
    assert httpx.get(f"{url}/active").status_code == 200
    (home / "active").unlink()
    assert httpx.get(f"{url}/active").status_code == 503


def test_the_same_release_is_built_once_and_never_replaced(release: str, home: Path) -> None:
    members = list(MEMBERS.values())
    assert build_release(SERVICE, "r1", members) == release
    with pytest.raises(BundleConflictError):
        build_release(SERVICE, "r1", members[:1])


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda one: [replace(one, bento_tag="first:v9")], "not in the store"),
        (lambda one: [replace(one, files_hash="0" * 16)], "do not give the hash"),
        (lambda one: [replace(one, role="shadow")], "no model answers"),
        (lambda one: [one, replace(one, version=4)], "two versions"),
        (lambda one: [one, replace(one, model_name="x", role="shadow")], "nothing answers beside"),
    ],
)
def test_what_is_no_release_is_refused(home: Path, change: Any, rule: str) -> None:
    with pytest.raises(BundleError, match=rule):
        build_release(SERVICE, "refused", change(MEMBERS["first"]))
    assert not (home / "bentos" / SERVICE / "refused").exists()


def test_a_bundle_of_another_service_is_refused(home: Path) -> None:
    with pytest.raises(BundleError, match="for classification-service, not for causal-service"):
        build_release("causal-service", "refused", [MEMBERS["first"]])


def test_a_bundle_that_was_changed_is_not_taken_up(home: Path, tmp_path: Path) -> None:
    with bento_store(tmp_path):
        shutil.copytree(home / "bentos" / "first", tmp_path / "bentos" / "first")
        (pipeline,) = (tmp_path / "bentos" / "first" / "v1").rglob("pipeline.joblib")
        pipeline.write_bytes(pipeline.read_bytes() + b"x")
        with pytest.raises(BundleError, match="first:v1: its files do not give the hash"):
            build_release(SERVICE, "refused", [MEMBERS["first"]])


def test_a_bundle_of_an_earlier_release_of_the_platform_is_not_taken_up(home: Path, tmp_path: Path) -> None:
    with bento_store(tmp_path):
        bundle = tmp_path / "bentos" / "first" / "v1"
        shutil.copytree(home / "bentos" / "first", bundle.parent)
        (schema,) = bundle.rglob("models/*/schema.json")
        written = json.loads(schema.read_text())
        del written["format"]
        schema.write_text(json.dumps(written))
        earlier = replace(MEMBERS["first"], files_hash=hash_of(hashes(bundle)))
        with pytest.raises(BundleError, match="first:v1 was built by another release") as refused:
            build_release(SERVICE, "refused", [earlier])
    assert "Materialize the bundle again" in refused.value.next_step


class Trap:
    """Tells of itself when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("who", ["files", "list", "registry"])
def test_nothing_is_unpickled_that_is_not_what_was_registered(
    release: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """Whoever changes a model must change the list of its files as well, and then has another hash than the
    registry, whatever `release.json` says of it.
    """
    import bentoml
    import joblib

    shutil.copytree(home / "bentos" / SERVICE / "r1", tmp_path / "bentos" / SERVICE / "r1")
    source, sprung = tmp_path / "bentos" / SERVICE / "r1" / "src", tmp_path / "sprung"
    joblib.dump(Trap(sprung), source / "models" / "first" / "pipeline.joblib")
    written = json.loads((source / "release.json").read_text())
    first = written["members"][0]
    if who != "files":
        (listed,) = [file for file in first["files"] if file[0].endswith("pipeline.joblib")]
        listed[1:] = hashes(source / "models" / "first")["pipeline.joblib"]
    if who == "registry":
        first["files_hash"] = None
        monkeypatch.setenv("E2I_REGISTERED_HASHES", registered_hashes(MEMBERS.values()))
    (source / "release.json").write_text(json.dumps(written))
    rule = {"files": "pipeline.joblib is missing or not", "list": "does not give", "registry": "another hash"}
    with bento_store(tmp_path):
        monkeypatch.chdir(tmp_path)
        service = bentoml.load(release)
        with pytest.raises(RuntimeError, match=f"first version 3: .*{rule[who]}"):
            service()
    forget()
    assert not sprung.exists()


def plant(source: Path) -> None:
    (source / "numpy.py").write_text("")


def link(source: Path) -> None:
    (source / "pandas").symlink_to(source / "models")


def forget_members(source: Path) -> None:
    written = json.loads((source / "release.json").read_text())
    (source / "release.json").write_text(json.dumps(written | {"members": written["members"][:1]}))


DAMAGES: tuple[Callable[[Path], object], ...] = (
    lambda source: (source / "models" / "first" / "pipeline.joblib").write_bytes(b"x"),
    lambda source: (source / "server" / "routes.py").write_text("import os"),
    lambda source: (source / "server" / "health.py").unlink(),
    lambda source: (source / "release.json").write_text("{"),
    plant,
    link,
    forget_members,
)


def test_a_bundle_that_was_served_is_as_it_was_registered(release: str, home: Path, tmp_path: Path) -> None:
    """Python leaves what it compiled beside the sources of a bundle that `bentoml serve` runs."""
    for name in ("first", "second"):
        shutil.copytree(home / "bentos" / name, tmp_path / "bentos" / name)
        for folder in ("src", f"src/models/{name}"):
            compiled = tmp_path / "bentos" / name / "v1" / folder / "__pycache__"
            compiled.mkdir(exist_ok=True)
            (compiled / "service.cpython-311.pyc").write_bytes(b"x")
    with bento_store(tmp_path):
        build_release(SERVICE, "r1", list(MEMBERS.values()))
    models = f"bentos/{SERVICE}/r1/src/models"
    assert not list((tmp_path / models).rglob("__pycache__"))
    assert hashes(tmp_path / models) == hashes(home / models)


def test_a_release_that_was_changed_is_built_again_before_any_of_it_runs(
    release: str, home: Path, tmp_path: Path
) -> None:
    """So that it comes back without anybody's help; while it is whole, it stays as it is."""
    for name in ("first", "second", SERVICE):
        shutil.copytree(home / "bentos" / name, tmp_path / "bentos" / name)
    source, members = tmp_path / "bentos" / SERVICE / "r1" / "src", list(MEMBERS.values())
    whole = hashes(home / "bentos" / SERVICE / "r1" / "src")
    whole = {name: of for name, of in whole.items() if "__pycache__" not in name}
    with bento_store(tmp_path):
        since = source.stat().st_ino
        (source / "__pycache__").mkdir(exist_ok=True)
        (source / "__pycache__" / "service.cpython-311.pyc").write_bytes(b"x")
        assert ensure_release(SERVICE, "r1", members) == release
        assert (source.stat().st_ino, hashes(source)) == (since, whole)
        for damage in DAMAGES:
            damage(source)
            assert ensure_release(SERVICE, "r1", members) == release
            assert hashes(source) == whole
            assert not (source / "pandas").exists()
