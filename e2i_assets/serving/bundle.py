"""From a fitted pipeline to a Bento bundle in BentoML's store."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.problems.base import Answer
from e2i_assets.modeling.selection import one_row
from e2i_assets.modeling.training.identity import fingerprint
from e2i_assets.serving import store
from e2i_assets.serving.errors import BundleError
from e2i_assets.serving.pipeline_check import PipelineFacts, check_pipeline
from e2i_assets.serving.schema import feature_schema, render

_SOURCES = {
    "service.py": Path(__file__).with_name("service_template.py"),
    "request_schema.py": Path(__file__).with_name("request_schema.py"),
    "admission.py": Path(__file__).with_name("admission.py"),
    **{f"one_row/{part.name}": part for part in sorted(Path(one_row.__file__).parent.glob("*.py"))},
}
"""Name in the bundle to the module that it is a copy of."""


@dataclass(frozen=True)
class Bundle:
    """A Bento in the store.

    Attributes:
        tag: `name:version`, what `bentoml serve` takes.
        version: the version alone.
        path: folder of the bundle.
        service_name: service inside it.
        content: hash of pipeline, schema, service code and pinned requirements; equal content, equal answers.
        one_row: how a single row is answered, `compiled`, or by the `pipeline` and why.
    """

    tag: str
    version: str
    path: Path
    service_name: str
    content: str
    one_row: str


def build_bundle(
    pipeline: Any,
    features: Sequence[Feature],
    *,
    name: str,
    version: str,
    answer: Answer,
    metadata: Mapping[str, str | float],
    levels: Mapping[str, Sequence[str]],
    usual: Mapping[str, tuple[float, float]],
    build_dir: Path | None = None,
) -> Bundle:
    """Build the Bento `name:version` into BentoML's current store (`BENTOML_HOME`, or `bento_store`).

    Preprocessing travels inside the pipeline. The same content under the same name and version is built
    once; the bundle appears in the store complete or not at all. Nothing is downloaded. One build at a
    time per process: BentoML changes directory while it imports the service.

    Args:
        pipeline: fitted scikit-learn Pipeline that takes a frame of the raw features.
        features: the raw features, in the order of the frame.
        name: lower case, at most 63 characters of `a-z 0-9 . _ -`, letters or digits at both ends.
        version: as `name`.
        answer: what a prediction looks like to a client, as the problem type says.
        metadata: what to tell about the model (data version, metrics, run id); text or finite numbers.
        levels: levels that training saw, for every categorical feature; others are answered with a warning.
        usual: ends of what was usual in training, for numeric features; values well beyond them, likewise.
        build_dir: folder for the sources of the build, kept; a temporary one otherwise.

    Raises:
        BundleError: the pipeline, schema, name or folder is not fit for a bundle; the store is unchanged.
        BundleConflictError: the store has other content under that name and version.
    """
    tag = _tag(name, version)
    described = feature_schema(features, levels, usual)
    facts = check_pipeline(pipeline, described, answer)
    text = render(
        {
            "model_id": tag,
            "model_name": name,
            "version": version,
            "features": described,
            **(answer.facts or {}),
            "service": answer.service,
            "answer": answer.document(),
            "metadata": dict(metadata),
            "one_row": facts.one_row,
            "self_check": {"all_missing": list(facts.all_missing)},
        }
    )
    content = _content(pipeline, text, facts)
    try:
        path = store.stored(tag, content) or _build(tag, content, pipeline, text, facts, build_dir)
    except OSError as error:
        raise BundleError(
            f"bundle {tag}: {error.strerror or 'copying failed'} at {error.filename or 'the bundle store'}",
            "Check that the folder is writable and has room.",
        ) from error
    return Bundle(tag, version, path, answer.service, content, facts.one_row)


def _tag(name: str, version: str) -> str:
    from bentoml import Tag

    try:
        tag = str(Tag(name, version))
    except ValueError as error:
        raise BundleError(str(error)) from error
    if tag != f"{name}:{version}":
        raise BundleError(f"{name}:{version} is not a valid bundle tag", "Use lower case.")
    return tag


def _content(pipeline: Any, schema: str, facts: PipelineFacts) -> str:
    sources = [source.read_text(encoding="utf-8") for source in _SOURCES.values()]
    parts = [fingerprint(pipeline), schema, *facts.requirements, *sources]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _build(
    tag: str, content: str, pipeline: Any, schema: str, facts: PipelineFacts, build_dir: Path | None
) -> Path:
    import joblib

    # BentoML asks for uv even where nothing is to be locked, and would fetch it with pip.
    if find_spec("uv") is None and shutil.which("uv") is None:
        raise BundleError(
            f"bundle {tag}: BentoML builds with uv, which is not installed",
            "Run `pip install uv`.",
        )
    with nullcontext(build_dir) if build_dir else tempfile.TemporaryDirectory(prefix="e2i-bundle-") as chosen:
        folder = Path(chosen).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for copy, source in _SOURCES.items():
            (folder / copy).parent.mkdir(exist_ok=True)
            shutil.copyfile(source, folder / copy)
        (folder / "schema.json").write_text(schema, encoding="utf-8")
        joblib.dump(pipeline, folder / "pipeline.joblib")
        return store.build_into_store(tag, content, folder, _options(tag, facts))


def _options(tag: str, facts: PipelineFacts) -> dict[str, Any]:
    return {
        "service": "service:PredictionService",
        "description": f"# {tag}\n\nNamed features in, predictions out; `GET /model_info` lists them.\n",
        "include": [*_SOURCES, "schema.json", "pipeline.joblib"],
        "python": {"packages": list(facts.requirements), "lock_packages": False},
    }
