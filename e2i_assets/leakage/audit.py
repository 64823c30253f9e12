"""The audit: every rule over one training frame, contract first, data second.

A rule is a function from the `View` of the frame to findings, limits, and how much it has looked at. A new
one is a module of its own and an entry in `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import pandas as pd

from e2i_assets.leakage import (
    alone,
    combinations,
    contamination,
    deciding,
    lead,
    plausible,
    post_outcome,
    propagation,
    temporal,
)
from e2i_assets.leakage.contract import Contract, as_entries, is_whole
from e2i_assets.leakage.findings import Examined, Finding, LeakageError, LeakageReport, Limit, Note
from e2i_assets.leakage.univariate import TargetError
from e2i_assets.leakage.view import Plausible, View

Rule = Callable[[View], Iterable[Note]]


def uncompared_classes(view: View) -> Iterable[Note]:
    """Of a target with many classes, those with which nothing was compared."""
    if left_out := view.outcome.left_out:
        yield Limit(f"{left_out} classes of {view.target} are too rare, or too many, to be compared")


RULES: tuple[tuple[Rule, ...], ...] = (
    (temporal.declared_late, temporal.dated_late, contamination.shared_between_splits),
    (alone.tells_alone,),
    (deciding.decides,),
    (
        post_outcome.named_as_later,
        post_outcome.named_as_endpoint,
        post_outcome.of_a_later_year,
        post_outcome.ends_interval,
        post_outcome.repeats_baseline,
    ),
    (lead.stands_out, lead.weakly_named, combinations.determines),
    (propagation.follows,),
    (plausible.tells_much_alone,),
    (plausible.tells_in_twos,),
    (plausible.tells_in_threes,),
    (plausible.tells_together,),
    (uncompared_classes,),
)
"""In order, by rounds: the rules of one round look at the same columns, those that no round before accused.
Where two accuse a column of telling the target, the first is told."""


class ConvertsToPandas(Protocol):
    """A Polars or Arrow table."""

    def to_pandas(self) -> pd.DataFrame:
        """The same rows."""


Frame = pd.DataFrame | ConvertsToPandas
_PLAUSIBLE = Plausible()


def audit_leakage(
    train: Frame,
    target: str,
    *,
    id_column: str | None = None,
    contract: Contract | None = None,
    other_splits: Mapping[str, Frame] | None = None,
    event_times: str | None = None,
    plausible: Plausible = _PLAUSIBLE,
    equal_rows: bool = False,
    regression: bool | None = None,
) -> LeakageReport:
    """Look for leakage in a training frame; every column but target, id and index date is a feature.

    Args:
        train: one row per example.
        target: the outcome column.
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
        regression: whether the target is a number that is predicted; when left out, one of more than ten
            values is, and fewer are classes.

    Raises:
        LeakageError: nothing was found, and nothing can be said of the target: no rows, no such column, no
            feature with a value, one class only; or a row without an id or index date, or a contract that
            cannot be read.
    """
    train = _as_pandas(train, "training")
    others = {str(name): _as_pandas(frame, str(name)) for name, frame in (other_splits or {}).items()}
    _check_frame(train, target, id_column)
    index_date = temporal.read_dates(train, event_times) if event_times else None
    features = tuple(c for c in train.columns if c not in (target, id_column, event_times))
    if not features:
        raise LeakageError("nothing_to_judge", "the frame has no feature columns to audit")
    known = as_entries(contract, train.columns) if contract is not None else {}
    view = View(
        train,
        target,
        id_column,
        index_date,
        features,
        known,
        is_whole(contract),
        {"train": train, **others},
        plausible,
        equal_rows,
        regression,
    )
    return _run(view)


def _run(view: View) -> LeakageReport:
    """All rules, in order."""
    examined = {"availability": 0, "temporal": 0, "target": 0, "contamination": 0}
    limits: list[str] = []
    undecided: TargetError | None = None
    for rules in RULES:
        notes: list[Note] = []
        for rule in rules:
            try:
                notes += tuple(rule(view))
            except TargetError as error:
                undecided = error
        view.add(note for note in notes if isinstance(note, Finding))
        limits += [note.text for note in notes if isinstance(note, Limit)]
        examined |= {note.kind: note.number for note in notes if isinstance(note, Examined)}
    if undecided and not view.findings:  # what contract, dates and splits say is true whatever the target is
        raise undecided
    ordered = sorted(view.findings, key=lambda f: (f.kind, f.column, f.evidence))
    return LeakageReport(
        view.target, len(view.train), tuple(ordered), examined, view.unjudged, tuple(limits), view.undeclared
    )


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
