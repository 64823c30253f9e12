"""From a fitted pipeline to a Bento bundle in BentoML's store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from e2i_assets.contracts.variables import Feature
from e2i_assets.file_hashes import hashes
from e2i_assets.modeling.explanation.example_row import example_features
from e2i_assets.modeling.problems.base import Answer
from e2i_assets.modeling.training.identity import fingerprint
from e2i_assets.serving import store
from e2i_assets.serving.errors import BundleError
from e2i_assets.serving.packing import MODELS, member, pack, service_files
from e2i_assets.serving.pipeline_check import Golden, PipelineFacts, check_explanation, check_pipeline
from e2i_assets.serving.schema import feature_schema, render
from e2i_assets.serving.server.answers import told
from e2i_assets.serving.server.explanation import Explainer

NO_EXPLANATION: Mapping[str, str] = {"unavailable": "the bundle was built without it"}


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
        example: features of a request that is answered without a warning; of nobody.
    """

    tag: str
    version: str
    path: Path
    service_name: str
    content: str
    one_row: str
    example: Mapping[str, Any]


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
    logged_features: Sequence[str] = (),
    out_of_contract: Literal["refuse", "warn"] = "refuse",
    explanation: Mapping[str, Any] = NO_EXPLANATION,
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
        logged_features: of which the values of a request may be kept in the prediction log.
        out_of_contract: what becomes of a value that the contract does not allow: a 4xx, or an answer with a
            warning.
        explanation: what is needed to take a prediction apart, or why it is not
            (`modeling.explanation.shapley.served_explanation`).
        usual: ends of what was usual in training, for numeric features; values well beyond them, likewise.
        build_dir: folder for the sources of the build, kept; a temporary one otherwise.

    Raises:
        BundleError: the pipeline, schema, name or folder is not fit for a bundle; the store is unchanged.
        BundleConflictError: the store has other content under that name and version.
    """
    tag = _tag(name, version)
    described = feature_schema(features, levels, usual, out_of_contract)
    example = example_features(features, levels, usual)
    facts = check_pipeline(pipeline, described, answer)
    check_explanation(Explainer(pipeline, explanation, answer.document(), described), facts.golden, described)
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
            "logged_features": _logged(logged_features, features),
            "one_row": facts.one_row,
            "explanation": dict(explanation),
            "example": example,
            "golden": [_known(one, answer) for one in facts.golden],
        }
    )
    content = _content(pipeline, text, facts)
    path = store.stored(tag, content) or _build(
        tag, content, answer.service, pipeline, text, facts, build_dir
    )
    return Bundle(tag, version, path, answer.service, content, facts.one_row, example)


def _logged(logged: Sequence[str], features: Sequence[Feature]) -> list[str]:
    if unknown := sorted(set(logged) - {feature.name for feature in features}):
        raise BundleError(f"logged_features: the model has no {', '.join(unknown)}", "Mend the scope.")
    return sorted(logged)


def _tag(name: str, version: str) -> str:
    from bentoml import Tag

    try:
        tag = str(Tag(name, version))
    except ValueError as error:
        raise BundleError(str(error)) from error
    if tag != f"{name}:{version}":
        raise BundleError(f"{name}:{version} is not a valid bundle tag", "Use lower case.")
    return tag


def _known(golden: Golden, answer: Answer) -> dict[str, Any]:
    """A request with its answer; to twelve digits, the last of which threads may change."""
    import numpy as np

    given = [float(f"{value:.12g}") for value in golden.given]
    rows = np.array([given]) if answer.columns else np.array(given)
    return {"features": golden.features, "given": given, "answer": told(rows, answer.document())}


def _content(pipeline: Any, schema: str, facts: PipelineFacts) -> str:
    parts = [fingerprint(pipeline), schema, *facts.requirements, *service_files().values()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _build(
    tag: str,
    content: str,
    service: str,
    pipeline: Any,
    schema: str,
    facts: PipelineFacts,
    build_dir: Path | None,
) -> Path:
    import joblib

    name, _, version = tag.partition(":")

    def fill(folder: Path) -> list[dict[str, Any]]:
        place = f"{MODELS}/{name}"
        (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / place / "schema.json").write_text(schema, encoding="utf-8")
        joblib.dump(pipeline, folder / place / "pipeline.joblib")
        files = {f"{place}/{path}": file for path, file in hashes(folder / place).items()}
        return [
            member(
                model_name=name, version=version, bento_tag=tag, stage="development", role="active",
                files_hash=None, folder=place, source=f"{place}/", files=files,
            )
        ]  # fmt: skip

    description = f"# {tag}\n\nNamed features in, predictions out; `GET /model_info` lists them.\n"
    return pack(
        tag,
        content,
        service,
        fill,
        requirements=facts.requirements,
        description=description,
        build_dir=build_dir,
    )
