"""What a pipeline must be able to do before it may be served, and what it needs to run."""

from __future__ import annotations

import io
import math
import pickle
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any

from e2i_assets.modeling.problems.base import Answer
from e2i_assets.modeling.selection import one_row
from e2i_assets.serving.errors import BundleError
from e2i_assets.serving.server.explanation import Explainer
from e2i_assets.serving.server.request_schema import Row, accepted_levels, bounds, to_frame

_ALWAYS = frozenset(
    {
        "httpx", "joblib", "numpy", "opentelemetry-exporter-otlp-proto-common", "pandas", "psycopg",
        "psycopg_binary", "pydantic", "scipy", "sklearn",
    }
)  # fmt: skip
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # spares a scan of every installed distribution
_UNKNOWN_LEVEL = "a level that no training row has"
MADE_UP = 200
"""Rows on which the answer to one row is compared with the pipeline's."""
SHARE_OF_NULLS = 0.2


GOLDEN = 8
"""Requests whose answers a bundle knows."""


@dataclass(frozen=True)
class Golden:
    """A request, and what the pipeline gives: a number for each column of the answer, or one."""

    features: Row
    given: tuple[float, ...]


@dataclass(frozen=True)
class PipelineFacts:
    """What the bundle records about its pipeline.

    Attributes:
        requirements: pinned distributions, `name==version`, of the modules that the pipeline's pickle names
            and of what the service itself imports.
        golden: requests with what a client gets of them, the first with null for every feature; the served
            bundle must give the same before it answers anything, and whoever runs it can ask again.
        one_row: `compiled` where single rows are answered by what `selection.one_row` makes of the pipeline;
            else `pipeline: ` and the part that has no such form.
    """

    requirements: tuple[str, ...]
    golden: tuple[Golden, ...]
    one_row: str


def check_pipeline(pipeline: Any, features: Sequence[Mapping[str, Any]], answer: Answer) -> PipelineFacts:
    """Try the pipeline as a bundle would use it: read back from its pickle, on nulls, unknowns, extremes.

    Args:
        pipeline: fitted, takes a frame of the raw features.
        features: features of the bundle's schema.
        answer: what it gives to a client.

    Raises:
        BundleError: it does not pickle, needs code that is not in an installed distribution, wants other
            columns, fails on nulls, unknown levels or the ends of a contract, or answers a row alone
            otherwise than among others.
    """
    import numpy as np

    restored, modules = _round_trip(pipeline)
    _check_columns(restored, features)
    nulls = dict.fromkeys((f["name"] for f in features), None)
    unknown = nulls | {f["name"]: _UNKNOWN_LEVEL for f in features if f["kind"] == "categorical"}
    lowest, highest = (
        {f["name"]: bounds(f)[end] if f["kind"] == "numeric" else None for f in features} for end in (0, 1)
    )
    for row in (lowest, highest):
        _given(restored, features, row, answer, "the ends of what its contract allows")
    all_missing = _given(restored, features, nulls, answer, "null for every feature; add an imputer")
    _given(restored, features, unknown, answer, "an unknown category; let the encoder handle unknowns")
    rows = made_up(features)
    whole = np.asarray(one_row.asked(restored, answer.method)(to_frame(features, rows)), dtype=float)
    golden = [Golden(nulls, all_missing), *map(Golden, rows, _told(whole, answer))][:GOLDEN]
    return PipelineFacts(_requirements(modules), tuple(golden), _one_row(restored, answer, rows, whole))


def check_explanation(
    explainer: Explainer, golden: Sequence[Golden], features: Sequence[Mapping[str, Any]]
) -> None:
    """Try to take the known answers apart.

    Raises:
        BundleError: what the features add does not make the score.
    """
    try:
        for one in golden:
            explainer.explain(to_frame(features, [one.features]))
    except RuntimeError as error:
        raise BundleError(
            str(error), "Report a fault of modeling/explanation, with the versions of the libraries."
        ) from error


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
            f"the pipeline cannot be pickled ({type(error).__name__})",
            "Replace lambdas and local functions by functions of an installed module.",
        ) from error
    recorder = _Recorder(io.BytesIO(blob))
    restored = recorder.load()
    foreign = sorted(recorder.modules & {"__main__", "e2i_assets"})
    if foreign:
        raise BundleError(
            f"the pipeline needs code of {foreign}, which a bundle does not carry",
            "Use library transformers.",
        )
    return restored, recorder.modules


