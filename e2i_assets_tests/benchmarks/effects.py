"""How often the interval of an effect holds the truth, and how far the estimate is from it.

Three tables. Processes whose truth is known, twenty draws of each, with what the plain difference would have said.
Semi-synthetic sets: the covariates of real tables, with who is treated and what comes of it drawn from functions
that are known; beside a plain cross-fitted AIPW with LightGBM. Public studies: a trial and its observational
counterpart (NSW and CPS), a cohort whose plain difference is known to be too small (NHEFS).

`python -m e2i_assets_tests.benchmarks.effects [processes|sets|studies] [--draws 20] [--only NAME ...]`
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from e2i_assets.causal import EffectReport, estimate_effect
from e2i_assets.causal.data import prepare
from e2i_assets.ingest.synthetic import GeneratorSpec, people
from e2i_assets.ingest.synthetic.outcome import PROCESSES, PROGNOSIS

ROWS = 2000
T, Y = "treated", "outcome"


@dataclass(frozen=True)
class Question:
    """A table whose effect is known."""

    name: str
    frame: pd.DataFrame
    covariates: list[str]
    truth: float

    @property
    def deviation(self) -> float:
        return float(self.frame[Y].std())

    def ask(self, estimand: str = "ate") -> EffectReport:
        return estimate_effect(
            self.frame, treatment=T, outcome=Y, covariates=self.covariates, estimand=estimand, seed=1
        )


# Processes


def _logistic(log_odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-log_odds))


def drawn(name: str, seed: int, rows: int = ROWS) -> Question:
    """A process in plain NumPy; the truth is the mean effect of the rows drawn, or of all that could be."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 6))
    e, mean, effect, scale = EQUATIONS[name](x)
    treated = (rng.random(rows) < e).astype(int)
    if scale == "binary":
        p0, p1 = _logistic(mean), _logistic(mean + effect)
        y, truth = (rng.random(rows) < np.where(treated == 1, p1, p0)).astype(int), (p1 - p0).mean()
    else:
        y, truth = mean + effect * treated + rng.normal(size=rows), effect.mean()
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(6)]).assign(**{T: treated, Y: y})
    return Question(name, frame, [f"x{i}" for i in range(6)], float(truth))


EQUATIONS: Mapping[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray, str]]] = {
    "null": lambda x: (_logistic(0.9 * x[:, 0]), x[:, 0] + 0.5 * x[:, 1] ** 2, 0 * x[:, 0], "continuous"),
    "confounded": lambda x: (
        _logistic(0.8 * x[:, 0] + 0.6 * x[:, 1] * x[:, 2]),
        x[:, 0] + x[:, 1] * x[:, 2] + np.sin(2 * x[:, 3]),
        0 * x[:, 0] + 0.5,
        "continuous",
    ),
    "risk": lambda x: (
        _logistic(0.8 * x[:, 0] - 0.5 * x[:, 1]),
        -0.5 + x[:, 0] - x[:, 1] + 0.4 * x[:, 2] ** 2,
        0 * x[:, 0] + 0.6,
        "binary",
    ),
    "heterogeneous": lambda x: (
        _logistic(0.8 * x[:, 0]),
        x[:, 0] + np.abs(x[:, 1]),
        0.5 + x[:, 0] + (x[:, 3] > 0.5),
        "continuous",
    ),
    "limited_overlap": lambda x: (
        _logistic(1.7 * x[:, 0] - 1),
        x[:, 0] + 0.5 * x[:, 1],
        0 * x[:, 0] + 0.5,
        "continuous",
    ),
}


def generated(process: str, seed: int) -> Question:
    """The platform's own process: engagement of the HCP, and whether the brand was started."""
    everyone = people(GeneratorSpec(seed=seed, dgp=process, patients=6000))
    group = everyone.filter(brand="Remibrutinib").to_pandas()
    names = sorted(
        set(PROCESSES[process].confounders) | set(PROGNOSIS.meta.root_names()) | {"disease_severity"}
    )
    frame = group[[name for name in names if name in group]].assign(
        **{T: group["hcp_engaged"].astype(int), Y: group["treatment_initiated"].astype(float)}
    )
    truth = float((group["p1"] - group["p0"]).mean())
    return Question(process, frame.reset_index(drop=True), [c for c in frame if c not in (T, Y)], truth)


# Semi-synthetic sets


