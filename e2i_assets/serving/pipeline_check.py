"""What a pipeline must be able to do before it may be served, and what it needs to run."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any

from e2i_assets.serving.errors import BundleError
from e2i_assets.serving.request_schema import bounds, to_frame

_ALWAYS = frozenset({"joblib", "numpy", "pandas", "pydantic", "sklearn"})
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # spares a scan of every installed distribution
_UNKNOWN_LEVEL = "a level that no training row has"


@dataclass(frozen=True)
class PipelineFacts:
    """What the bundle records about its pipeline.

    Attributes:
        requirements: pinned distributions, `name==version`, of the modules that the pipeline's pickle names
            and of what the service itself imports.
        positive_index: column of the positive class in `predict_proba`.
        all_missing: probability of the positive class when every feature is null; the served bundle must
            give the same before it answers anything.
    """

    requirements: tuple[str, ...]
    positive_index: int
    all_missing: float


def check_pipeline(
    pipeline: Any, features: Sequence[Mapping[str, Any]], positive_class: str
) -> PipelineFacts:
    """Try the pipeline as a bundle would use it: read back from its pickle, on nulls, unknowns, extremes.

    Args:
        pipeline: fitted binary classifier that takes a frame of the raw features.
        features: features of the bundle's schema.
        positive_class: one of the pipeline's classes, or a name for the class 1 of {0, 1}.

    Raises:
        BundleError: it does not pickle, needs code that is not in an installed distribution, wants other
            columns, is not binary, or fails on nulls, unknown levels or the ends of a contract.
    """
    restored, modules = _round_trip(pipeline)
    _check_columns(restored, features)
    positive = _positive_index(restored, positive_class)
    nulls = dict.fromkeys((f["name"] for f in features), None)
    unknown = nulls | {f["name"]: _UNKNOWN_LEVEL for f in features if f["kind"] == "categorical"}
    lowest, highest = (
        {f["name"]: bounds(f)[end] if f["kind"] == "numeric" else None for f in features} for end in (0, 1)
    )
    for row in (lowest, highest):
        _probability(restored, features, row, positive, "the ends of what its contract allows")
    all_missing = _probability(restored, features, nulls, positive, "null for every feature; add an imputer")
    _probability(
        restored, features, unknown, positive, "an unknown category; let the encoder handle unknowns"
    )
    return PipelineFacts(_requirements(modules), positive, all_missing)


class _Recorder(pickle.Unpickler):
    """Unpickles and remembers which top-level modules that took."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.modules: set[str] = set()

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        self.modules.add(module_name.partition(".")[0])
        return super().find_class(module_name, global_name)


def _round_trip(pipeline: Any) -> tuple[Any, set[str]]:
    try:
        blob = pickle.dumps(pipeline)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise BundleError(
            f"the pipeline cannot be pickled ({type(error).__name__}); replace lambdas and local functions "
            "by functions of an installed module"
        ) from error
    recorder = _Recorder(io.BytesIO(blob))
    restored = recorder.load()
    foreign = sorted(recorder.modules & {"__main__", "e2i_assets"})
    if foreign:
        raise BundleError(
            f"the pipeline needs code of {foreign}, which a bundle does not carry; use library transformers"
        )
    return restored, recorder.modules


def _check_columns(pipeline: Any, features: Sequence[Mapping[str, Any]]) -> None:
    fitted, given = getattr(pipeline, "feature_names_in_", None), {f["name"] for f in features}
    if fitted is not None and set(fitted) != given:
        raise BundleError(
            f"the features are not the columns that the pipeline was fitted on: missing "
            f"{sorted(set(fitted) - given)}, superfluous {sorted(given - set(fitted))}"
        )


def _positive_index(pipeline: Any, positive_class: str) -> int:
    classes = list(pipeline.classes_)
    if len(classes) != 2:
        raise BundleError(f"a classification bundle needs two classes, the pipeline has {len(classes)}")
    names = [str(label) for label in classes]
    if positive_class in names:
        return names.index(positive_class)
    if classes == [0, 1]:
        return 0 if positive_class == "0" else 1
    raise BundleError("the positive class is neither of the pipeline's classes, and these are not 0 and 1")


def _probability(
    pipeline: Any, features: Sequence[Mapping[str, Any]], row: Mapping[str, Any], positive: int, rule: str
) -> float:
    import numpy as np

    try:
        scores = np.asarray(pipeline.predict_proba(to_frame(features, [row])), dtype=float)
    except Exception as error:
        raise BundleError(f"the pipeline does not answer {rule} ({type(error).__name__})") from error
    if scores.shape != (1, 2) or not np.isfinite(scores).all():
        raise BundleError(f"the pipeline gives no two finite probabilities for {rule}")
    return float(scores[0, positive])


def _requirements(modules: set[str]) -> tuple[str, ...]:
    return tuple(sorted(_pin(module) for module in (modules | _ALWAYS) - sys.stdlib_module_names))


def _pin(module: str) -> str:
    name = _DISTRIBUTIONS.get(module, module)
    try:
        return f"{name}=={version(name)}"
    except PackageNotFoundError:
        owners = packages_distributions().get(module, [])
    if not owners:
        raise BundleError(
            f"the pipeline needs module {module}, which no installed distribution provides; package it, or "
            "use library transformers"
        )
    return f"{owners[0]}=={version(owners[0])}"
