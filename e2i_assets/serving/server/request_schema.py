"""What a request may say, made from a bundle's `schema.json`, and the frame that the pipeline is given.

Knows no other module of the package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AllowInfNan,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    create_model,
    model_validator,
    with_config,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

if TYPE_CHECKING:
    import pandas as pd

MAX_BATCH = 1000
"""Rows of one batch request (the guide's limit)."""
MAX_UNKNOWN = 5
"""Names that a request has and the bundle does not, told one by one; of the others, how many."""
NAME_CHARACTERS = 64
"""Of an unknown name no more is repeated."""
LARGEST = 2.0**53
"""Size of a number that no contract bounds: above it whole numbers are not exact, nor do models answer."""
FAR = 0.1
"""How far beyond the usual values of train a number is doubted, as a share of their range."""

_TYPES: dict[str, Any] = {
    "numeric": Annotated[float, AllowInfNan(False)],
    "boolean": bool,
    "categorical": str,
}
_ACCEPTS = {"boolean": "true or false", "categorical": "a string"}

_ABOUT = (
    "Whom the row is about, for whom asks later how good predictions were; kept in the prediction log alone"
)
_NAME: Any = Annotated[str, Field(strict=True, pattern=r"^[!-~]{1,64}$")] | None
_JOURNEY: Any = (Annotated[_NAME, Field(description=_ABOUT)], None)
_JOURNEYS: Any = (Annotated[list[_NAME] | None, Field(description=_ABOUT, max_length=MAX_BATCH)], None)

_EXPLAIN: Any = (
    Annotated[bool, Field(strict=True, description="Tell what each feature adds to the model's score")],
    False,
)


def _only_one_row(explain: bool) -> bool:
    if explain:
        raise PydanticCustomError("one_row", "a single row is explained at a time; ask /predict for each")
    return explain


_NOT_EXPLAINED: Any = (
    Annotated[
        bool,
        AfterValidator(_only_one_row),
        Field(strict=True, description="Of a single row, by /predict", json_schema_extra={"const": False}),
    ],
    False,
)

Row = Mapping[str, float | bool | str | None]


def request_models(
    features: Sequence[Mapping[str, Any]], model_name: str
) -> tuple[type[BaseModel], type[BaseModel]]:
    """The bodies of `/predict` and `/predict_batch`.

    Args:
        features: the `features` of a bundle's schema, as `serving.schema.feature_schema` makes them.
        model_name: which model this is; a body may name it, and no other.

    Returns:
        `PredictRequest` with `features`, `PredictBatchRequest` with `features_list` (1 to `MAX_BATCH` rows);
        the first may ask to `explain` its prediction.
        Every feature is required, may be null, is typed strictly and lies within its contract, unless the
        bundle says that what does not is answered with a warning; an unknown name is refused. A
        batch stops at its first bad row, so that an answer cannot outgrow its request.
        Errors locate the feature and never carry the input, neither in the answer nor in the server's log.
    """
    # A TypedDict, because a feature may be called anything, `copy` and `1st_visit` included.
    row = TypedDict("Features", {feature["name"]: _annotation(feature) for feature in features})  # type: ignore[misc, operator]
    with_config(ConfigDict(extra="forbid", strict=True))(row)
    named = Annotated[row, BeforeValidator(_few_unknown({feature["name"] for feature in features}))]  # type: ignore[valid-type]
    rows = Annotated[list[named], Field(min_length=1, max_length=MAX_BATCH, fail_fast=True)]  # type: ignore[valid-type]
    return (
        _body(
            "PredictRequest",
            model_name,
            {"features": (named, ...), "patient_journey_id": _JOURNEY, "explain": _EXPLAIN},
        ),
        _body(
            "PredictBatchRequest",
            model_name,
            {"features_list": (rows, ...), "patient_journey_ids": _JOURNEYS, "explain": _NOT_EXPLAINED},
            model_validator(mode="after")(_one_each),
        ),
    )


def _one_each(batch: Any) -> Any:
    """Of a batch: that where journeys are named, each row has one."""
    named = batch.patient_journey_ids
    if named is not None and len(named) != len(batch.features_list):
        raise PydanticCustomError("one_each", "patient_journey_ids should be as many as features_list")
    return batch


def _body(name: str, model_name: str, content: Mapping[str, Any], check: Any = None) -> type[BaseModel]:
    fields: Any = {**content, "model_name": (Literal[model_name] | None, None)}  # type: ignore[valid-type]
    validators: Any = {"few_unknown": model_validator(mode="before")(_few_unknown(set(fields)))}
    if check:
        validators["check"] = check
    # `model_name` is a feature of ours, not of pydantic's models.
    config = ConfigDict(extra="forbid", hide_input_in_errors=True, protected_namespaces=())
    return create_model(name, __config__=config, __validators__=validators, **fields)


def _few_unknown(known: set[str]) -> Callable[[Any], Any]:
    """What leaves a mapping its known names and shortens the others, so that an error is short as well."""

    def shortened(given: Any) -> Any:
        if not isinstance(given, dict) or not (unknown := [name for name in given if name not in known]):
            return given
        short = {name: value for name, value in given.items() if name in known}
        for name in unknown[:MAX_UNKNOWN]:
            short[name if len(name) <= NAME_CHARACTERS else name[:NAME_CHARACTERS] + "\u2026"] = None
        if len(unknown) > MAX_UNKNOWN:
            short[f"and {len(unknown) - MAX_UNKNOWN} more"] = None
        return short

    return shortened


def _annotation(feature: Mapping[str, Any]) -> Any:
    kind, unit = feature["kind"], feature["unit"]
    wanted, refuses = _wanted(feature), _refuses(feature)
    wanted += "" if refuses else "; else answered with a warning"
    text = f"{feature['description']} ({f'{kind}, {unit}' if unit else kind}: {wanted}; null if missing)"
    facts = {"x-kind": kind, "x-unit": unit}
    if refuses:
        facts |= {"minimum": feature["low"], "maximum": feature["high"]}
    extra = {key: value for key, value in facts.items() if value is not None}
    accepted = feature if refuses else {**_WITHOUT_CONTRACT, "kind": kind}
    checked: Any = _TYPES[kind]
    if kind == "numeric" or accepted["allowed"]:  # of the others every value holds, and asking costs
        checked = Annotated[checked, AfterValidator(_accepted(accepted))]
    return Annotated[checked | None, Field(description=text, json_schema_extra=extra)]


_WITHOUT_CONTRACT: Mapping[str, Any] = {"low": None, "high": None, "integer": False, "allowed": None}


def _refuses(feature: Mapping[str, Any]) -> bool:
    """Whether a value that the contract of a feature does not allow is refused."""
    return bool(feature["out_of_contract"] == "refuse")


def _wanted(feature: Mapping[str, Any]) -> str:
    """What the contract of a feature lets a value be, in words."""
    if feature["allowed"]:
        return f"one of {', '.join(feature['allowed'])}"
    if feature["kind"] != "numeric":
        return _ACCEPTS[feature["kind"]]
    low, high = _ends(feature)
    return f"{'a whole' if feature['integer'] else 'a finite'} number from {low:.15g} to {high:.15g}"


def bounds(feature: Mapping[str, Any]) -> tuple[float, float]:
    """The least and the largest number that a request may give for a feature."""
    return _ends(feature if _refuses(feature) else _WITHOUT_CONTRACT)


def accepted_levels(feature: Mapping[str, Any]) -> Sequence[str] | None:
    """The levels that a request may give for a feature; None where it may give any."""
    return feature["allowed"] if _refuses(feature) else None


def _ends(feature: Mapping[str, Any]) -> tuple[float, float]:
    """Of the contract of a feature; of one that is not bounded, those of a number."""
    low, high = feature["low"], feature["high"]
    return -LARGEST if low is None else low, LARGEST if high is None else high


def _holds(feature: Mapping[str, Any]) -> Callable[[Any], bool]:
    """Whether a value is what the contract of a feature lets it be."""
    if feature["kind"] == "numeric":
        (low, high), integer = _ends(feature), feature["integer"]
        return lambda value: low <= value <= high and not (integer and value % 1)
    allowed = feature["allowed"] and frozenset(feature["allowed"])
    return lambda value: not allowed or value in allowed


def _accepted(feature: Mapping[str, Any]) -> Callable[[Any], Any]:
    """What refuses values beyond the contract; the error says what is accepted, never what was given."""
    holds, wanted = _holds(feature), _wanted(feature)

    def checked(value: Any) -> Any:
        if not holds(value):
            raise PydanticCustomError("outside_contract", "Input should be {wanted}", {"wanted": wanted})
        return value

    return checked


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


def doubts(features: Sequence[Mapping[str, Any]], rows: Sequence[Row]) -> list[str]:
    """What makes an answer doubtful, in how many rows; no value is repeated.

    A row without any value, a value that the contract does not allow where that is not refused, a level that
    no patient of training has, or few, a number well beyond what was usual: the last few patients at either
    end are not told, so one of them may have had it.
    """
    return doubter(features)(rows)


def doubter(features: Sequence[Mapping[str, Any]]) -> Callable[[Sequence[Row]], list[str]]:
    """`doubts` of many requests about the same features."""
    empty = "every feature: null"
    contracts, known, ends = _unrefused(features), _known(features), _usual(features)
    texts = [empty, *(text for *_, text in (*contracts, *known, *ends))]

    def doubted(rows: Sequence[Row]) -> list[str]:
        counts = dict.fromkeys(texts, 0)
        for row in rows:
            counts[empty] += all(value is None for value in row.values())
            for name, holds, text in contracts:
                if (value := row[name]) is not None and not holds(value):
                    counts[text] += 1
            for name, levels, text in known:
                if row[name] not in levels:
                    counts[text] += 1
            for name, low, high, text in ends:
                if (value := row[name]) is not None and not low <= value <= high:  # type: ignore[operator]
                    counts[text] += 1
        return [f"{what} in {count} of {len(rows)} rows" for what, count in counts.items() if count]

    return doubted


def _unrefused(features: Sequence[Mapping[str, Any]]) -> list[tuple[str, Callable[[Any], bool], str]]:
    """Contracts that are not enforced: name, what holds of its values, the doubt."""
    return [
        (f["name"], _holds(f), f"{f['name']}: outside its contract, which allows {_wanted(f)}")
        for f in features
        if not _refuses(f) and f["kind"] != "boolean"
    ]


def _known(features: Sequence[Mapping[str, Any]]) -> list[tuple[str, set[str | None], str]]:
    """Levels of training: name, those that are known, the doubt."""
    return [
        (f["name"], {None, *f["levels"]}, f"{f['name']}: level rare or not seen in training")
        for f in features
        if f["kind"] == "categorical"
    ]


def _usual(features: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, float, str]]:
    """Ranges of training: name, the ends of what is not far from it, the doubt."""
    ranges = []
    for feature in features:
        if feature["kind"] != "categorical" and feature["usual"]:
            low, high = feature["usual"]
            margin = FAR * (high - low)
            text = f"{feature['name']}: well beyond the values usual in training"
            ranges.append((feature["name"], low - margin, high + margin, text))
    return ranges
