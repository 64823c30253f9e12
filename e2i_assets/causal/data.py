"""A table that an effect is asked of, checked and made into numbers: who was treated, what came of it, and
what was known before.

What makes the question impossible is refused here, by name; whether the rows can answer it is judged
elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from e2i_assets.causal.encoding import DISTINCT, encoded, is_number, standardised
from e2i_assets.causal.errors import CausalDataError
from e2i_assets.contracts.base import Table, columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.contracts.variables import Variable

TreatmentKind = Literal["binary", "continuous"]
OutcomeKind = Literal["binary", "count", "continuous"]

FEW_DOSES = 6
"""Whole numbers of fewer values than this may be doses or names of arms: nobody but the user knows."""
BY_CHANCE = 0.001
"""Rows alike in all, a measured outcome included, of no more than this share may be different people."""
MOSTLY = 0.9
"""Where this share of the rows with the same covariates are the same in all, they were copied."""


@dataclass(frozen=True, eq=False)
class CausalData:
    """Rows ready for an estimator, all of one order.

    Attributes:
        x: (rows, columns) covariates as numbers without gaps, standardised.
        columns: what each column of `x` is: a covariate, a level of one, or that it is missing.
        y: outcome as floats, NaN where it is not known.
        t: treatment: 0 and 1, or a dose.
        arm, control: what 1 and 0 stand for; empty for a dose.
        left_out: covariates with one value alone, which have nothing to say.
        index: the frame's own labels of the rows.
        clusters: number of the cluster of each row, (rows,); none where each row stands for itself.
    """

    x: np.ndarray
    columns: tuple[str, ...]
    y: np.ndarray
    t: np.ndarray
    treatment_kind: TreatmentKind
    outcome_kind: OutcomeKind
    arm: str
    control: str
    left_out: tuple[str, ...]
    index: pd.Index
    clusters: np.ndarray | None = None

    @property
    def known(self) -> np.ndarray:
        """Rows whose outcome is known."""
        return ~np.isnan(self.y)

    def of(self, rows: np.ndarray) -> CausalData:
        """These rows alone, by their position; one may come more than once."""
        clusters = None if self.clusters is None else self.clusters[rows]
        return replace(
            self, x=self.x[rows], y=self.y[rows], t=self.t[rows], index=self.index[rows], clusters=clusters
        )

    def sorted(self) -> tuple[CausalData, np.ndarray]:
        """Rows and columns in an order of their own, whichever they came in, so that folds and models do not
        depend on that; and the position that each row had.
        """
        by_name = sorted(range(len(self.columns)), key=self.columns.__getitem__)
        x = self.x[:, by_name]
        clusters = () if self.clusters is None else (self.clusters,)
        rows = np.lexsort([*clusters, self.y, self.t, *x.T])
        ordered = replace(self, x=x, columns=tuple(self.columns[i] for i in by_name))
        return ordered.of(rows), rows


def names_of(covariates: Sequence[str | Variable]) -> tuple[str, ...]:
    """Columns of the covariates, which may come as names or with their declarations.

    Raises:
        CausalDataError: they are one text, or one of them is neither.
    """
    if isinstance(covariates, str):
        raise CausalDataError(
            f"covariates is the text {covariates!r}, not a list", f"Write `covariates=[{covariates!r}]`."
        )
    names = tuple(c if isinstance(c, str) else str(getattr(c, "name", "")) for c in covariates)
    if odd := [str(c) for c, name in zip(covariates, names, strict=True) if not name]:
        raise CausalDataError(
            f"no name of a covariate: {', '.join(odd)}",
            "Give columns names that are text (`frame.columns.map(str)`), and the covariates by these.",
        )
    return names


def known_afterwards(covariates: Sequence[str | Variable]) -> tuple[str, ...]:
    """Covariates known only with the outcome: by their own declaration, or by the contract's column of that
    name.
    """
    late = {name for table in TABLES.values() for name in _late_columns(table)}
    return tuple(
        name
        for name, covariate in zip(names_of(covariates), covariates, strict=True)
        if (name in late if isinstance(covariate, str) else covariate.known_afterwards)
    )


def _late_columns(table: type[Table]) -> list[str]:
    return [column.name for column in columns(table) if column.known_afterwards]


def prepare(
    frame: pd.DataFrame,
    *,
    treatment: str,
    outcome: str,
    covariates: Sequence[str],
    target: Any = None,
    control: Any = None,
    clusters: str | None = None,
) -> CausalData:
    """Check the table and make numbers of it.

    Args:
        target, control: the two arms to compare, where the treatment has names or more than two values; rows
            of other arms are left out.
        clusters: column whose value those rows share that are not independent of one another.

    Raises:
        CausalDataError: a column is not there, twice there or of a type that no effect is told of; a
            treatment or cluster is missing or there is one alone; rows are copies of others.
    """
    _refuse_columns(frame, treatment, outcome, covariates, clusters)
    _refuse_copies(frame, treatment, outcome)
    if missing := int(frame[treatment].isna().sum()):
        raise CausalDataError(
            f"treatment {treatment}: missing in {missing} of {len(frame)} rows",
            "Leave out the rows of which nobody knows whether they were treated, or find out; a missing"
            " treatment is not an untreated one.",
        )
    frame, t, kind, arms = _treatment(frame, treatment, target, control)
    y, outcome_kind = _outcome(frame[outcome], outcome)
    if same_order(t, y):
        raise CausalDataError(
            f"outcome {outcome} is the treatment {treatment} in other words: one has the order of the other",
            "Name the column that holds what came of the treatment.",
        )
    parts = [encoded(frame[name], name) for name in covariates]
    for name, part in zip(covariates, parts, strict=True):
        if any(same_order(column, y) for column in part.to_numpy(float).T):
            raise CausalDataError(
                f"covariate {name} is the outcome {outcome} in other words: one has the order of the other",
                "Leave it out of the covariates: given the outcome no treatment changes it.",
            )
    left_out = tuple(name for name, part in zip(covariates, parts, strict=True) if part.shape[1] == 0)
    table = pd.concat([pd.DataFrame(index=frame.index), *parts], axis=1)
    return CausalData(
        x=standardised(table.to_numpy(float)),
        columns=tuple(map(str, table.columns)),
        y=y, t=t, treatment_kind=kind, outcome_kind=outcome_kind, arm=arms[1], control=arms[0],
        left_out=left_out, index=frame.index,
        clusters=None if clusters is None else _numbered(frame[clusters], clusters),
    )  # fmt: skip


def _refuse_columns(
    frame: pd.DataFrame, treatment: str, outcome: str, covariates: Sequence[str], clusters: str | None
) -> None:
    wanted = [treatment, outcome, *covariates, *([] if clusters is None else [clusters])]
    if absent := [name for name in wanted if name not in frame.columns]:
        raise CausalDataError(f"column not in the frame: {', '.join(absent)}")
    if twice := sorted({name for name in wanted if wanted.count(name) > 1}):
        raise CausalDataError(
            f"named more than once among treatment, outcome, covariates and clusters: {', '.join(twice)}",
            "Give each column one part to play.",
        )
    if doubled := sorted({str(name) for name in wanted if list(frame.columns).count(name) > 1}):
        raise CausalDataError(f"more than one column of the frame is named {', '.join(doubled)}")
    if frame.empty:
        raise CausalDataError("the frame has no rows")
    for part, name in (("treatment", treatment), ("outcome", outcome)):
        if not frame[name].map(pd.api.types.is_hashable).all():
            raise CausalDataError(f"{part} {name} holds lists or the like, not values")


def _numbered(values: pd.Series, name: str) -> np.ndarray:
    """Number of each row's cluster, in the order of their names."""
    if missing := int(values.isna().sum()):
        raise CausalDataError(
            f"clusters {name}: missing in {missing} of {len(values)} rows",
            "Give each row that belongs to no other a cluster of its own.",
        )
    numbers, names = pd.factorize(values.astype(str), sort=True)
    if len(names) < 2:
        raise CausalDataError(f"clusters {name}: all {len(values)} rows are of one")
    return numbers


