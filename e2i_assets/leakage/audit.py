"""The audit: the three kinds over one training frame, contract first, data second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pandas as pd

from e2i_assets.leakage.contamination import contamination_findings
from e2i_assets.leakage.contract import Contract, as_entries, is_whole
from e2i_assets.leakage.findings import Finding, LeakageError, LeakageReport
from e2i_assets.leakage.plausible import PLAUSIBLE, Plausible, plausibility
from e2i_assets.leakage.target import coded_columns, target_findings
from e2i_assets.leakage.temporal import (
    availability_findings,
    date_findings,
    declared_early,
    read_dates,
    uncompared,
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
    plausible: Plausible = PLAUSIBLE,
    equal_rows: bool = False,
) -> LeakageReport:
    """Look for leakage in a training frame; every column but target, id and index date is a feature.

    Args:
        train: one row per example.
        target: the outcome column; two values or text are classes, other numbers a regression.
        id_column: the unit of splitting (patient); compared between splits, and kept whole in folds.
        contract: what is known of the columns: by name an entry with `role` and `available_at` (a variable, a
            mapping, or one of both), a list of the columns known only afterwards, or a table contract.
            Features that an entry could declare as known on the index date, and none does, must not be
            implausibly good, alone or together; with no contract, or a mere list, their joint figure is among
            the limits.
        other_splits: name to frame; every pair of splits is compared, train among them.
        event_times: name of the column with each row's index date.
        plausible: how well all features together may tell the target.
        equal_rows: rows of different ids may be equal between splits; told among the limits, no finding.

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
    early = declared_early(features, known)
    open_ = (f for f in features if f not in known or not known[f].declared)
    undeclared = tuple(open_) if is_whole(contract) else ()
    if known:
        findings += availability_findings(train, features, known, index_date)
        examined["availability"] = sum(f in known and f not in undeclared for f in features)
    if index_date is None:
        limits += uncompared(train, features)
    else:
        late, examined["temporal"] = date_findings(train, features, index_date)
        findings += late
    if others:
        between = contamination_findings({"train": train, **others}, id_column, equal_rows=equal_rows)
        findings += between.findings
        examined["contamination"], limits = between.compared, limits + between.limits
    groups = train[id_column] if id_column else None
    try:
        if len(unjudged) == len(features):
            raise LeakageError("nothing_to_judge", "no feature has a value, so nothing can be audited")
        columns, outcome = coded_columns(train, target, features, groups)
        findings += target_findings(columns, outcome, target, early)
        leaks = {f.column for f in findings}
        asked = frozenset(features) - early if is_whole(contract) else None
        left = [c for c in columns if c.name not in leaks and c.name not in unjudged]
        questions = plausibility(left, outcome, asked, plausible)
        findings, limits = findings + questions.findings, limits + questions.limits
        if outcome.left_out:
            limits += (f"{outcome.left_out} classes of {target} are too rare, or too many, to be compared",)
        examined["target"] = len(features) - len(unjudged)
    except LeakageError:
        if not findings:  # what contract, dates and splits say is true whatever the target is
            raise
    ordered = sorted(findings, key=lambda f: (f.kind, f.column, f.evidence))
    return LeakageReport(target, len(train), tuple(ordered), examined, unjudged, limits, undeclared)


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
