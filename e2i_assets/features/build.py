"""From cohort members, events and HCPs to a feature set; contracts decide what may be a feature."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd
import polars as pl

from e2i_assets.cohorts.event_windows import EventWindows
from e2i_assets.contracts.base import columns
from e2i_assets.contracts.patients import HcpProfiles, PatientJourneys
from e2i_assets.contracts.undeclared import is_row_number
from e2i_assets.contracts.variables import (
    FEATURE_ROLES,
    INDEX,
    Attribute,
    Column,
    Feature,
    FeatureKind,
    Variable,
)
from e2i_assets.features.errors import FeatureError
from e2i_assets.features.event_rules import SOURCE
from e2i_assets.features.events import event_features
from e2i_assets.features.feature_set import KEYS, FeatureSet

JOURNEYS = "patient_journeys"
MIN_ROWS_OF_IDENTIFIER = 20
"""Up to so many rows, a different text in each may be chance; beyond, it identifies the row."""
IDENTIFYING = 0.9
"""Share of a text's values that one member alone has, above which it is an identifier with a few repeats."""
UNDESCRIBED = Variable(description="Clinical attribute, not described in the cohort file")


def build_features(
    members: pl.DataFrame,
    events: pl.DataFrame,
    hcps: pl.DataFrame,
    *,
    index_date_field: str | None,
    lookback_days: int,
    attributes: Mapping[str, Attribute],
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    event_subtypes: Mapping[str, Sequence[str]] | None = None,
    event_windows: Sequence[EventWindows] = (),
    minimum_cell_count: int = 5,
    required: Collection[str] = (),
) -> FeatureSet:
    """Features of every member from before the index date.

    Args:
        members: the cohort: contract columns of patient_journeys and one column per clinical attribute.
        attributes: what the cohort file declares; a column that is neither there nor in the contract is no
            feature, unless it is included by name.
        events, hcps: treatment_events and hcp_profiles of the partition; either may be empty.
        index_date_field: column of `members`; None where the partition has no index date, and then no event
            is known to come before it: there are no features of events, and `index_date` is empty.
        include: columns of `members` that are made features whatever their role; the leakage gate judges.
        exclude: features or columns to leave out, by name.
        event_subtypes: event type to those subtypes that become features of their own.
        event_windows: further statistics of events, over windows within the lookback.
        minimum_cell_count: patients below whom a kind of event is no feature: its name would tell of them.
        required: features of a model that is there already: they stay features where they tell little, as
            long as anybody has a value.

    Raises:
        FeatureError: a name that is no column, a journey or HCP twice, an HCP that nobody knows, an unknown
            index date, a type that no model takes.
    """
    described = _described(members, attributes)
    _known("include", include, members.columns)
    _sound(members, hcps, index_date_field)
    members = members.sort("patient_journey_id")
    unknown = _unknown(members, described, include)
    chosen = [n for n, facts in described.items() if n in include or (n not in unknown and _allowed(facts))]
    dates = [n for n in chosen if members[n].dtype.is_temporal() and n not in include]
    own = [
        _feature(n, members[n].dtype, described[n], JOURNEYS)
        for n in chosen
        if n not in dates and n not in exclude
    ]
    hcp_frame, from_hcps = _hcp(members, hcps)
    event_frame, from_events, rare = members.select("patient_journey_id"), list[Feature](), dict[str, str]()
    if index_date_field:
        event_frame, from_events, rare = event_features(
            members,
            events,
            index_date_field=index_date_field,
            lookback_days=lookback_days,
            subtypes=event_subtypes or {},
            declared=event_windows,
            minimum_cell_count=minimum_cell_count,
            required=required,
        )
    _known("exclude", exclude, [*members.columns, *(f.name for f in (*from_hcps, *from_events))])
    candidates = [*own, *(f for f in (*from_hcps, *from_events) if f.name not in exclude)]
    _named_once(candidates)
    index_date = pl.col(index_date_field) if index_date_field else pl.lit(None, pl.Date)
    table = (
        members.select(*dict.fromkeys([*KEYS[:2], "hcp_id", *(f.name for f in own)]), index_date=index_date)
        .join(hcp_frame, on="hcp_id", how="left", maintain_order="left")
        .join(event_frame, on="patient_journey_id", how="left", maintain_order="left")
    )
    dropped = unknown | dict.fromkeys(dates, "a date is no feature by itself")
    dropped |= dict.fromkeys(exclude, "excluded")
    if not index_date_field and events.height:
        dropped[SOURCE] = "no index date, so no event is known to come before it"
    dropped |= rare
    for feature in candidates:
        if reason := _useless(feature, table[feature.name], needed=feature.name in required):
            dropped[feature.name] = reason
    features = tuple(f for f in candidates if f.name not in dropped)
    if not features:
        raise FeatureError("no feature is left; look at the roles of the columns and at exclude")
    frame = pd.DataFrame(
        {name: table[name].to_pandas() for name in KEYS} | {f.name: _values(f, table) for f in features}
    )
    return FeatureSet(frame, features, _outcomes(members, described), dropped)


