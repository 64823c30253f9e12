"""How runs ended: one table of what each partition has published, and what blocked the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from e2i_assets.cli.output import print_json, say, show_table
from e2i_assets.cli.runner import PartitionRun
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.json_files import to_json
from e2i_assets.modeling.artifacts import Evaluated
from e2i_assets.modeling.problems.base import Evaluation
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.modeling.scopes.problem_types import PROBLEMS
from e2i_assets.modeling.uplift.evaluation import UpliftEvaluated
from e2i_assets.partitions import cohort_configs
from e2i_assets.quality.report import QCReport
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.resources.store import ArtifactRefused
from e2i_assets.serving.bundle_ref import BundleRef
from e2i_assets.settings import Settings

SPLITS = ("validation", "test")
UNAVAILABLE = "unavailable"
"""Real data have no oracle."""
BEGUN = ("gates_passed", "gates_failed", "qc_score", "cohort", "bundle", "damaged")
"""Figures of which a row has one once anything of it was judged, published or lost; else it says nothing."""


def end(runs: Sequence[PartitionRun], here: Settings, *, as_json: bool) -> int:
    """Print how runs ended; the exit code: 0 when every one succeeded."""
    known = cohort_configs(here.config_dir)
    rows = [
        _row(run, here, scope)
        for run in runs
        for scope in (known[run.partition].scopes if run.partition in known else ())
    ]
    success = bool(runs) and all(run.success for run in runs) and not any(row["damaged"] for row in rows)
    unchanged = all(run.success and not run.computed for run in runs)
    if as_json:
        listed = [to_json(run) for run in runs]
        print_json({"success": success, "unchanged": unchanged, "partitions": rows, "runs": listed})
    else:
        _show(rows, runs, unchanged)
    return 0 if success else 1


def _row(run: PartitionRun, here: Settings, scope: str) -> dict[str, Any]:
    """What is published for a partition and scope now; a run that failed shows the last good versions.

    What is damaged is listed as such, and takes neither the other figures nor the verdicts with it.
    """
    store = open_store(here)
    damaged: list[str] = []

    def readable(read: Callable[[], Any]) -> Any:
        try:
            return read()
        except ArtifactRefused as error:
            damaged.append(error.summary)
            return None

    def published(asset: str, kind: type[Any]) -> Any:
        current = readable(lambda: store.current(asset, run.partition))
        return current and readable(lambda: store.read(asset, run.partition, current.version, kind))

    cohort: Cohort | None = published("cohort", Cohort)
    report: QCReport | None = published("qc_report", QCReport)
    bundle: BundleRef | None = published(f"{scope}/bento_bundle", BundleRef)

    if isinstance(load_scopes(here.config_dir / "scopes")[scope], CausalScope):
        figures = _of_effect(published(f"{scope}/evaluation", UpliftEvaluated))
    else:
        figures = _of_prediction(published(f"{scope}/evaluation", Evaluated))
    return {
        "partition": run.partition,
        "scope": scope,
        "journeys": cohort.result.total_count if cohort else None,
        "cohort": cohort.result.eligible_count if cohort else None,
        "qc_score": report.score if report else None,
        **figures,
        "gates_passed": run.gates_passed,
        "gates_failed": len(run.failed_gates),
        "bundle": bundle.tag if bundle else None,
        "seconds": run.seconds,
        "success": run.success,
        "damaged": damaged,
    }


def _of_prediction(evaluated: Evaluated | None) -> dict[str, Any]:
    """How good a prediction is, and the best that any could be: the true mean of each patient's outcome."""
    result = evaluated.evaluation if evaluated else None
    return {
        "algorithm": result.algorithm if result else None,
        "metric": result.primary_metric if result else None,
        **{split: result.primary(split) if result else None for split in SPLITS},
        **{f"{split}_95": _ends(result, split) for split in SPLITS},
        "baseline": result.baseline if result else None,
        "oracle": _or_unavailable(result.oracle) if result else None,
        "without_unit": _without_unit(result) if result else None,
        "truth": None,
    }


def _of_effect(evaluated: UpliftEvaluated | None) -> dict[str, Any]:
    """The average effect, and what is true of the model of effects; `validation` is train's as well."""
    result = evaluated.evaluation if evaluated else None
    truth = result.truth if result else None
    return {
        "algorithm": result.algorithm if result else None,
        "metric": "effect" if result else None,
        "validation": result.published.estimate if result else None,
        "test": result.average.value if result else None,
        "validation_95": [result.published.low, result.published.high] if result else None,
        "test_95": [result.average.low, result.average.high] if result else None,
        "baseline": None,
        "oracle": truth.average if truth else UNAVAILABLE,
        "without_unit": None,
        "truth": to_json(truth) if truth else None,
    }


