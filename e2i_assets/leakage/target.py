"""Target leakage: a feature that says what the outcome is. One column at a time, judged out of fold.

Each column is cut into levels (`coding`), each level is given the mean outcome of the other folds, and the
result is compared with the outcome (`strength`): numbers, categories, booleans, missing values and
non-monotone shapes are all seen alike, and an identifier with as many levels as rows says nothing, because no
level comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
import pandas as pd

from e2i_assets.leakage import name_rules
from e2i_assets.leakage.binning import Coded, as_numbers, code, is_dated
from e2i_assets.leakage.combinations import determined_findings
from e2i_assets.leakage.findings import Finding
from e2i_assets.leakage.post_outcome import Column, has_weak_name, later_findings, weak_name
from e2i_assets.leakage.propagation import follow_findings
from e2i_assets.leakage.univariate import MIN_ROWS, SHRINK, Outcome, as_outcome, auc, fit

CORRELATION_LIMIT = 0.95
"""Guide: "features with > 95 % correlation to target"; also the limit on the out-of-fold correlation."""
AUC_LIMIT = 0.95
"""Above this a single column is suspect; it leaks if it also beats all unsuspicious columns together."""
AUC_CERTAIN = 0.99
"""Above this a single column leaks whatever the others say."""
LEAD = 0.05
"""How far a suspect must be ahead of the others together: a disease that every measurement shows (tumour
size, area, perimeter) has single columns above 0.95 that are no leaks."""
EXPECTED_EXCEPTIONS = 30
"""A level decides the outcome when it has none of this many exceptions that the base rate would bring."""
EXPECTED_EXCEPTIONS_COMMON = 100
"""The same for a value that decides for the commoner outcome: groups of very low risk are natural."""
_NEXT = 50  # rows on each side that are a value's neighbours
_AMOUNTS = 4  # levels from which on a number is an amount and no code
_TRIED = 20  # values of one column, the most frequent first


def coded_columns(
    train: pd.DataFrame, target: str, features: Sequence[str], groups: pd.Series | None
) -> tuple[list[Column], Outcome]:
    """The features and the target, ready for comparison; rows without a target are left out.

    Args:
        groups: rows of one group (a patient) stay in one fold, so that a patient's constants cannot be
            learned by heart.

    Raises:
        LeakageError: the target cannot be compared with anything (see `as_outcome`).
    """
    known = train[target].notna().to_numpy()
    frame = train.loc[known]
    outcome = as_outcome(frame[target], groups.loc[known] if groups is not None else None)
    return [_column(frame[name], outcome) for name in features], outcome


def target_findings(
    columns: Sequence[Column], outcome: Outcome, target: str, declared: frozenset[str] = frozenset()
) -> list[Finding]:
    """Findings of kind `target`, at most one per feature.

    Args:
        declared: features that a contract says are known on the index date; their names are not held against
            them, their figures are.
    """
    found = {c.name: finding for c in columns if (finding := _finding(c, outcome))}
    _add(found, later_findings(_left(columns, found), target, outcome, declared))
    _add(found, _ahead(_left(columns, found), outcome, declared))
    _add(found, follow_findings([c for c in columns if c.name in found], _left(columns, found), target))
    return list(found.values())


def _column(column: pd.Series, outcome: Outcome) -> Column:
    numbers = as_numbers(column)
    coded = code(column, numbers)
    dated = numbers is not None and is_dated(column)
    fitted = fit(coded, outcome)
    return Column(str(column.name), coded, numbers, fitted.strength, float(fitted.strengths.max()), dated)


def _left(columns: Sequence[Column], found: Mapping[str, Finding]) -> list[Column]:
    return [c for c in columns if c.name not in found]


def _add(found: dict[str, Finding], findings: Iterable[Finding]) -> None:
    for finding in findings:
        found.setdefault(finding.column, finding)


def _ahead(columns: Sequence[Column], outcome: Outcome, declared: frozenset[str]) -> list[Finding]:
    """What is suspect and ahead of all unsuspicious columns together, and what holds the target's sum."""
    if outcome.kind == "classes":
        return _ahead_for_a_class(columns, outcome)
    if outcome.kind == "regression":
        return determined_findings(columns, outcome)
    alone = np.zeros(len(outcome.folds))  # naive Bayes, out of fold like each of its columns
    weak = alone.copy()
    for column in columns:
        if column.strength <= AUC_LIMIT or name_rules.is_history(column.name):
            fitted = fit(column.coded, outcome)
            part = weak if has_weak_name(column) else alone
            part += _log_odds(fitted.means[:, 0])[fitted.cells]
    others, without = (auc(x, outcome.columns[:, 0], np.ones(len(x))) for x in (alone + weak, alone))
    found = [f for c in columns if (f := _stands_out(c, others))]
    found += [f for c in columns if c.name not in declared and (f := weak_name(c, without))]
    return found + (determined_findings(columns, outcome) if others <= AUC_LIMIT else [])