def _described(members: pl.DataFrame, attributes: Mapping[str, Attribute]) -> dict[str, Variable]:
    contract = {c.name: c for c in columns(PatientJourneys)}
    documents = [c.name for c in columns(PatientJourneys) if c.json and c.name in members.columns]
    if documents:
        raise FeatureError(f"{', '.join(documents)}: expand the JSON into one column per key first")
    return {n: contract.get(n) or attributes.get(n) or UNDESCRIBED for n in members.columns}


def _unknown(
    members: pl.DataFrame, described: Mapping[str, Variable], include: Sequence[str]
) -> dict[str, str]:
    """Columns that nobody has asked for as features, and why they are none."""
    undeclared = {n: "not in the cohort file" for n, d in described.items() if d is UNDESCRIBED}
    numbered = {n: "row numbers that pandas wrote" for n in described if is_row_number(members[n])}
    return {n: reason for n, reason in (undeclared | numbered).items() if n not in include}


def _allowed(facts: Variable) -> bool:
    return facts.role in FEATURE_ROLES and facts.available_at in (INDEX, None)


def _known(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise FeatureError(f"{what}: {', '.join(unknown)}: no such column")


def _sound(members: pl.DataFrame, hcps: pl.DataFrame, index_date_field: str | None) -> None:
    """A left join would double rows where a key comes twice, and leave gaps where it is unknown."""
    if index_date_field and members.get_column(index_date_field).is_null().any():
        raise FeatureError(
            f"{index_date_field}: empty for some members; the cohort must hold dated members only"
        )
    for name, keys in (("patient_journey_id", members["patient_journey_id"]), ("hcp_id", hcps["hcp_id"])):
        if repeated := len(keys) - keys.drop_nulls().n_unique():
            raise FeatureError(f"{name}: {repeated} rows repeat it or lack it; each must be there once")
    treating = members["hcp_id"].drop_nulls().unique()
    if unknown := int((~treating.is_in(hcps["hcp_id"].to_list())).sum()):
        raise FeatureError(f"hcp_id: {unknown} HCPs of members are not in hcp_profiles; load them")


def _named_once(features: Sequence[Feature]) -> None:
    names = [*KEYS, *(f.name for f in features)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise FeatureError(f"{', '.join(twice)}: two features of one name; rename or exclude the attribute")


def _feature(name: str, dtype: pl.DataType, facts: Variable, table: str, prefix: str = "") -> Feature:
    low, high, allowed = (
        (facts.low, facts.high, facts.allowed) if isinstance(facts, Column) else (None, None, None)
    )
    return Feature(
        name=prefix + name,
        kind=_kind(name, dtype),
        source=f"{table}.{name}",
        role=facts.role,
        available_at=facts.available_at,
        unit=facts.unit,
        description=facts.description,
        low=low,
        high=high,
        integer=dtype.is_integer(),
        allowed=allowed,
    )


def _kind(name: str, dtype: pl.DataType) -> FeatureKind:
    if dtype == pl.Boolean:
        return "boolean"
    if dtype.is_numeric():
        return "numeric"
    if dtype == pl.String:
        return "categorical"
    raise FeatureError(f"{name}: a column of type {dtype} cannot be a feature; exclude it")


def _hcp(members: pl.DataFrame, hcps: pl.DataFrame) -> tuple[pl.DataFrame, list[Feature]]:
    known = [c for c in columns(HcpProfiles) if _allowed(c)]
    features = [_feature(c.name, c.dtype, c, "hcp_profiles", "hcp_") for c in known]
    return hcps.select("hcp_id", *[pl.col(c.name).alias(f"hcp_{c.name}") for c in known]), features


def _useless(feature: Feature, values: pl.Series, *, needed: bool) -> str:
    """Why a candidate is no feature; empty when it is one. What is `needed` may tell little."""
    known = values.drop_nulls()
    if known.is_empty():
        return "no member has a value"
    if needed:
        return ""
    if values.n_unique() == 1:
        return "the same for every member"
    if feature.kind == "categorical" and len(known) > MIN_ROWS_OF_IDENTIFIER:
        own = known.is_unique().sum()
        if own > IDENTIFYING * len(known):
            return f"identifies members: {own} of {len(known)} values are of one member alone"
    return ""


def _values(feature: Feature, table: pl.DataFrame) -> pd.Series:
    values = table[feature.name]
    if feature.kind == "categorical":
        return pd.Series(values.to_list(), dtype=object)
    return values.cast(pl.Float64).to_pandas()


def _outcomes(members: pl.DataFrame, described: Mapping[str, Variable]) -> pd.DataFrame:
    types = {n: members[n].dtype for n, facts in described.items() if facts.role == "outcome"}
    texts = [n for n, dtype in types.items() if dtype == pl.String]
    if wrong := [n for n, t in types.items() if not (t.is_numeric() or t in (pl.Boolean, pl.String))]:
        raise FeatureError(f"{', '.join(wrong)}: an outcome must be a number, a boolean or a class by name")
    outcomes = {"patient_journey_id": members["patient_journey_id"].to_pandas()}
    for name in types:
        values = members[name] if name in texts else members[name].cast(pl.Float64)
        outcomes[name] = pd.Series(values.to_list(), dtype=object) if name in texts else values.to_pandas()
    return pd.DataFrame(outcomes)