def same_order(values: np.ndarray, y: np.ndarray) -> bool:
    """Whether numbers are in the very order, or the reverse, of the outcomes that are known."""
    from scipy.stats import rankdata

    known = ~np.isnan(y)
    ranks, ranks_of_y = rankdata(values[known]), rankdata(y[known])
    return np.array_equal(ranks, ranks_of_y) or np.array_equal(ranks, len(ranks) + 1 - ranks_of_y)


def _refuse_copies(frame: pd.DataFrame, treatment: str, outcome: str) -> None:
    """A row counted twice makes every interval too narrow.

    Rows may be alike by chance where all columns have few values, or where several share what is known of
    them, such as patients of one district; then their treatments and outcomes differ. A copy shares also a
    value that nobody else has, in a column that tells rows apart; or the label of the row.
    """
    if repeated := int(frame.index.duplicated().sum()):
        _copies("the index", repeated, len(frame))
    frame = _comparable(frame)
    rows = frame[frame.duplicated(keep=False)]
    if rows.empty:
        return
    size = rows.groupby(list(frame.columns), dropna=False, observed=True)[outcome].transform("size")
    telling = [name for name in frame if frame[name].nunique() >= DISTINCT * len(frame)]
    alone = np.zeros(len(rows), dtype=bool)
    for name in telling:
        alone |= (rows[name].map(frame[name].value_counts()) == size).to_numpy()
    copies = int(alone.sum())
    alike = int(frame.drop(columns=[treatment, outcome]).duplicated(keep=False).sum())
    if copies and (copies >= MOSTLY * alike or (outcome in telling and copies > BY_CHANCE * len(frame))):
        _copies("all columns", copies, len(frame))


