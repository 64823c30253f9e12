"""How good the chosen, tuned and trained models are on real tables, against what else one could do with them.

The same splits of the platform and the same test patients for all: ours learns from train, and tunes on
validation; a plain logistic or ridge regression, scikit-learn's histogram boosting and FLAML (with the CPU time that
ours took) learn from both together. Several draws of the splits, since one of a small table says little. What was
measured stays in a scratch folder, so that only what has changed is run again.

FLAML does not fit into this environment: `python -m venv D && D/bin/pip install "flaml[automl]" pyarrow`, and
`--flaml D/bin/python`; without it its figures are unavailable.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.metrics.delong import delong
from e2i_assets.modeling.preprocessing.feature_selection import choose_features
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.scopes.files import as_scope
from e2i_assets.modeling.selection.candidate import select_candidate
from e2i_assets.modeling.splits.assignment import assign_splits
from e2i_assets.modeling.training.model import train_model
from e2i_assets.modeling.tuning.config import OptunaConfig
from e2i_assets.modeling.tuning.study import tune
from e2i_assets_tests.benchmarks import real_tables, rivals
from e2i_assets_tests.benchmarks.real_tables import BINARY, TABLES, RealTable, features_of
from e2i_assets_tests.conftest import ROOT

SEEDS = (1, 2, 3)
TABLES_CODE = hashlib.sha256(Path(real_tables.__file__).read_bytes()).hexdigest()
LARGE = 10_000
"""Rows from which on one draw says enough: its test split has 1,500."""
MARGIN, ECE_BAR = 0.01, 0.035
OURS = "ours"
RIVALS = ("plain", "boosting", "flaml")


@dataclass(frozen=True)
class Draw:
    """One table, divided with one seed."""

    table: RealTable
    seed: int
    parts: dict[str, tuple[pd.DataFrame, np.ndarray]]

    @property
    def binary(self) -> bool:
        return self.table.problem_type == BINARY

    def together(self, *names: str) -> tuple[pd.DataFrame, np.ndarray]:
        """Splits as one."""
        frames, outcomes = zip(*(self.parts[name] for name in names), strict=True)
        return pd.concat(frames, ignore_index=True), np.concatenate(outcomes)


def drawn(table: RealTable, seed: int) -> Draw:
    """The rows divided as the platform divides patients."""
    X, y = table.read()
    stratum = (
        pd.Series(y.astype(str)) if table.problem_type == BINARY else pd.Series("everyone", index=X.index)
    )
    patients = pd.DataFrame({"patient_id": np.arange(len(y)).astype(str), "stratum": stratum})
    assigned = assign_splits(patients, pd.DataFrame(columns=["patient_id", "split"]), seed=seed)
    split = patients["patient_id"].map(assigned.set_index("patient_id")["split"]).to_numpy()
    return Draw(
        table, seed,
        {n: (X[split == n].reset_index(drop=True), y[split == n]) for n in ("train", "validation", "test")},
    )  # fmt: skip


def ours(draw: Draw) -> tuple[np.ndarray, str]:
    """What the stages of a scope do, without Dagster: predictions on test, and the algorithm."""
    features = features_of(draw.parts["train"][0])
    train, validation = (
        LabelledSplit(n, *draw.parts[n], draw.table.problem) for n in ("train", "validation")
    )
    scope = as_scope({
        "name": "real", "description": draw.table.name, "problem_type": draw.table.problem_type, "target": "outcome",
        "success_criteria": {"min_auc": 0.5} if draw.binary else {"min_r2": -1},
    })  # fmt: skip
    candidate = select_candidate(scope, train, features=features, seed=42)
    chosen = choose_features(
        train.X, train.y, features, scope.features.selection, problem=train.problem, seed=42
    ).kept
    preprocessor = fit_preprocessor(train.X, chosen, y=train.y, classes=train.problem.stratified)
    config = OptunaConfig.from_yaml(ROOT / "config" / "optuna_config.yaml")
    tuned = tune(candidate, preprocessor, train, validation, config, study_name="accuracy")
    model = train_model(candidate, tuned.chosen_params, preprocessor, train, validation, seed=42)
    return model.predict(draw.parts["test"][0]), candidate.algorithm


@dataclass(frozen=True)
class Run:
    """One contestant's predictions on the test rows of a draw, and the CPU seconds it took to get there."""

    prediction: np.ndarray
    cpu: float
    note: str


