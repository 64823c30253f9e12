"""Studies on real tables: against Optuna's plain TPE, cold against warm, and what a study costs beside its fits.

Three questions, over tables and seeds. Is the model of a study worse on test than that of plain TPE (Optuna's own
`optimize`, sampler and pruner, the same seed, space and trials, and its best trial)? After how many trials has a study
that starts from what earlier, smaller deliveries of the table taught reached the best of the cold one with its seed?
Which share of a study's CPU time is neither `fit` nor `predict`?

The best of fifty scores on some hundred rows is largely luck, which no earlier study can know of. So beside the
trials until the very best it is told how far the warm study is behind the cold best after half of the trials which
that took, in paired standard errors (bootstrap of the validation rows); and how far the cold study itself is then.

What was measured stays in a scratch folder, by the code that it was measured with, so that the whole can be made in
pieces: `--minutes` ends after the draw that passes them, and the verdict is on the draws that are there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from e2i_assets.modeling.data import LabelledSplit, transform
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.scopes.files import as_scope
from e2i_assets.modeling.selection.candidate import ModelCandidate, select_candidate
from e2i_assets.modeling.training.model import TrainedModel, train_model
from e2i_assets.modeling.tuning import trials
from e2i_assets.modeling.tuning.config import OptimizationConfig, OptunaConfig
from e2i_assets.modeling.tuning.study import TunedParams, tune
from e2i_assets.modeling.tuning.trials import evaluate
from e2i_assets.modeling.tuning.warm_start import Pattern, profile
from e2i_assets.warehouse.queries.studies import NEXT_BEST
from e2i_assets_tests.benchmarks import real_tables
from e2i_assets_tests.benchmarks.accuracy import code_of, drawn
from e2i_assets_tests.benchmarks.real_tables import BINARY, TABLES, RealTable, features_of
from e2i_assets_tests.conftest import ROOT

CHOSEN = (
    "ACTG 175: progression", "NHEFS: death", "Fair: an affair", "sentences: custody", "CPS: earnings",
    "RAND: visits",
)  # fmt: skip
EARLIER = (0.6, 0.75, 0.9)
"""Shares of the rows of the deliveries that earlier studies were made on."""
RESAMPLES = 200


@dataclass(frozen=True)
class Question:
    """One draw of a table with the candidate that is tuned."""

    train: LabelledSplit
    validation: LabelledSplit
    test: LabelledSplit
    candidate: ModelCandidate
    preprocessor: Any
    config: OptunaConfig

    def study(self, patterns: Sequence[Pattern] = ()) -> TunedParams:
        return tune(
            self.candidate, self.preprocessor, self.train, self.validation, self.config,
            study_name="benchmark", patterns=patterns,
        )  # fmt: skip

    def model(self, params: Mapping[str, Any]) -> TrainedModel:
        """The model with these parameters, and the defaults of others."""
        defaults = self.train.problem.algorithm(self.candidate.algorithm).defaults
        return train_model(
            self.candidate, {**defaults, **params}, self.preprocessor, self.train, self.validation,
            seed=self.config.sampler.seed,
        )  # fmt: skip

    def on_test(self, params: Mapping[str, Any]) -> float:
        """Score on test of the model with these parameters; more is better."""
        return self.train.problem.score(self.test.y, self.model(params).predict(self.test.X))


def question(table: RealTable, seed: int, n_trials: int, algorithm: str) -> Question:
    """The table divided with a seed, to be tuned with it."""
    draw = drawn(table, seed)
    train, validation, test = (
        LabelledSplit(n, *draw.parts[n], table.problem) for n in ("train", "validation", "test")
    )
    features = features_of(draw.parts["train"][0])
    scope = as_scope({
        "name": "real", "description": table.name, "problem_type": table.problem_type, "target": "outcome",
        "success_criteria": {"min_auc": 0.5} if table.problem_type == BINARY else {"min_r2": -1},
        "selection": {"excluded_algorithms": [a for a in table.problem.algorithms if algorithm not in (a, "")]},
    })  # fmt: skip
    candidate = select_candidate(scope, train, features=features, seed=42)
    config = OptunaConfig(optimization=OptimizationConfig(n_trials=n_trials))
    config = config.model_copy(update={"sampler": config.sampler.model_copy(update={"seed": seed})})
    preprocessor = fit_preprocessor(train.X, features)
    return Question(train, validation, test, candidate, preprocessor, config)


def plain(asked: Question) -> dict[str, Any]:
    """Parameters of the best trial of Optuna's own loop."""
    import optuna

    data = transform(asked.preprocessor, asked.train, asked.validation)
    problem, config = asked.train.problem, asked.config
    algorithm = problem.algorithm(asked.candidate.algorithm)

    def objective(trial: Any) -> float:
        ask = {
            "int": trial.suggest_int,
            "float": trial.suggest_float,
            "categorical": trial.suggest_categorical,
        }
        params = dict(algorithm.defaults)
        for name, spec in algorithm.search_space.items():
            params[name] = ask[spec["type"]](name, **{k: v for k, v in spec.items() if k != "type"})

        def report(boosting_round: int, score: float) -> None:
            trial.report(float(score), boosting_round // trials.REPORT_EVERY)
            if trial.should_prune():
                raise optuna.TrialPruned

        estimator = algorithm.build(params, config.sampler.seed)
        algorithm.fit(estimator, data, report)
        return problem.score(data.y_validation, problem.predict(estimator, data.X_validation))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler, pruner = config.sampler, config.pruner
    assert (sampler.name, pruner.name) == ("tpe", "median")
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(**sampler.chosen()),
        pruner=optuna.pruners.MedianPruner(**pruner.chosen()),
    )
    study.optimize(objective, n_trials=config.optimization.n_trials)
    return {**algorithm.defaults, **study.best_params}


