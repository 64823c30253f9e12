"""What a request may say, made from a bundle's `schema.json`, and the frame that the pipeline is given.

A copy of this file travels inside every bundle beside `service.py`: it knows no other module of the package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AllowInfNan, BaseModel, ConfigDict, Field, create_model, with_config
from typing_extensions import TypedDict

if TYPE_CHECKING:
    import pandas as pd

MAX_BATCH = 1000
"""Rows of one batch request (the guide's limit)."""

_TYPES: dict[str, Any] = {
    "numeric": Annotated[float, AllowInfNan(False)],
    "boolean": bool,
    "categorical": str,
}
_ACCEPTS = {"numeric": "a finite number", "boolean": "true or false", "categorical": "a string"}

Row = Mapping[str, float | bool | str | None]


def request_models(features: Sequence[Mapping[str, Any]]) -> tuple[type[BaseModel], type[BaseModel]]:
    """The bodies of `/predict` and `/predict_batch`.

    Args:
        features: the `features` of a bundle's schema (`name`, `kind`, `unit`, `description`, `levels`).

    Returns:
        `PredictRequest` with `features`, `PredictBatchRequest` with `features_list` (1 to `MAX_BATCH` rows).
        Every feature is required, may be null, and is typed strictly; an unknown name is refused. A batch
        stops at its first bad row, so that an answer cannot outgrow its request. Errors locate the feature
        and never carry the input, neither in the answer nor in the server's log.
    """
    # A TypedDict, because a feature may be called anything, `copy` and `1st_visit` included.
    row = TypedDict("Features", {feature["name"]: _annotation(feature) for feature in features})  # type: ignore[misc, operator]
    with_config(ConfigDict(extra="forbid", strict=True))(row)
    config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    rows = Annotated[list[row], Field(min_length=1, max_length=MAX_BATCH, fail_fast=True)]  # type: ignore[valid-type]
    return (
        create_model("PredictRequest", __config__=config, features=(row, ...)),
        create_model("PredictBatchRequest", __config__=config, features_list=(rows, ...)),
    )


def _annotation(feature: Mapping[str, Any]) -> Any:
    kind, unit = feature["kind"], feature["unit"]
    text = (
        f"{feature['description']} ({f'{kind}, {unit}' if unit else kind}: {_ACCEPTS[kind]}; null if missing)"
    )
    extra = {"x-kind": kind} | ({"x-unit": unit} if unit else {})
    return Annotated[_TYPES[kind] | None, Field(description=text, json_schema_extra=extra)]


def to_frame(features: Sequence[Mapping[str, Any]], rows: Sequence[Row]) -> pd.DataFrame:
    """Rows as the pipeline was fitted on them.

    Returns:
        Frame of shape (rows, features), columns in the order of the schema: numeric and boolean as float64
        with NaN for null, categorical as object with None for null.
    """
    # The process that supervises the workers of `bentoml serve` imports this module and never predicts.
    import numpy as np
    import pandas as pd

    return pd.DataFrame(
        {
            feature["name"]: np.array(
                [row[feature["name"]] for row in rows],
                dtype=object if feature["kind"] == "categorical" else np.float64,
            )
            for feature in features
        }
    )


def unseen_levels(features: Sequence[Mapping[str, Any]], rows: Sequence[Row]) -> list[str]:
    """One warning per categorical feature with a level that training did not have; no value is repeated."""
    warnings = []
    for feature in features:
        if feature["kind"] != "categorical":
            continue
        name, known = feature["name"], set(feature["levels"])
        count = sum(row[name] is not None and row[name] not in known for row in rows)
        if count:
            warnings.append(f"{name}: level not seen in training in {count} of {len(rows)} rows")
    return warnings