def _ahead_for_a_class(columns: Sequence[Column], outcome: Outcome) -> list[Finding]:
    """What tells one class from the rest, and is ahead of all other columns together in that.

    A species that differs from the others by its petals does so in length and in width.
    """
    suspects = [c for c in columns if c.strongest > AUC_CERTAIN and not name_rules.is_history(c.name)]
    fits = {c.name: fit(c.coded, outcome) for c in columns} if suspects else {}
    odds = sum(_log_odds(f.means)[f.cells] for f in fits.values())
    ones, found = np.ones(len(outcome.folds)), []
    for column in suspects:
        own = fits[column.name]
        rest = odds - _log_odds(own.means)[own.cells]
        others = np.array([auc(x, y, ones) for x, y in zip(rest.T, outcome.columns.T, strict=True)])
        best = int(np.argmax(own.strengths - others))
        if own.strengths[best] > max(AUC_CERTAIN, others[best] + LEAD):
            evidence = (
                "cross-validated AUC of this column alone for one class against the rest; all other columns "
                f"together: {others[best]:.3f}"
            )
            found.append(Finding("target", column.name, float(own.strengths[best]), AUC_CERTAIN, evidence))
    return found


def _finding(column: Column, outcome: Outcome) -> Finding | None:
    linear = _linear(column.numbers, outcome)
    if linear > CORRELATION_LIMIT:
        return Finding(
            "target", column.name, linear, CORRELATION_LIMIT, "absolute correlation with the target"
        )
    if outcome.kind == "regression":
        evidence = "cross-validated correlation of the target with its mean by levels of this column alone"
        told = column.strength > CORRELATION_LIMIT
        return Finding("target", column.name, column.strength, CORRELATION_LIMIT, evidence) if told else None
    if column.strength > AUC_CERTAIN:
        evidence = _evidence(column.coded, outcome)
        return Finding("target", column.name, column.strength, AUC_CERTAIN, evidence)
    return _deciding_level(column, outcome)


def _stands_out(column: Column, others: float) -> Finding | None:
    """A suspect between the two limits leaks when it is ahead of all unsuspicious columns together."""
    if column.strength <= max(AUC_LIMIT, others + LEAD) or name_rules.is_history(column.name):
        return None
    evidence = f"cross-validated AUC of this column alone; all unsuspicious columns together: {others:.3f}"
    return Finding("target", column.name, column.strength, AUC_LIMIT, evidence)


def _linear(numbers: np.ndarray | None, outcome: Outcome) -> float:
    """Absolute Pearson correlation with the target over the rows that have a value."""
    if numbers is None or outcome.kind == "classes":
        return 0.0
    there = np.isfinite(numbers)
    x, y = numbers[there], outcome.columns[there, 0]
    if len(x) < MIN_ROWS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(abs(np.corrcoef(x / np.abs(x).max(), y)[0, 1]))


def _log_odds(probability: np.ndarray) -> np.ndarray:
    return np.log(probability / (1 - probability))


def _evidence(coded: Coded, outcome: Outcome) -> str:
    if coded.missing is not None:
        present = (coded.codes != coded.missing).astype(np.int64)
        alone = fit(Coded(present, 2, np.ones(2, dtype=bool), None), outcome).strength
        if alone > AUC_LIMIT:
            return f"whether the value is there tells the target: cross-validated AUC {alone:.3f} from that"
    return "cross-validated AUC of this column alone"


def _deciding_level(column: Column, outcome: Outcome) -> Finding | None:
    """A value, or presence or absence as such, with real support and not one exception."""
    coded, classes = column.coded, outcome.columns
    if outcome.kind == "classes" and (same := _same_as_classes(coded, classes)):
        told, support, of = same
        side = "one class" if of == 1 else f"{of} classes"
        evidence = f"AUC of one of its values, in {support} rows, for {side} against the rest"
        return Finding("target", column.name, told, AUC_CERTAIN, evidence)
    counts = np.bincount(coded.codes, minlength=coded.levels)
    for indicator in np.column_stack([classes, 1 - classes]).T if outcome.kind == "binary" else classes.T:
        hits = np.bincount(coded.codes, weights=indicator, minlength=coded.levels)
        pure = _pure_presence(coded, counts, hits, float(indicator.mean()))
        pure = chain(pure, _pure_rest(column, counts, hits, float(indicator.mean())))
        if outcome.kind == "binary":
            pure = chain(pure, _pure_values(column, counts, hits, indicator))
        for what, support in pure:
            evidence = f"{what} comes with one outcome only, in all of {support} rows"
            return Finding("target", column.name, 1.0, 1.0, evidence)
    return None