def _or_unavailable(figure: float | None) -> float | str:
    return UNAVAILABLE if figure is None else figure


def _without_unit(result: Evaluation) -> dict[str, Any] | None:
    """R² on test where the primary metric is RMSE, which has the target's unit, beside the oracle's."""
    if result.primary_metric != "rmse":
        return None
    ends = result.intervals["test"].get("r2")
    return {
        "metric": "r2",
        "test": result.metrics["test"]["r2"],
        "test_95": list(ends) if ends else None,
        "oracle": _or_unavailable(_oracle_r2(result)),
    }


def _oracle_r2(result: Evaluation) -> float | None:
    """Of the variance, model and oracle leave shares that are to each other as the squares of their RMSE."""
    rmse, r2 = (result.metrics["test"][metric] for metric in ("rmse", "r2"))
    if result.oracle is None or rmse is None or r2 is None or rmse == 0:
        return None
    return 1 - (1 - r2) * (result.oracle / rmse) ** 2


def _show(rows: Sequence[dict[str, Any]], runs: Sequence[PartitionRun], unchanged: bool) -> None:
    begun = [row for row in rows if any(row[name] for name in BEGUN)]
    if begun:
        _show_figures(begun)
    _say_how_each_went(runs)
    for row in rows:
        if (truth := row["truth"]) is not None:
            say(f"TRUTH {row['partition']} {row['scope']}: {_beside_truth(truth)}")
        for message in row["damaged"]:
            say(f"DAMAGED {row['partition']} {message}")
    if unchanged and any(run.reused for run in runs):
        say("Nothing changed since the last run; nothing was computed.")
    if begun:
        say("Open Dagit with `make up` (or `e2i up`): http://127.0.0.1:3000")


def _beside_truth(truth: dict[str, Any]) -> str:
    """How a model of effects did, where the true ones are known."""
    correlation = truth["correlation"]
    alike = "the same for all" if correlation is None else f"correlation {correlation:.2f} with the true ones"
    covered = "in" if truth["within"] else "not in"
    return (
        f"effects {alike}; the true average effect is {covered} the interval; treating whom it chooses gains "
        f"{truth['gain']:.3f} per patient of {truth['best']:.3f} possible (regret {truth['regret']:.3f})"
    )


def _say_how_each_went(runs: Sequence[PartitionRun]) -> None:
    for run in runs:
        for gate, message in run.failed_gates.items():
            say(f"BLOCKED {run.partition} {gate}: {message}")
        for check, message in run.warnings.items():
            say(f"WARNING {run.partition} {check}: {message}")
        if run.error:
            say(f"FAILED {run.partition} {run.error}")
        if run.passed_over:
            say(f"{run.partition}: {run.passed_over}")
    if recomputed := {name for run in runs for name in run.code_changed}:
        say(f"Computed again, because their code has changed (an upgrade?): {', '.join(sorted(recomputed))}.")


def _show_figures(rows: Sequence[dict[str, Any]]) -> None:
    show_table(
        "E2I assets",
        [
            "partition",
            "scope",
            "journeys",
            "cohort",
            "QC",
            "algorithm",
            "metric",
            "validation (95 %)",
            "test (95 %)",
            "oracle",
            "R² (oracle)",
            "gates",
            "bundle",
            "s",
        ],
        [_cells(row) for row in rows],
    )


def _cells(row: dict[str, Any]) -> list[Any]:
    return [
        row["partition"],
        row["scope"],
        row["journeys"],
        row["cohort"],
        _figure(row["qc_score"]),
        row["algorithm"],
        row["metric"],
        *[_interval(row["metric"], row[split], row[f"{split}_95"]) for split in SPLITS],
        _figure(row["oracle"], row["metric"]),
        _beside(row["without_unit"]),
        f"{row['gates_passed']}/{row['gates_passed'] + row['gates_failed']}",
        row["bundle"],
        f"{row['seconds']:.1f}",
    ]


def _beside(figures: dict[str, Any] | None) -> str:
    return f"{_figure(figures['test'])} ({_figure(figures['oracle'])})" if figures else ""


def _ends(result: Evaluation | None, split: str) -> list[float] | None:
    ends = result and result.interval(split)
    return list(ends) if ends else None


def _interval(metric: str | None, value: float | None, ends: Sequence[float] | None) -> str:
    figure = _figure(value, metric)
    return (
        f"{figure} ({(' to ' if min(ends) < 0 else '-').join(_figure(end, metric) for end in ends)})"
        if value is not None and ends
        else figure
    )


def _figure(value: float | str | None, metric: str | None = None) -> str:
    """To three decimals, or four digits where the metric has the unit of the target."""
    if isinstance(value, float):
        return (
            f"{value:.4g}"
            if any(metric in problem.in_unit for problem in PROBLEMS.values())
            else f"{value:.3f}"
        )
    return value or ""