def _causaldata(name: str, leave: str) -> pd.DataFrame:
    table = getattr(importlib.import_module("causaldata"), name).load_pandas().data
    return table.drop(columns=leave.split())


def covariate_tables() -> dict[str, pd.DataFrame]:
    """Covariates of real people, plants and loans."""
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

    return {
        "nhefs": _causaldata("nhefs_complete", "seqn qsmk death yrdth modth dadth wt82 wt82_71").iloc[:, :30],
        "college": _causaldata("close_college", "lwage nearc4"),
        "hiv": _causaldata("thornton_hiv", "villnum got any").dropna(),
        "politicians": _causaldata("black_politicians", "responded treat_out").sample(3000, random_state=0),
        "insurance": _causaldata("social_insure", "address village takeup_survey").dropna(),
        "cps": _causaldata("cps_mixtape", "data_id treat re78").sample(4000, random_state=0),
        "diabetes": load_diabetes(as_frame=True).data,
        "cancer": load_breast_cancer(as_frame=True).data.iloc[:, :15],
        "wine": load_wine(as_frame=True).data,
    }


def semi_synthetic(table: str, covariates: pd.DataFrame, seed: int) -> Question:
    """Treatment and outcome from random functions: lines, curves, thresholds and products of some covariates."""
    rng = np.random.default_rng(seed)
    n = len(covariates)
    plain = covariates.reset_index(drop=True).assign(**{T: np.arange(n) % 2, Y: rng.normal(size=n)})
    x = prepare(plain, treatment=T, outcome=Y, covariates=list(covariates)).x
    x = np.clip(x, -3, 3)

    def curve(size: float, terms: int) -> np.ndarray:
        total = np.zeros(n)
        for _ in range(terms):
            a, b = x[:, rng.integers(x.shape[1])], x[:, rng.integers(x.shape[1])]
            shape = rng.integers(5)
            total += rng.normal() * (a, a**2, (a > rng.normal() / 2) * 1.0, a * b, np.sin(1.5 * a))[shape]
        return size * (total - total.mean()) / (total.std() or 1.0)

    shared = curve(1.0, 4)
    e = np.clip(_logistic(0.8 * shared + curve(0.5, 4) + rng.normal() / 2), 0.03, 0.97)
    treated = (rng.random(n) < e).astype(int)
    mean, effect = shared + curve(1.0, 6), 0.4 * rng.normal() + curve(0.4, 3)
    if seed % 2:
        y, truth = mean + effect * treated + rng.normal(size=n), effect.mean()
    else:
        p0, p1 = _logistic(mean), _logistic(mean + effect)
        y, truth = (rng.random(n) < np.where(treated == 1, p1, p0)) * 1.0, (p1 - p0).mean()
    frame = plain.assign(**{T: treated, Y: y})
    return Question(f"{table} {seed}", frame, list(covariates), float(truth))


def plain_aipw(question: Question) -> tuple[float, float]:
    """Estimate and standard error as one writes it in ten lines."""
    from lightgbm import LGBMClassifier, LGBMRegressor
    from sklearn.model_selection import cross_val_predict

    x = pd.get_dummies(question.frame[question.covariates], dtype=float).to_numpy(float)
    t, y = question.frame[T].to_numpy(), question.frame[Y].to_numpy(float)
    given = {"n_jobs": 1, "verbose": -1, "random_state": 0}
    e = cross_val_predict(LGBMClassifier(**given), x, t, cv=5, method="predict_proba")[:, 1].clip(0.01, 0.99)
    means = np.zeros((2, len(y)))
    fold = np.random.default_rng(0).permutation(len(y)) % 5
    for number in range(5):
        for arm in (0, 1):
            rows = (fold != number) & (t == arm)
            means[arm, fold == number] = (
                LGBMRegressor(**given).fit(x[rows], y[rows]).predict(x[fold == number])
            )
    score = means[1] - means[0] + t * (y - means[1]) / e - (1 - t) * (y - means[0]) / (1 - e)
    return float(score.mean()), float(score.std() / np.sqrt(len(y)))


# What is said of them


@dataclass(frozen=True)
class Answer:
    """Of one question: how far off in deviations of the outcome, and whether the interval holds the truth."""

    name: str
    truth: float
    status: str
    error: float
    width: float
    covers: bool
    naive_error: float
    naive_covers: bool
    plain_error: float
    plain_covers: bool
    seconds: float