def history(asked: Question) -> list[Pattern]:
    """What cold studies of smaller deliveries of the same table leave."""
    patterns = []
    for number, share in enumerate(EARLIER, 1):
        train, validation = (
            LabelledSplit(
                split.name, split.X.iloc[: int(share * len(split.y))], split.y[: int(share * len(split.y))],
                split.problem,
            )
            for split in (asked.train, asked.validation)
        )  # fmt: skip
        before = replace(asked, train=train, validation=validation)
        tuned = before.study()
        patterns.append(
            Pattern(
                number,
                profile(train, tuned.algorithm),
                tuned.trials[tuned.best_trial]["params"],
                tuned.best_value,
                tuned.best_trial + 1,
                cold=True,
                next_params=[trial["params"] for trial in tuned.next_best(NEXT_BEST)],
            )
        )
    return patterns


def reached(tuned: TunedParams, value: float) -> int | None:
    """The number of trials after which a study had a score; None where it never had."""
    finished = (n for n, t in enumerate(tuned.trials, 1) if t["state"] == "COMPLETE" and t["value"] >= value)
    return next(finished, None)


def behind(asked: Question, cold: TunedParams, other: TunedParams, count: int) -> float:
    """How far the best of a study's first trials is behind a cold study's best, in paired standard errors."""
    first = [t for t in other.trials[:count] if t["state"] == "COMPLETE"]
    best = max(first, key=lambda trial: trial["value"], default=other.trials[0])
    y, problem = asked.validation.y, asked.validation.problem
    predictions = [
        asked.model({**trial["params"], **rounds_of(trial)}).predict(asked.validation.X)
        for trial in (cold.trials[cold.best_trial], best)
    ]
    ahead, behind = (problem.score(y, prediction) for prediction in predictions)
    rng = np.random.default_rng(0)
    samples = [
        rows for _ in range(RESAMPLES) if len(np.unique(y[rows := rng.integers(len(y), size=len(y))])) > 1
    ]
    differences = [np.subtract(*(problem.score(y[rows], p[rows]) for p in predictions)) for rows in samples]
    return float((ahead - behind) / (np.std(differences, ddof=1) or np.inf))


def rounds_of(trial: Mapping[str, Any]) -> dict[str, Any]:
    """The boosting rounds that a trial kept, where it has any."""
    return {} if trial["rounds"] is None else {"n_estimators": trial["rounds"]}


@contextmanager
def timed(problem: type[Problem]) -> Iterator[dict[str, float]]:
    """Counts the CPU seconds of trials, and of what is neither `fit` nor `predict` in them."""

    spent = {"fits": 0.0, "beside": 0.0}

    def counted(what: str, function: Any) -> Any:
        def call(*given: Any) -> Any:
            started = time.thread_time()
            try:
                return function(*given)
            finally:
                spent[what] += time.thread_time() - started

        return call

    beside = (
        (trials, "_given_up"), (trials, "_noted"), (problem, "score"), (problem, "loss"), (problem, "noise"),
    )  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(trials, "evaluate", counted("fits", evaluate)))
        for owner, name in beside:
            stack.enter_context(mock.patch.object(owner, name, counted("beside", getattr(owner, name))))
        yield spent


@dataclass(frozen=True)
class Measured:
    """What came of one draw.

    Attributes:
        cold, warm, plain: score on test; more is better. No warm start where it was not asked for.
        at_warm, at_cold: trials after which each had the cold study's best; twice all trials where never.
        behind_warm, behind_cold: see `behind`, after half of the trials that the cold study took to its best.
        overhead: share of the CPU time of the cold study that is neither `fit` nor `predict`.
        beside: the same of one trial, in milliseconds.
    """

    algorithm: str
    metric: str
    cold: float
    plain: float
    overhead: float
    beside: float
    at_cold: int
    warm: float | None = None
    at_warm: int | None = None
    behind_warm: float = 0.0
    behind_cold: float = 0.0