def _check_columns(pipeline: Any, features: Sequence[Mapping[str, Any]]) -> None:
    fitted, given = getattr(pipeline, "feature_names_in_", None), {f["name"] for f in features}
    if fitted is not None and set(fitted) != given:
        raise BundleError(
            f"the features are not the columns that the pipeline was fitted on: missing "
            f"{sorted(set(fitted) - given)}, superfluous {sorted(given - set(fitted))}"
        )


def _given(
    pipeline: Any, features: Sequence[Mapping[str, Any]], row: Mapping[str, Any], answer: Answer, rule: str
) -> tuple[float, ...]:
    """What a client would get for one row: a number for each column of the answer, or one."""
    import numpy as np

    try:
        given = np.asarray(one_row.asked(pipeline, answer.method)(to_frame(features, [row])), dtype=float)
    except Exception as error:
        raise BundleError(f"the pipeline does not answer {rule} ({type(error).__name__})") from error
    wanted = (1, len(answer.columns)) if answer.columns else (1,)
    if given.shape != wanted or not np.isfinite(given).all():
        raise BundleError(f"the pipeline gives no {wanted[-1]} finite numbers for {rule}")
    return _told(given, answer)[0]


def _told(given: Any, answer: Answer) -> list[tuple[float, ...]]:
    """Of each row what a client gets of it."""
    columns = given[:, list(answer.columns)] if answer.columns else given.reshape(-1, 1)
    return [tuple(row) for row in columns.tolist()]


def _one_row(pipeline: Any, answer: Answer, rows: Sequence[Row], whole: Any) -> str:
    """How single rows are answered, tried on rows of which the pipeline gives `whole`.

    Raises:
        BundleError: the compiled form differs from the pipeline.
    """
    import numpy as np

    try:
        compiled = one_row.compiled(pipeline, answer.method)
    except NotImplementedError as error:
        return f"pipeline: {error}"
    alone = np.array([compiled(row) for row in rows], dtype=float).reshape(whole.shape)
    if not (gap := one_row.gap(alone, whole)) <= one_row.TOLERANCE:
        raise BundleError(
            f"a row alone is answered otherwise than by the pipeline: they differ by {gap:.3g}, more than "
            f"{one_row.TOLERANCE:g}",
            "Report a fault of modeling/selection/one_row, with the versions of the libraries.",
        )
    return "compiled"


def made_up(features: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Rows that clients might send: nulls, levels known and unknown, usual values and the ends; a service
    lets all of them in.
    """
    drawn = random.Random(MADE_UP)

    def value(feature: Mapping[str, Any]) -> float | bool | str | None:
        if drawn.random() < SHARE_OF_NULLS:
            return None
        if feature["kind"] == "boolean":
            return drawn.random() < 0.5
        if feature["kind"] == "categorical":
            return drawn.choice(accepted_levels(feature) or [*feature["levels"], _UNKNOWN_LEVEL])
        (low, high), (least, most) = feature["usual"] or (-1.0, 1.0), bounds(feature)
        drawn_value = drawn.choice([drawn.uniform(low, high)] * 8 + [low, least, most])
        within = min(max(drawn_value, least), most)
        return float(math.floor(within)) if feature["integer"] and math.floor(within) >= least else within

    return [{feature["name"]: value(feature) for feature in features} for _ in range(MADE_UP)]


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
            f"the pipeline needs module {module}, which no installed distribution provides",
            "Package it, or use library transformers.",
        )
    return f"{owners[0]}=={version(owners[0])}"