@dataclass(frozen=True)
class Scratch:
    """What was measured already, by what it was measured with."""

    folder: Path

    def run(self, name: str, draw: Draw, code: str, measure: Callable[[], Run]) -> Run:
        """A contestant's run on a draw: the stored one, or a new one."""
        key = hashlib.sha256(
            f"{name} {draw.table.name} {draw.seed} {code} {TABLES_CODE}".encode()
        ).hexdigest()[:24]
        file = self.folder / f"{key}.npz"
        if not file.exists():
            done = measure()
            np.savez(file, prediction=done.prediction, cpu=done.cpu, note=done.note)
        stored = np.load(file)
        return Run(stored["prediction"], float(stored["cpu"]), str(stored["note"]))


def code_of(*paths: Path) -> str:
    """A hash of these files, and of the modules of these folders."""
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*.py")))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def runs(draw: Draw, scratch: Scratch, flaml: str | None, rows: Sequence[str]) -> dict[str, Run]:
    """Each contestant's run on one draw."""
    modeling = code_of(ROOT / "e2i_assets" / "modeling", ROOT / "config" / "optuna_config.yaml")
    done = {OURS: scratch.run(OURS, draw, modeling, lambda: timed(lambda: ours(draw)))}
    X, y = draw.together(*rows)
    test = draw.parts["test"][0]
    code = code_of(Path(rivals.__file__), rivals.FLAML_FIT) + ("" if "validation" in rows else " train")
    for name, fit in (("plain", rivals.plain), ("boosting", rivals.boosting)):
        done[name] = scratch.run(
            name, draw, code, lambda fit=fit: timed(lambda: (fit(X, y, test, draw.binary), ""))
        )
    if flaml:
        budget = 2.0 ** np.ceil(np.log2(max(done[OURS].cpu, 4)))  # in steps: the time that ours took varies

        def measured() -> Run:
            with tempfile.TemporaryDirectory() as folder:
                prediction, cpu = rivals.flaml(
                    X, y, test, draw.binary, python=flaml, seconds=budget, folder=Path(folder)
                )
            return Run(prediction, cpu, "")

        done["flaml"] = scratch.run("flaml", draw, f"{code} {budget}", measured)
    return done


def timed(fit: Callable[[], tuple[np.ndarray, str]]) -> Run:
    """What a fit predicts, and the CPU seconds that it took."""
    started = time.process_time()
    prediction, note = fit()
    return Run(prediction, time.process_time() - started, note)


def score(draw: Draw, prediction: np.ndarray) -> float:
    """AUC or RMSE on test."""
    return draw.table.problem.measure(draw.parts["test"][1], prediction)