def measure(table: RealTable, seed: int, n_trials: int, algorithm: str, *, warm: bool) -> Measured:
    """Study one draw."""
    asked = question(table, seed, n_trials, algorithm)
    with timed(type(table.problem)) as spent:
        started = time.thread_time()
        cold = asked.study()
        whole = time.thread_time() - started
    beside = whole - spent["fits"] + spent["beside"]
    measured = Measured(
        asked.candidate.algorithm,
        asked.candidate.metric,
        cold=asked.on_test(cold.chosen_params),
        plain=asked.on_test(plain(asked)),
        overhead=beside / whole,
        beside=1000 * beside / cold.n_trials,
        at_cold=cold.best_trial + 1,
    )
    if not warm:
        return measured
    again, half = asked.study(history(asked)), (cold.best_trial + 1) // 2
    return replace(
        measured,
        warm=asked.on_test(again.chosen_params),
        at_warm=reached(again, cold.best_value) or 2 * n_trials,
        behind_warm=behind(asked, cold, again, half),
        behind_cold=behind(asked, cold, cold, half),
    )


def report(of_tables: dict[str, list[Measured]]) -> None:
    """Print a line for each table, and the verdict on all."""
    behind = []
    for name, draws in of_tables.items():
        ahead = np.array([draw.cold - draw.plain for draw in draws])
        error = ahead.std(ddof=1) / np.sqrt(len(ahead)) if len(ahead) > 1 else float("nan")
        behind += [name] if ahead.mean() < -2 * error else []
        ratios = [draw.at_warm / draw.at_cold for draw in draws if draw.at_warm]
        print(
            f"{name} ({', '.join(sorted({d.algorithm for d in draws}))}, {len(draws)} draws): test "
            f"{draws[0].metric} {np.mean([d.cold for d in draws]):.4f}, plain TPE "
            f"{np.mean([d.plain for d in draws]):.4f}, ahead {ahead.mean():+.4f} ± {error:.4f}"
            + (
                f"; warm reaches the cold best in {statistics.median(ratios):.2f} of its trials"
                if ratios
                else ""
            )
            + f"; overhead {statistics.median(d.overhead for d in draws):.1%}, "
            f"{statistics.median(d.beside for d in draws):.1f} ms a trial"
        )
    every = [draw for draws in of_tables.values() for draw in draws]
    print(f"worse than plain TPE beyond twice the standard error: {', '.join(behind) or 'nowhere'}")
    if ratios := [draw.at_warm / draw.at_cold for draw in every if draw.at_warm]:
        print(
            f"trials of the warm start / cold start until the cold best, median of {len(ratios)} (bar 0.5): "
            f"{statistics.median(ratios):.2f}; never reached counts as twice all trials"
        )
        warm = [draw for draw in every if draw.at_warm]
        print(
            f"trials of the warm start until then, median: {statistics.median(d.at_warm or 0 for d in warm):.0f}; "
            "behind the cold best after half of the cold start's trials until it, in paired standard errors, "
            f"medians: warm {statistics.median(d.behind_warm for d in warm):.2f}, "
            f"cold {statistics.median(d.behind_cold for d in warm):.2f}; by more than one: "
            f"{sum(d.behind_warm > 1 for d in warm)} and {sum(d.behind_cold > 1 for d in warm)} draws"
        )
    print(f"overhead, median (bar 5 %): {statistics.median(draw.overhead for draw in every):.1%}")


def main() -> None:
    """Measure what is not there yet, and print the verdict."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--algorithm", default="", help="instead of the one that selection chooses")
    parser.add_argument("--tables", type=int, default=len(CHOSEN))
    parser.add_argument("--warm", type=int, default=10, help="seeds of which the warm start is studied too")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which no draw is begun")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "e2i-studies")
    chosen = parser.parse_args()
    import optuna  # noqa: F401 -- the first study would pay for it

    started = time.monotonic()
    chosen.scratch.mkdir(parents=True, exist_ok=True)
    code = code_of(ROOT / "e2i_assets" / "modeling", Path(__file__), Path(real_tables.__file__))
    tables = [table for table in TABLES if table.name in CHOSEN][: chosen.tables]
    done: dict[str, list[Measured]] = {}
    for seed in range(1, chosen.seeds + 1):
        for table in tables:
            asked = (table.name, seed, chosen.trials, chosen.algorithm, seed <= chosen.warm)
            file = chosen.scratch / f"{hashlib.sha256(f'{asked} {code}'.encode()).hexdigest()[:24]}.json"
            if not file.exists():
                if time.monotonic() - started > 60 * chosen.minutes:
                    continue
                draw = measure(table, seed, chosen.trials, chosen.algorithm, warm=seed <= chosen.warm)
                file.write_text(json.dumps(asdict(draw)))
            done.setdefault(table.name, []).append(Measured(**json.loads(file.read_text())))
    report(done)


if __name__ == "__main__":
    main()
