"""The audit: the three kinds over one training frame, contract first, data second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pandas as pd

from e2i_assets.quality.leakage.contamination import contamination_findings
from e2i_assets.quality.leakage.declared import Contract, as_entries
from e2i_assets.quality.leakage.findings import Finding, LeakageError, LeakageReport
from e2i_assets.quality.leakage.target import target_findings
from e2i_assets.quality.leakage.temporal import (
    availability_findings,
    date_findings,
    declared_early,
    read_dates,
)


class ConvertsToPandas(Protocol):
    """A Polars or Arrow table."""

    def to_pandas(self) -> pd.DataFrame:
        """The same rows."""


Frame = pd.DataFrame | ConvertsToPandas


def audit_leakage(
    train: Frame,
    target: str,
    *,
    id_column: str | None = None,
    contract: Contract | None = None,
    other_splits: Mapping[str, Frame] | None = None,
    event_times: str | None = None,
) -> LeakageReport:
    """Look for leakage in a training frame; every column but target, id and index date is a feature.

    Args:
        train: one row per example.
        target: the outcome column; two values or text are classes, other numbers a regression.
        id_column: the unit of splitting (patient); compared between splits, and kept whole in folds.
        contract: what is known of the columns: by name an entry with `role` and `available_at` (an object, a
            mapping, or one of both), a list of the columns known only afterwards, or a table contract; a
            column without an entry is judged by the data alone.
        other_splits: name to frame; every pair of splits is compared, train among them.
        event_times: name of the column with each row's index date.

    Raises:
        LeakageError: nothing was found, and nothing can be said of the target: no rows, no such column, no
            feature with a value, one class only; or a row without an id or index date, or a contract that
            cannot be read.
    """
    train = _as_pandas(train, "training")
    others = {str(name): _as_pandas(frame, str(name)) for name, frame in (other_splits or {}).items()}
    _check_frame(train, target, id_column)
    index_date = read_dates(train, event_times) if event_times else None
    features = [c for c in train.columns if c not in (target, id_column, event_times)]
    if not features:
        raise LeakageError("nothing_to_judge", "the frame has no feature columns to audit")
    unjudged = tuple(name for name in features if not train[name].notna().any())
    examined = {"availability": 0, "temporal": 0, "target": 0, "contamination": 0}
    findings: list[Finding] = []
    limits: tuple[str, ...] = ()
    known = as_entries(contract, train.columns) if contract is not None else {}
    if known:
        findings += availability_findings(train, features, known, index_date)
        examined["availability"] = sum(f in known for f in features)
    if index_date is not None:
        late, examined["temporal"] = date_findings(train, features, index_date)
        findings += late
    if others:
        between = contamination_findings({"train": train, **others}, id_column)
        findings += between.findings
        examined["contamination"], limits = between.compared, between.limits
    groups = train[id_column] if id_column else None
    try:
        if len(unjudged) == len(features):
            raise LeakageError("nothing_to_judge", "no feature has a value, so nothing can be audited")
        findings += target_findings(train, target, features, groups, declared_early(features, known))
        examined["target"] = len(features) - len(unjudged)
    except LeakageError:
        if not findings:  # what contract, dates and splits say is true whatever the target is
            raise
    ordered = sorted(findings, key=lambda f: (f.kind, f.column, f.evidence))
    return LeakageReport(target, len(train), tuple(ordered), examined, unjudged, limits)


def _as_pandas(frame: Frame, name: str) -> pd.DataFrame:
    table = frame if isinstance(frame, pd.DataFrame) else frame.to_pandas()
    table = table.set_axis([str(c) for c in table.columns], axis="columns")
    if not table.columns.is_unique:
        raise LeakageError("missing_column", f"the {name} frame has two columns of the same name")
    return table


def _check_frame(train: pd.DataFrame, target: str, id_column: str | None) -> None:
    if train.empty:
        raise LeakageError("empty_input", "the training frame is empty")
    if target not in train.columns:
        raise LeakageError("missing_column", f"no target column {target!r} in the training frame")
    if id_column and id_column not in train.columns:
        raise LeakageError("missing_column", f"no id column {id_column!r} in the training frame")
    if id_column and (missing := int(train[id_column].isna().sum())):
        raise LeakageError(
            "missing_value", f"{id_column}: {missing} of {len(train)} training rows have no id"
        )
