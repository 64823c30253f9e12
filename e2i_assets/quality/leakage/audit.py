"""The audit: the three kinds over one training frame, contract first, data second."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from e2i_assets.quality.leakage.contamination import contamination_findings
from e2i_assets.quality.leakage.findings import Contract, Finding, LeakageError, LeakageReport, as_entries
from e2i_assets.quality.leakage.target import target_findings
from e2i_assets.quality.leakage.temporal import (
    availability_findings,
    date_findings,
    declared_early,
    read_dates,
)


def audit_leakage(
    train: pd.DataFrame,
    target: str,
    *,
    id_column: str | None = None,
    contract: Contract | None = None,
    other_splits: Mapping[str, pd.DataFrame] | None = None,
    event_times: str | None = None,
) -> LeakageReport:
    """Look for leakage in a training frame; every column but target, id and index date is a feature.

    Args:
        train: one row per example.
        target: the outcome column; two values or text are classes, other numbers a regression.
        id_column: the unit of splitting (patient); compared between splits, and kept whole in folds.
        contract: what is known of the columns: a table contract, or by name an entry with `role` and
            `available_at` (an object or a mapping); a column without an entry is judged by the data alone.
        other_splits: name to frame; every pair of splits is compared, train among them.
        event_times: name of the column with each row's index date.

    Raises:
        LeakageError: nothing can be said: no rows, no such column, no feature with a value, one class only, a
            row without an id or index date, a contract that cannot be read.
    """
    _check_frame(train, target, id_column)
    index_date = read_dates(train, event_times) if event_times else None
    features = [str(c) for c in train.columns if c not in (target, id_column, event_times)]
    if not features:
        raise LeakageError("nothing_to_judge", "the frame has no feature columns to audit")
    unjudged = tuple(name for name in features if not train[name].notna().any())
    if len(unjudged) == len(features):
        raise LeakageError("nothing_to_judge", "no feature has a value, so nothing can be audited")
    examined = {"availability": 0, "temporal": 0, "target": len(features) - len(unjudged), "contamination": 0}
    findings: list[Finding] = []
    known = as_entries(contract) if contract is not None else {}
    if known:
        findings += availability_findings(train, features, known, index_date)
        examined["availability"] = sum(f in known for f in features)
    if index_date is not None:
        late, examined["temporal"] = date_findings(train, features, index_date)
        findings += late
    groups = train[id_column] if id_column else None
    findings += target_findings(train, target, features, groups, declared_early(features, known))
    if other_splits:
        found, examined["contamination"] = contamination_findings({"train": train, **other_splits}, id_column)
        findings += found
    ordered = sorted(findings, key=lambda f: (f.kind, f.column, f.evidence))
    return LeakageReport(target, len(train), tuple(ordered), examined, unjudged)


def _check_frame(train: pd.DataFrame, target: str, id_column: str | None) -> None:
    if train.empty:
        raise LeakageError("empty_input", "the training frame is empty")
    if not train.columns.is_unique:
        raise LeakageError("missing_column", "the training frame has two columns of the same name")
    if target not in train.columns:
        raise LeakageError("missing_column", f"no target column {target!r} in the training frame")
    if id_column and id_column not in train.columns:
        raise LeakageError("missing_column", f"no id column {id_column!r} in the training frame")
    if id_column and (missing := int(train[id_column].isna().sum())):
        raise LeakageError(
            "missing_value", f"{id_column}: {missing} of {len(train)} training rows have no id"
        )
