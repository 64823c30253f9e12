"""Studies on real tables: against Optuna's plain TPE, cold against warm, and what a study costs beside its fits.

Three questions, over tables and seeds. Is the model of a study worse on test than that of plain TPE (Optuna's own
`optimize`, the same seed, space, pruner and trials, and its best trial)? After how many trials has a study that
starts from what earlier, smaller deliveries of the table taught reached the best of the cold one with its seed? Which
share of a study's CPU time is neither `fit` nor `predict`?
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np

from e2i_assets.modeling.data import LabelledSplit, transform
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.scopes.files import as_scope
from e2i_assets.modeling.selection.candidate import ModelCandidate, select_candidate
from e2i_assets.modeling.training.model import train_model
from e2i_assets.modeling.tuning import trials
from e2i_assets.modeling.tuning.config import OptimizationConfig, OptunaConfig
from e2i_assets.modeling.tuning.study import TunedParams, suggest, tune
from e2i_assets.modeling.tuning.trials import evaluate
from e2i_assets.modeling.tuning.warm_start import Pattern, profile
from e2i_assets.warehouse.queries.studies import NEXT_BEST
from e2i_assets_tests.benchmarks.accuracy import drawn
from e2i_assets_tests.benchmarks.real_tables import BINARY, TABLES, RealTable, features_of

CHOSEN = (
    "ACTG 175: progression", "NHEFS: death", "Fair: an affair", "sentences: custody", "CPS: earnings",
    "RAND: visits",
)  # fmt: skip
EARLIER = (0.6, 0.75, 0.9)
"""Shares of the rows of the deliveries that earlier studies were made on."""


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

    def on_test(self, params: Any) -> float:
        """Score on test of the model with these parameters; more is better."""
        model = train_model(
            self.candidate, params, self.preprocessor, self.train, self.validation,
            seed=self.config.sampler.seed,
        )  # fmt: skip
        return self.train.problem.score(self.test.y, model.predict(self.test.X))


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
        params = {**algorithm.defaults, **suggest(trial, algorithm.search_space)}

        def report(boosting_round: int, score: float) -> None:
            trial.report(float(score), boosting_round // trials.REPORT_EVERY)
            if trial.should_prune():
                raise optuna.TrialPruned

        estimator = algorithm.build(params, config.sampler.seed)
        algorithm.fit(estimator, data, report)
        return problem.score(data.y_validation, problem.predict(estimator, data.X_validation))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize", sampler=config.sampler.build(), pruner=config.pruner.build()
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


@contextmanager
def timed(problem: type[Problem]) -> Iterator[dict[str, float]]:
    """Counts the CPU seconds of trials, and of what is neither `fit` nor `predict` in them."""
    import optuna

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
        (trials, "_trial"), (trials, "_noted"), (problem, "score"), (problem, "loss"), (problem, "noise"),
        (optuna.trial.Trial, "report"), (optuna.trial.Trial, "should_prune"),
    )  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(trials, "evaluate", counted("fits", evaluate)))
        for owner, name in beside:
            stack.enter_context(mock.patch.object(owner, name, counted("beside", getattr(owner, name))))
        yield spent


def main() -> None:
    """Measure, and print a line for each table and the verdict on all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--algorithm", default="", help="instead of the one that selection chooses")
    parser.add_argument("--tables", type=int, default=len(CHOSEN))
    chosen = parser.parse_args()
    import optuna  # noqa: F401 -- the first study would pay for it

    tables = [table for table in TABLES if table.name in CHOSEN][: chosen.tables]
    shares: list[float] = []
    of_all: list[float] = []
    overheads: list[float] = []
    behind = []
    for table in tables:
        rows, ratios, overhead = [], [], []
        for seed in range(1, chosen.seeds + 1):
            asked = question(table, seed, chosen.trials, chosen.algorithm)
            with timed(type(table.problem)) as spent:
                started = time.thread_time()
                cold = asked.study()
                whole = time.thread_time() - started
            overhead.append(1 - (spent["fits"] - spent["beside"]) / whole)
            warm = asked.study(history(asked))
            rows.append([asked.on_test(p) for p in (cold.chosen_params, warm.chosen_params, plain(asked))])
            at_warm = reached(warm, cold.best_value) or 2 * chosen.trials
            ratios.append(at_warm / (cold.best_trial + 1))
            of_all.append(at_warm / chosen.trials)
        scores = np.array(rows)
        ahead = scores[:, 0] - scores[:, 2]
        error = ahead.std(ddof=1) / np.sqrt(len(ahead)) if len(ahead) > 1 else float("nan")
        behind += [table.name] if ahead.mean() < -2 * error else []
        shares += ratios
        overheads += overhead
        print(
            f"{table.name} ({asked.candidate.algorithm}): test {asked.candidate.metric} cold, warm, plain TPE "
            + ", ".join(f"{mean:.4f}" for mean in scores.mean(axis=0))
            + f"; ahead of plain {ahead.mean():+.4f} ± {error:.4f}; warm reaches the cold best in "
            f"{statistics.median(ratios):.2f} of its trials; overhead {statistics.median(overhead):.1%}",
            flush=True,
        )
    print(f"worse than plain TPE beyond twice the standard error: {', '.join(behind) or 'nowhere'}")
    print(
        f"trials of the warm start / cold start until the cold best, median (bar 0.5): {statistics.median(shares):.2f}"
    )
    print(
        f"never reached counts as twice all trials; overhead, median (bar 5 %): {statistics.median(overheads):.1%}"
    )


if __name__ == "__main__":
    main()