def answer(question: Question, beside: bool) -> Answer:
    start = time.process_time()
    report = question.ask()
    seconds = time.process_time() - start
    naive, effect, d = report.naive, report.effect, question.deviation
    plain, error = plain_aipw(question) if beside else (np.nan, np.nan)
    if effect is None or naive is None:
        return Answer(question.name, question.truth, report.status, np.nan, np.nan, False, np.nan, False,
                      abs(plain - question.truth) / d, abs(plain - question.truth) < 1.96 * error, seconds)  # fmt: skip
    return Answer(
        question.name, question.truth, report.status,
        error=abs(effect.estimate - question.truth) / d, width=(effect.high - effect.low) / d,
        covers=effect.low <= question.truth <= effect.high,
        naive_error=abs(naive.estimate - question.truth) / d,
        naive_covers=naive.low <= question.truth <= naive.high,
        plain_error=abs(plain - question.truth) / d, plain_covers=abs(plain - question.truth) < 1.96 * error,
        seconds=seconds,
    )  # fmt: skip


def _line(name: str, answers: list[Answer]) -> str:
    def mean(values: list[float]) -> float:
        return statistics.fmean(values) if values else float("nan")

    answer = [a for a in answers if a.status != "not_identified"]
    return (
        f"{name:18} covers {sum(a.covers for a in answers):3} of {len(answers)}"
        f"  error {mean([a.error for a in answer]):.4f}  width {mean([a.width for a in answer]):.3f}"
        f"  plain {sum(a.plain_covers for a in answers):3} {mean([a.plain_error for a in answers]):.4f}"
        f"  naive {sum(a.naive_covers for a in answers):3} {mean([a.naive_error for a in answer]):.4f}"
        f"  no effect {sum(a.status == 'no_effect_shown' for a in answers):3}"
        f"  refused {len(answers) - len(answer)}  {mean([a.seconds for a in answers]):.1f} s"
    )


def processes(draws: int, only: Collection[str]) -> None:
    tasks = {name: partial(drawn, name) for name in EQUATIONS}
    tasks |= {f"generated {name}": partial(generated, name) for name in PROCESSES}
    for name, make in tasks.items():
        if not only or name in only:
            answers = Parallel(n_jobs=2)(delayed(_seeded)(make, seed) for seed in range(draws))
            print(_line(name, answers), flush=True)


def _seeded(make: Callable[[int], Question], seed: int) -> Answer:
    return answer(make(seed), beside=False)


def sets(draws: int, only: Collection[str]) -> None:
    everything: list[Answer] = []
    for table, covariates in covariate_tables().items():
        if only and table not in only:
            continue
        answers = Parallel(n_jobs=2)(
            delayed(answer)(semi_synthetic(table, covariates, seed), True) for seed in range(draws)
        )
        print(_line(table, answers), flush=True)
        everything += answers
    print(_line("all", everything))


def studies(draws: int, only: Collection[str]) -> None:
    trial = _causaldata("nsw_mixtape", "data_id").rename(columns={"treat": T, "re78": Y})
    people_of_cps = _causaldata("cps_mixtape", "data_id").rename(columns={"treat": T, "re78": Y})
    covariates = [name for name in trial if name not in (T, Y)]
    observed = pd.concat([trial[trial[T] == 1], people_of_cps], ignore_index=True)
    smokers = _causaldata("nhefs_complete", "").rename(columns={"qsmk": T, "wt82_71": Y}).dropna(subset=[Y])
    known = ["sex", "age", "race", "education", "smokeintensity", "smokeyrs", "exercise", "active", "wt71"]
    for question, estimand in (
        (Question("NSW, trial", trial, covariates, 1794.0), "ate"),
        (Question("NSW with CPS", observed, covariates, 1794.0), "ate"),
        (Question("NSW with CPS", observed, covariates, 1794.0), "att"),
        (Question("NHEFS", smokers[[*known, T, Y]].reset_index(drop=True), known, 3.4), "ate"),
    ):
        report = question.ask(estimand)
        naive = "" if report.naive is None else f"; naive {report.naive.estimate:.1f}"
        print(f"{question.name}, as published {question.truth}: {report.summary}{naive}", report.offers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["processes", "sets", "studies"])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="of processes or tables")
    asked = parser.parse_args()
    for what in asked.what:
        {"processes": processes, "sets": sets, "studies": studies}[what](asked.draws, asked.only)


if __name__ == "__main__":
    main()