def _pooled(draws: list[Draw], done: list[Run]) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and predictions of the test rows of all draws: few rows lie off the diagonal by chance alone."""
    outcomes = np.concatenate([draw.parts["test"][1] for draw in draws])
    return outcomes, np.concatenate([run.prediction for run in done])


def calibration_error(y: np.ndarray, p: np.ndarray) -> float:
    """Expected calibration error in ten bins of equal width: equal predictions are never parted."""
    bins = np.minimum((p * 10).astype(int), 9)
    return float(sum(abs(y[bins == b].mean() - p[bins == b].mean()) * np.mean(bins == b) for b in set(bins)))


def error_by_chance(p: np.ndarray) -> float:
    """The calibration error to expect where every probability is true: what so few rows cannot tell from it.

    In each bin the sum of outcomes less probabilities is about normal, and the mean of its size is what counts.
    """
    bins = np.minimum((p * 10).astype(int), 9)
    variances = np.bincount(bins, weights=p * (1 - p))
    return float(np.sqrt(2 / np.pi * variances).sum() / len(p))


def difference(draw: Draw, one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """How far one is ahead of another on the same rows, and the standard error of that.

    AUC: the difference, by DeLong. RMSE: one less their ratio, by the delta method on the paired squares.
    """
    y = draw.parts["test"][1]
    if draw.binary:
        aucs, covariance = delong(y, np.array([one, other]))
        variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
        return float(aucs[0] - aucs[1]), float(np.sqrt(max(variance, 0)))
    a, b = np.square(one - y), np.square(other - y)
    ratio = float(np.sqrt(a.mean() / b.mean()))
    moves = ratio * (a / a.mean() - b / b.mean()) / 2
    return 1 - ratio, float(moves.std(ddof=1) / np.sqrt(len(y)))


@dataclass(frozen=True)
class Row:
    """One table over its draws: means of the scores, and how far ours is ahead of the best other one.

    Attributes:
        ece, chance: calibration error, and what of it is to be expected if every probability were true.
        against: how far ours is ahead of each other one.
        foreseen: the same of the one that is best on the table's other draws: the best of several on the very
            rows that they are judged by is partly the luckiest. None where there is one draw.
        chosen: the algorithm of ours on each draw, and how far it is ahead of the best other one there.
    """

    table: RealTable
    algorithms: str
    scores: dict[str, float]
    brier: dict[str, float]
    ece: dict[str, float]
    chance: dict[str, float]
    cpu: dict[str, float]
    best: str
    ahead: float
    error: float
    against: dict[str, float]
    foreseen: float | None
    chosen: list[tuple[str, float]]


def judged(draws: list[Draw], done: list[dict[str, Run]]) -> Row:
    """A table's draws together; the best other one is that of the means, and its paired errors are averaged."""
    table, names = draws[0].table, list(done[0])

    def mean(of: Callable[[Draw, Run], float]) -> dict[str, float]:
        return {n: statistics.mean(of(d, run[n]) for d, run in zip(draws, done, strict=True)) for n in names}

    scores = mean(lambda d, run: score(d, run.prediction))
    pairs = {
        other: [difference(d, r[OURS].prediction, r[other].prediction) for d, r in zip(draws, done, strict=True)]
        for other in names if other != OURS
    }  # fmt: skip
    ahead = {other: statistics.mean(one for one, _ in pairs[other]) for other in pairs}
    best = min(ahead, key=lambda other: ahead[other])
    binary = table.problem_type == BINARY
    pooled = {n: _pooled(draws, [run[n] for run in done]) for n in names} if binary else {}
    return Row(
        table,
        "/".join(sorted({run[OURS].note for run in done})),
        scores,
        mean(lambda d, r: float(np.mean((r.prediction - d.parts["test"][1]) ** 2))) if binary else {},
        {n: calibration_error(*one) for n, one in pooled.items()},
        {n: error_by_chance(p) for n, (_, p) in pooled.items()},
        mean(lambda d, r: r.cpu),
        best,
        ahead[best],
        # Draws overlap, so that their errors do not shrink as those of other rows would.
        statistics.mean(pair[1] for pair in pairs[best]),
        ahead,
        _foreseen({other: [one for one, _ in of_draws] for other, of_draws in pairs.items()}),
        [(r[OURS].note, min(pairs[other][i][0] for other in pairs)) for i, r in enumerate(done)],
    )


def _foreseen(ahead: dict[str, list[float]]) -> float | None:
    """Mean over the draws of how far ours is ahead of the other one that is best on the other draws."""
    draws = range(len(next(iter(ahead.values()))))
    if len(draws) < 2:
        return None
    best = [min(ahead, key=lambda other: sum(ahead[other]) - ahead[other][i]) for i in draws]
    return statistics.mean(ahead[best[i]][i] for i in draws)