def _comparable(frame: pd.DataFrame) -> pd.DataFrame:
    """Each column once, lists and the like as their text."""
    frame = frame.loc[:, ~frame.columns.duplicated()]
    texts = {
        name: frame[name].map(repr)
        for name in frame.select_dtypes("object").columns
        if not frame[name].map(pd.api.types.is_hashable).all()
    }
    return frame.drop(columns=list(texts)).join(pd.DataFrame(texts, index=frame.index)) if texts else frame


def _copies(where: str, rows: int, of: int) -> None:
    raise CausalDataError(
        f"duplicated rows: {rows} of {of} repeat another in {where}",
        "Keep each patient once (`drop_duplicates`, `reset_index`): copies make an interval narrower than"
        " it is.",
    )


def _treatment(
    frame: pd.DataFrame, name: str, target: Any, control: Any
) -> tuple[pd.DataFrame, np.ndarray, TreatmentKind, tuple[str, str]]:
    """The rows that are compared, their treatment as numbers, and the names of control and arm."""
    values = frame[name]
    levels = sorted(values.unique().tolist(), key=str)
    if len(levels) < 2:
        raise CausalDataError(
            f"treatment {name} has one arm alone in {len(frame)} rows",
            "Add rows of a control arm: without one there is nothing to compare with.",
        )
    if target is not None or control is not None:
        return _two_arms(frame, name, levels, target, control)
    if set(levels) <= {0, 1}:
        return frame, values.to_numpy(float), "binary", ("0", "1")
    if not pd.api.types.is_numeric_dtype(values):
        raise _name_the_arms(name, levels)
    if len(levels) == 2 or (len(levels) < FEW_DOSES and pd.api.types.is_integer_dtype(values)):
        raise _name_the_arms(name, levels)
    if not np.isfinite(values.to_numpy(float)).all():
        raise CausalDataError(f"treatment {name} has values without end")
    return frame, values.to_numpy(float), "continuous", ("", "")


def _two_arms(
    frame: pd.DataFrame, name: str, levels: list[Any], target: Any, control: Any
) -> tuple[pd.DataFrame, np.ndarray, TreatmentKind, tuple[str, str]]:
    if control is None and set(levels) == {0, 1}:
        control = next(level for level in levels if level != target)
    if control is None or (target is None and len(levels) > 2):
        raise _name_the_arms(name, levels)
    if target is None:
        target = next(level for level in levels if level != control)
    if target not in levels or control not in levels or target == control:
        raise _name_the_arms(name, levels)
    compared = frame[frame[name].isin([target, control])]
    return compared, (compared[name] == target).to_numpy(float), "binary", (str(control), str(target))


def _name_the_arms(name: str, levels: list[Any]) -> CausalDataError:
    shown = ", ".join(map(str, levels)) if len(levels) <= 12 else f"{len(levels)} of them"
    return CausalDataError(
        f"treatment {name} has arms that are not 0 and 1 ({shown}): it is not said which is compared with"
        " which",
        "Name two of them, `target=` the arm and `control=` what it is compared with; for a dose give"
        " numbers of type float.",
    )


def _outcome(values: pd.Series, name: str) -> tuple[np.ndarray, OutcomeKind]:
    """Outcome as floats, and what kind it is; NaN stays where it is not known."""
    if not is_number(values):
        raise CausalDataError(
            f"outcome {name} is {values.dtype}, not a number",
            "Give 0 and 1, a count or a measurement.",
        )
    y = values.to_numpy(float, na_value=np.nan)
    known = y[~np.isnan(y)]
    if np.isinf(known).any():
        raise CausalDataError(f"outcome {name} has values without end")
    distinct = np.unique(known)
    if len(distinct) < 2:
        raise CausalDataError(f"outcome {name} has {len(distinct)} values: no treatment could change it")
    if set(distinct) <= {0.0, 1.0}:
        return y, "binary"
    whole = np.all(known == np.round(known)) and known.min() >= 0
    return y, "count" if whole and known.mean() < LARGE_COUNT else "continuous"


LARGE_COUNT = 30
"""Whole numbers as large as this on average are as good as measured."""
