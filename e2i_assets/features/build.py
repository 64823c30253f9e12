"""From cohort members, events and HCPs to a feature set; contracts decide what may be a feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import pandas as pd
import polars as pl

from e2i_assets.contracts.base import INDEX, columns
from e2i_assets.contracts.tables import HcpProfiles, PatientJourneys
from e2i_assets.features.errors import FeatureError
from e2i_assets.features.events import event_features
from e2i_assets.features.feature_set import KEYS, Feature, FeatureSet, Kind

JOURNEYS = "patient_journeys"
MAX_LEVELS = 50
FEATURE_ROLES = ("feature", "treatment")


class AttributeLike(Protocol):
    """What a cohort file says of a clinical attribute, and a contract of a column."""

    role: str
    available_at: str
    unit: str | None
    description: str


class _Undeclared:
    """An attribute that no cohort file describes: a feature, known at the index date."""

    role = "feature"
    available_at = INDEX
    unit = None
    description = "Clinical attribute, not described in the cohort file"


def build_features(
    members: pl.DataFrame,
    events: pl.DataFrame,
    hcps: pl.DataFrame,
    *,
    index_date_field: str,
    lookback_days: int,
    attributes: Mapping[str, AttributeLike],
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> FeatureSet:
    """Features of every member from before the index date.

    Args:
        members: the cohort: contract columns of patient_journeys and one column per clinical attribute.
        events, hcps: treatment_events and hcp_profiles of the programme; either may be empty.
        include: columns of `members` that are made features whatever their role; the leakage gate judges.
        exclude: features or columns to leave out, by name.

    Raises:
        FeatureError: a name that is no column, an unknown index date, a categorical with too many levels.
    """
    described = _described(members, attributes)
    _known("include", include, members.columns)
    if members.get_column(index_date_field).is_null().any():
        raise FeatureError(
            f"{index_date_field}: empty for some members; the cohort must hold dated members only"
        )
    members = members.sort("patient_journey_id")
    chosen = [n for n, facts in described.items() if n in include or _allowed(facts)]
    own = [
        _feature(n, members[n].dtype, described[n], JOURNEYS) for n in chosen if members[n].dtype != pl.Date
    ]
    hcp_frame, hcp_features = _hcp(members, hcps)
    event_frame, from_events = event_features(
        members, events, index_date_field=index_date_field, lookback_days=lookback_days
    )
    table = (
        members.join(hcp_frame, on="hcp_id", how="left", maintain_order="left")
        .join(event_frame, on="patient_journey_id", how="left", maintain_order="left")
        .with_columns(pl.col(index_date_field).alias("index_date"))
    )
    candidates = [*own, *hcp_features, *from_events]
    _known("exclude", exclude, [*members.columns, *(f.name for f in candidates)])
    dropped = {f.name: reason for f in candidates if (reason := _useless(f, table, exclude))}
    features = tuple(f for f in candidates if f.name not in dropped)
    for feature in features:
        _refuse_many_levels(feature, table)
    if not features:
        raise FeatureError("no feature is left; look at the roles of the columns and at exclude")
    frame = pd.DataFrame(
        {name: table[name].to_pandas() for name in KEYS} | {f.name: _values(f, table) for f in features}
    )
    return FeatureSet(frame, features, _outcomes(members, described), dropped)


def _described(members: pl.DataFrame, attributes: Mapping[str, AttributeLike]) -> dict[str, AttributeLike]:
    contract: dict[str, AttributeLike] = {c.name: c for c in columns(PatientJourneys)}  # type: ignore[misc]
    return {n: contract.get(n) or attributes.get(n) or _Undeclared() for n in members.columns}


def _allowed(facts: AttributeLike) -> bool:
    return facts.role in FEATURE_ROLES and facts.available_at == INDEX


def _known(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise FeatureError(f"{what}: {', '.join(unknown)}: no such column")


def _feature(name: str, dtype: pl.DataType, facts: AttributeLike, table: str, prefix: str = "") -> Feature:
    return Feature(prefix + name, _kind(name, dtype), facts.unit, facts.description, f"{table}.{name}")


def _kind(name: str, dtype: pl.DataType) -> Kind:
    if dtype == pl.Boolean:
        return "boolean"
    if dtype.is_numeric():
        return "numeric"
    if dtype == pl.String:
        return "categorical"
    raise FeatureError(f"{name}: a column of type {dtype} cannot be a feature; exclude it")


def _hcp(members: pl.DataFrame, hcps: pl.DataFrame) -> tuple[pl.DataFrame, list[Feature]]:
    known = [c for c in columns(HcpProfiles) if _allowed(c)]  # type: ignore[arg-type]
    features = [_feature(c.name, c.dtype, c, "hcp_profiles", "hcp_") for c in known]  # type: ignore[arg-type]
    return hcps.select("hcp_id", *[pl.col(c.name).alias(f"hcp_{c.name}") for c in known]), features


def _useless(feature: Feature, table: pl.DataFrame, exclude: Sequence[str]) -> str:
    """Why a candidate is no feature; empty when it is one."""
    values = table[feature.name]
    if feature.name in exclude:
        return "excluded"
    if values.is_null().all():
        return "no member has a value"
    if values.n_unique() == 1:
        return "the same for every member"
    return ""


def _refuse_many_levels(feature: Feature, table: pl.DataFrame) -> None:
    levels = table[feature.name].n_unique()
    if feature.kind == "categorical" and levels > MAX_LEVELS:
        raise FeatureError(
            f"{feature.name}: {levels} different values, a categorical feature has at most {MAX_LEVELS}; "
            "name it under features.exclude in the cohort file"
        )


def _values(feature: Feature, table: pl.DataFrame) -> pd.Series:
    values = table[feature.name]
    if feature.kind == "categorical":
        return pd.Series(values.to_list(), dtype=object)
    return values.cast(pl.Float64).to_pandas()


def _outcomes(members: pl.DataFrame, described: Mapping[str, AttributeLike]) -> pd.DataFrame:
    names = [n for n, facts in described.items() if facts.role == "outcome"]
    outcomes = {"patient_journey_id": members["patient_journey_id"].to_pandas()}
    return pd.DataFrame(outcomes | {n: members[n].cast(pl.Float64).to_pandas() for n in names})