def lines(rows: list[Row], names: tuple[str, ...]) -> Iterator[str]:
    """The report: a line per table, and the summary."""

    def columns(values: dict[str, float], form: str) -> str:
        return " ".join(format(values[n], form) if n in values else "    -" for n in names)

    yield f"{'table':30s} | AUC or RMSE of {', '.join(names)} | ahead of the best (SE) | Brier | ECE | CPU s"
    for row in rows:
        form = ".3f" if row.table.problem_type == BINARY else ".4g"
        yield (
            f"{row.table.name:30s} | {columns(row.scores, form)} | {row.ahead:+.4f} ({row.error:.4f}) {row.best:8s}"
            f" | {columns(row.brier, '.3f')} | {columns(row.ece, '.3f')} | {columns(row.cpu, '.1f')} | {row.algorithms}"
        )
    for kind, what in ((BINARY, "AUC"), ("regression", "share of the RMSE")):
        of_kind = [row for row in rows if row.table.problem_type == kind]
        if of_kind:
            behind = [r.table.name for r in of_kind if r.ahead < -MARGIN - r.error]
            yield (
                f"{what}, {len(of_kind)} tables: ahead of the best other one by "
                f"{statistics.median(r.ahead for r in of_kind):+.4f} in the median (bar 0); behind by more than "
                f"{MARGIN} and the standard error: {', '.join(behind) or 'nowhere'}"
            )
            for other in of_kind[0].against:
                yield f"  of {other} alone: {statistics.median(r.against[other] for r in of_kind):+.4f}"
            if foreseen := [r.foreseen for r in of_kind if r.foreseen is not None]:
                yield (
                    f"  of the one that is best on the other draws ({len(foreseen)} tables): "
                    f"{statistics.median(foreseen):+.4f}"
                )
            yield from _by_algorithm(of_kind)
    of_kind = [row for row in rows if row.brier]
    for name in names if of_kind else ():
        yield (
            f"{name}: mean AUC {statistics.mean(r.scores[name] for r in of_kind):.4f}, Brier "
            f"{statistics.mean(r.brier[name] for r in of_kind):.4f}, ECE "
            f"{statistics.mean(r.ece[name] for r in of_kind):.4f}"
            + (f" (bar {ECE_BAR})" if name == OURS else "")
            + f"; by chance alone, were every probability true, {statistics.mean(r.chance[name] for r in of_kind):.4f}"
        )


def _by_algorithm(rows: list[Row]) -> Iterator[str]:
    """How often each algorithm was chosen, and how far it was ahead of the best other one of a draw."""
    draws = pd.DataFrame([pair for row in rows for pair in row.chosen], columns=["algorithm", "ahead"])
    for name, ahead in draws.groupby("algorithm")["ahead"]:
        yield f"  {name}: {len(ahead)} draws, ahead of the best other one of each by {ahead.mean():+.4f} in the mean"


def main() -> None:
    """Measure, and print what ours is worth."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--flaml", help="the interpreter of an environment with FLAML")
    parser.add_argument("--tables", default="", help="only those whose name has this in it")
    parser.add_argument("--same-rows", action="store_true", help="the others learn from train alone")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="of the draws of the splits")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "e2i_accuracy")
    chosen = parser.parse_args()
    chosen.scratch.mkdir(exist_ok=True)
    scratch, rows = Scratch(chosen.scratch), []
    learnt = ("train",) if chosen.same_rows else ("train", "validation")
    if not chosen.flaml:
        print("FLAML: unavailable; see --help")
    for table in TABLES:
        if chosen.tables in table.name:
            large = len(table.read()[1]) > LARGE
            draws = [drawn(table, seed) for seed in chosen.seeds[: 1 if large else None]]
            rows.append(judged(draws, [runs(draw, scratch, chosen.flaml, learnt) for draw in draws]))
    print(*lines(rows, (OURS, *(name for name in RIVALS if chosen.flaml or name != "flaml"))), sep="\n")


if __name__ == "__main__":
    main()
