"""How the audit runs its rules, and the words that they know names by."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from e2i_assets.leakage import Finding, LeakageError, audit, audit_leakage, words
from e2i_assets.leakage.findings import Examined, Limit
from e2i_assets.leakage.univariate import TargetError

LISTS = {
    name: value
    for name, value in vars(words).items()
    if name.isupper() and isinstance(value, tuple) and all(isinstance(word, str) for word in value)
}


def frame(rows: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=rows) for name in ("age", "dose")}
    return pd.DataFrame(columns).assign(y=[0, 1] * (rows // 2))


def accuse(column: str, evidence: str, kind: str = "target"):
    return lambda view: [Finding(kind, column, 1.0, 0.5, evidence)]


def test_a_rule_is_its_entry(monkeypatch):
    def reads(view):
        yield from accuse("age", "named so", "temporal")(view)
        yield Limit(f"{view.target} in {len(view.train)} rows")
        yield Examined("temporal", len(view.features))

    monkeypatch.setattr(audit, "RULES", (*audit.RULES, (reads,)))
    report = audit_leakage(frame(), "y")
    assert [(f.kind, f.column, f.evidence) for f in report.findings] == [("temporal", "age", "named so")]
    assert "y in 60 rows" in report.limits
    assert report.examined["temporal"] == 2


def test_a_round_sees_what_the_rounds_before_have_left(monkeypatch):
    left = []

    def look(view):
        left.append([c.name for c in view.left])
        return ()

    monkeypatch.setattr(audit, "RULES", ((accuse("age", "first"), look), (accuse("age", "second"), look)))
    report = audit_leakage(frame(), "y")
    assert left == [["age", "dose"], ["dose"]]
    assert [f.evidence for f in report.findings] == ["first"]


def test_a_rule_that_fails_leaves_no_report(monkeypatch):
    def fails(view):
        raise ZeroDivisionError

    monkeypatch.setattr(audit, "RULES", ((accuse("age", "told"),), (fails,)))
    with pytest.raises(ZeroDivisionError):
        audit_leakage(frame(), "y")


def test_an_undecided_target_is_an_error_unless_something_else_was_found(monkeypatch):
    few = frame(20)
    with pytest.raises(TargetError, match="of 30 needed"):
        audit_leakage(few, "y")
    assert issubclass(TargetError, LeakageError)
    monkeypatch.setattr(audit, "RULES", (*audit.RULES, (accuse("age", "a later rule", "temporal"),)))
    report = audit_leakage(few, "y")
    assert [f.column for f in report.findings] == ["age"]
    assert report.examined["target"] == 0


@pytest.mark.parametrize("name", LISTS)
def test_words_are_words(name):
    """Each once, in lower case, without any pattern but `?` and `*`."""
    listed = LISTS[name]
    assert len(set(listed)) == len(listed)
    if name != "NOTHING":
        assert all(re.fullmatch(r"[a-z_?]+\*?", word) for word in listed)
