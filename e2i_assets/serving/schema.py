"""`schema.json`: what a bundle says about itself, checked before anything is written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from e2i_assets.contracts.variables import Feature
from e2i_assets.serving.errors import BundleError

FORMAT = 2
"""Of `schema.json`: to be counted up when the service asks more of it, which reads no other."""


def feature_schema(
    features: Sequence[Feature],
    levels: Mapping[str, Sequence[str]],
    usual: Mapping[str, tuple[float, float]],
    out_of_contract: Literal["refuse", "warn"] = "refuse",
) -> list[dict[str, Any]]:
    """The features as plain JSON, in their order.

    Args:
        levels: for each categorical feature the levels that training saw; kept sorted.
        usual: numeric feature to the ends of what was usual in training; those without are not compared.
        out_of_contract: what becomes of a value that the contract does not allow.

    Raises:
        BundleError: no feature, a name given twice, an unknown kind, or levels that do not go with the
            categorical features.
    """
    names = [feature.name for feature in features]
    _require(bool(names), "a bundle needs at least one feature")
    _require(
        len(set(names)) == len(names),
        f"features named twice: {sorted({n for n in names if names.count(n) > 1})}",
    )
    unknown = sorted(f.name for f in features if f.kind not in ("numeric", "categorical", "boolean"))
    _require(not unknown, f"features of unknown kind: {unknown}; use numeric, categorical or boolean")
    categorical = {feature.name for feature in features if feature.kind == "categorical"}
    _require(
        categorical == set(levels),
        "levels must be given for the categorical features and no other: "
        f"missing {sorted(categorical - set(levels))}, superfluous {sorted(set(levels) - categorical)}",
    )
    return [
        {
            "name": feature.name,
            "kind": feature.kind,
            "unit": feature.unit,
            "description": feature.description,
            "low": feature.low,
            "high": feature.high,
            "integer": feature.integer,
            "allowed": list(feature.allowed) if feature.allowed else None,
            "out_of_contract": out_of_contract,
            "levels": sorted(levels[feature.name]) if feature.name in categorical else None,
            "usual": list(usual[feature.name]) if feature.name in usual else None,
        }
        for feature in features
    ]


def render(schema: Mapping[str, Any]) -> str:
    """`schema` as the text of `schema.json`; the same content gives the same text.

    Raises:
        BundleError: metadata that is neither text nor a finite number.
    """
    bad = sorted(
        key
        for key, value in schema["metadata"].items()
        if not isinstance(value, str | float | int)
        or (not isinstance(value, str) and not math.isfinite(value))
    )
    _require(not bad, f"metadata must be text or a finite number: {bad}")
    return (
        json.dumps(
            {**schema, "format": FORMAT}, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False
        )
        + "\n"
    )


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise BundleError(rule)