def _same_as_classes(coded: Coded, classes: np.ndarray) -> tuple[float, int, int] | None:
    """AUC, rows and number of classes of a value that nearly all of these have, and nearly none of the rest.

    That some of a class alone has a trait is natural: an island's only species.
    """
    sizes = classes.sum(axis=0)
    having = np.array([np.bincount(coded.codes, weights=c, minlength=coded.levels) for c in classes.T])
    inside = having > sizes[:, None] / 2
    rows = inside.T @ sizes
    counts, hits = np.bincount(coded.codes, minlength=coded.levels), (having * inside).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        told = (hits / rows + 1 - (counts - hits) / (len(classes) - rows)) / 2
    enough = counts * (1 - rows / len(classes)) >= EXPECTED_EXCEPTIONS
    same = np.where(coded.real & enough, np.nan_to_num(told), 0)
    best = int(np.argmax(same))
    return (
        (float(same[best]), int(counts[best]), int(inside[:, best].sum()))
        if same[best] >= AUC_CERTAIN
        else None
    )


def _pure_presence(
    coded: Coded, counts: np.ndarray, hits: np.ndarray, base: float
) -> Iterator[tuple[str, int]]:
    """Whether missing, or there, comes with this outcome only; `base` is the outcome's share of all rows."""
    if coded.missing is None:
        return
    rows, enough = counts.sum(), EXPECTED_EXCEPTIONS / (1 - base)
    empty, hit = int(counts[coded.missing]), hits[coded.missing]
    if empty == hit and empty >= enough:
        yield "a missing value", empty
    if rows - empty == hits.sum() - hit and rows - empty >= enough:
        yield "any value at all", int(rows - empty)


def _pure_rest(
    column: Column, counts: np.ndarray, hits: np.ndarray, base: float
) -> Iterator[tuple[str, int]]:
    """Whether any amount comes with this outcome only, where most have none: fees, refunds, recoveries."""
    coded, numbers = column.coded, column.numbers
    if numbers is None or coded.levels < _AMOUNTS or np.nanmin(numbers) != 0:
        return
    none = coded.codes[np.nanargmin(numbers)]
    there = np.ones(coded.levels, dtype=bool)
    there[[none] if coded.missing is None else [none, coded.missing]] = False
    rows = int(counts[there].sum())
    if coded.real[none] and rows == hits[there].sum() and rows * (1 - base) >= _limit(base):
        yield "any amount above nothing", rows


def _pure_values(
    column: Column, counts: np.ndarray, hits: np.ndarray, indicator: np.ndarray
) -> Iterator[tuple[str, int]]:
    """Values that come with this outcome only, and unlike the next values of a number.

    At the end of a scale every case of a graded disease may be one: there the neighbours are nearly so, too.
    """
    coded, base = column.coded, float(indicator.mean())
    limit = _limit(base)
    pure = coded.real & (counts == hits) & (counts * (1 - base) >= limit)
    if coded.missing is not None:
        pure[coded.missing] = False
    for level in sorted(np.flatnonzero(pure).tolist(), key=lambda one: -counts[one])[:_TRIED]:
        if counts[level] * (1 - _near(column, level, indicator, base)) >= limit:
            yield "one of its values", int(counts[level])


def _limit(base: float) -> int:
    return EXPECTED_EXCEPTIONS if base <= 0.5 else EXPECTED_EXCEPTIONS_COMMON


def _near(column: Column, level: int, indicator: np.ndarray, base: float) -> float:
    """The outcome's share next to a value: the greater of the two sides, and of all rows."""
    numbers, here = column.numbers, column.coded.codes == level
    if numbers is None:
        return base
    value, sides = numbers[here][0], [base]
    for side in (numbers < value, numbers > value):
        rows = np.flatnonzero(side)
        nearest = rows[np.argsort(np.abs(numbers[rows] - value), kind="stable")[:_NEXT]]
        sides.append((indicator[nearest].sum() + SHRINK * base) / (len(nearest) + SHRINK))
    return max(sides)
