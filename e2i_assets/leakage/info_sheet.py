"""The eight types of leakage of Kapoor and Narayanan (2023), and what covers each for one model.

Kapoor S, Narayanan A. Leakage and the reproducibility crisis in machine-learning-based science. Patterns
4(9), 2023, table 1. Each row is made from what really ran; what did not run is not covered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from e2i_assets.leakage.findings import LeakageReport

NOT_COVERED = "not covered"
IMBALANCE = 0.25
"""Standardized difference from which on a feature is unbalanced (Rubin 2001)."""


@dataclass(frozen=True)
class SheetRow:
    """One type of leakage.

    Attributes:
        covered_by: the checks that looked for it, or `not covered`.
        result: what they said, and what they leave open.
    """

    type: str
    name: str
    covered_by: str
    result: str


@dataclass(frozen=True)
class Evidence:
    """What ran for one model.

    Attributes:
        gates: gate of the splits or of the preprocessor to whether it passed; absent where it did not run.
        audit: the leakage audit of the model's target; None where there was none.
        test_rows: rows of the test split that the model was scored on, once.
        features, declared: what the model uses, and what configuration and contracts declare as features.
        largest_shift: feature with the largest standardized difference between train and test, and that.
        after_train: share of test rows whose index date is after the last of train; None without index dates.
    """

    gates: Mapping[str, bool]
    audit: LeakageReport | None
    test_rows: int
    features: Sequence[str]
    declared: Sequence[str]
    largest_shift: tuple[str, float] | None
    after_train: float | None


def leakage_sheet(evidence: Evidence) -> tuple[SheetRow, ...]:
    """The sheet of one model, eight rows."""
    return (
        SheetRow("L1.1", "No test set", *_test_set(evidence)),
        SheetRow("L1.2", "Pre-processing on training and test set", *_gates(evidence, "fitted_on_train")),
        SheetRow("L1.3", "Feature selection on training and test set", *_selection(evidence)),
        SheetRow("L1.4", "Duplicates across training and test set", *_audit(evidence, "contamination")),
        SheetRow("L2", "Features that are no legitimate predictors", *_predictors(evidence)),
        SheetRow("L3.1", "Temporal leakage", *_time(evidence)),
        SheetRow("L3.2", "Dependence between training and test samples", *_dependence(evidence)),
        SheetRow("L3.3", "Sampling bias in the test distribution", *_sampling(evidence)),
    )


def largest_shift(
    train: pd.DataFrame, test: pd.DataFrame, features: Sequence[str]
) -> tuple[str, float] | None:
    """The feature whose distribution differs most between two splits, by standardized difference.

    Of numbers the difference of means in standard deviations of train, of other levels the largest one of
    their shares (Austin 2009). None when no feature has values in both.
    """
    shifts = {name: _shift(train[name], test[name]) for name in features}
    known = {name: shift for name, shift in shifts.items() if shift is not None}
    return max(known.items(), key=lambda item: item[1]) if known else None


def _shift(train: pd.Series, test: pd.Series) -> float | None:
    if not train.notna().any() or not test.notna().any():
        return None
    if pd.api.types.is_numeric_dtype(train):
        columns = {"": (train.astype(float), test.astype(float))}
    else:
        columns = {
            level: ((train == level).astype(float), (test == level).astype(float))
            for level in train.dropna().unique()
        }
    return max((_standardized(a, b) for a, b in columns.values()), default=None)


def _standardized(train: pd.Series, test: pd.Series) -> float:
    gap, spread = abs(float(train.mean() - test.mean())), float(train.std(ddof=0))
    return gap / spread if spread > 0 else (0.0 if gap == 0 else float(np.inf))


def _gates(evidence: Evidence, *names: str) -> tuple[str, str]:
    ran = [name for name in names if name in evidence.gates]
    outcomes = ", ".join(f"{name} {'passed' if evidence.gates[name] else 'failed'}" for name in ran)
    return (", ".join(ran), outcomes) if ran else (NOT_COVERED, f"{', '.join(names)} did not run")


def _audit(evidence: Evidence, *kinds: str) -> tuple[str, str]:
    """What the leakage gate says of these kinds of examination."""
    if evidence.audit is None or "no_leakage" not in evidence.gates:
        return NOT_COVERED, "no leakage audit of this target is recorded"
    looked = {kind: evidence.audit.examined.get(kind, 0) for kind in kinds}
    if not any(looked.values()):
        return NOT_COVERED, f"the audit had nothing to look at for {', '.join(kinds)}"
    found_as = {"temporal" if kind in ("availability", "temporal") else kind for kind in kinds}
    findings = sum(finding.kind in found_as for finding in evidence.audit.findings)
    counts = ", ".join(f"{_COUNTED[kind]} {n}" for kind, n in looked.items())
    return f"no_leakage ({', '.join(kinds)})", f"{findings} findings; {counts}"


_COUNTED = {
    "availability": "features judged by contract",
    "temporal": "date columns compared with the index date",
    "target": "features compared with the target",
    "contamination": "pairs of splits compared by patient and row",
}


def _test_set(evidence: Evidence) -> tuple[str, str]:
    covered, outcomes = _gates(evidence, "split_ratios")
    if covered == NOT_COVERED or not evidence.test_rows:
        return NOT_COVERED, outcomes if evidence.test_rows else f"no test rows; {outcomes}"
    return f"{covered}, vault", f"{outcomes}; the test split was sealed, and opened once for this model"


def _selection(evidence: Evidence) -> tuple[str, str]:
    undeclared = sorted(set(evidence.features) - set(evidence.declared))
    if undeclared or not evidence.features:
        return (
            NOT_COVERED,
            f"features that configuration does not declare: {', '.join(undeclared) or 'no features'}",
        )
    fitted, outcome = _gates(evidence, "fitted_on_train")
    if fitted == NOT_COVERED:
        return NOT_COVERED, f"what chose the features: {outcome}"
    result = (
        f"all {len(evidence.features)} features are among the {len(evidence.declared)} that configuration "
        f"declares before the split, and were chosen with the preprocessor ({outcome}); the test split is "
        "sealed while features, algorithm and parameters are chosen"
    )
    return f"declared features, {fitted}, vault", result


def _predictors(evidence: Evidence) -> tuple[str, str]:
    """Of a feature that nobody declared, only figures and name can tell."""
    covered, result = _audit(evidence, "availability", "target")
    if covered == NOT_COVERED or evidence.audit is None:
        return covered, result
    undeclared = sorted(set(evidence.features) & set(evidence.audit.undeclared))
    named = f" ({', '.join(undeclared)})" if undeclared else ""
    return covered, f"{result}; not declared {len(undeclared)} of {len(evidence.features)} features{named}"


def _time(evidence: Evidence) -> tuple[str, str]:
    covered, result = _audit(evidence, "availability", "temporal")
    share = evidence.after_train
    if share is None:
        return covered, f"{result}; order of time between train and test: not covered"
    order = "every test row" if share == 1 else f"{share:.0%} of test rows"
    left = "" if share == 1 else ", so generalization to later patients: not covered"
    return covered, f"{result}; {order} after the last index date of train{left}"


def _dependence(evidence: Evidence) -> tuple[str, str]:
    ratios, outcomes = _gates(evidence, "split_ratios", "stable_splits")
    audit, audited = _audit(evidence, "contamination")
    covered = [check for check in (ratios, audit) if check != NOT_COVERED]
    result = f"{outcomes}; {audited}; patients of one HCP in several splits: not covered"
    return ", ".join(covered) or NOT_COVERED, result


def _sampling(evidence: Evidence) -> tuple[str, str]:
    if evidence.largest_shift is None:
        return NOT_COVERED, "train and test were not compared"
    feature, shift = evidence.largest_shift
    verdict = "balanced" if shift < IMBALANCE else "unbalanced"
    return (
        "train against test",
        f"{verdict}: largest standardized difference {shift:.3f} ({feature}), limit {IMBALANCE}; whether the "
        "cohort stands for the patients of interest: not covered",
    )
