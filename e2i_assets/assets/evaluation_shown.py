"""How an evaluation looks in Dagit: figures with their intervals, aggregates only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from e2i_assets.assets import shown
from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.modeling.problems.base import Evaluation, Problem


def evaluation_metadata(result: Evaluation, problem: Problem, cells: Cells) -> dict[str, Any]:
    """Metadata of a stage, by name; the most important first."""
    primary = result.primary_metric
    return {
        f"test_{primary}": result.primary("test"),
        f"test_{primary}_95": shown.interval(result.interval("test"), problem, primary),
        f"validation_{primary}": result.primary("validation"),
        f"baseline_{primary}": result.baseline,
        **({} if result.oracle is None else {f"oracle_{primary}": result.oracle}),
        "test_patients": cells.figure(result.n_test),
        **(
            {"threshold": result.threshold, "threshold_rule": result.threshold_rule}
            if result.threshold_rule
            else {}
        ),
        **({"calibration": result.calibration} if result.calibration else {}),
        "metrics": shown.table(_metrics(result, problem)),
        "compared": shown.table(_compared(result, problem)),
        "subgroups": shown.table(_subgroups(result, problem, cells)),
        **({"unavailable": shown.table(_unavailable(result))} if result.unavailable else {}),
    }


def _metrics(result: Evaluation, problem: Problem) -> Iterator[dict[str, Any]]:
    for name, value in result.metrics["test"].items():
        yield {
            "metric": name,
            **{
                split: result.metrics[split].get(name)
                for split in ("train", "validation")
                if split in result.metrics
            },
            "test": value,
            "test 95 %": shown.interval(result.intervals["test"].get(name), problem, name),
        }


def _compared(result: Evaluation, problem: Problem) -> Iterator[dict[str, Any]]:
    for other in result.compared:
        yield {
            "model": other.name,
            result.primary_metric: other.value,
            "95 %": shown.interval(other.interval, problem, result.primary_metric),
            "difference": other.difference,
            "difference 95 %": shown.interval(other.difference_interval, problem, result.primary_metric),
        }


def _subgroups(result: Evaluation, problem: Problem, cells: Cells) -> Iterator[dict[str, Any]]:
    metric = result.primary_metric
    for group in result.subgroups:
        yield {
            "group": f"{group.dimension}: {group.level}",
            "rows": "few" if group.n is None else cells.text(group.n),
            metric: group.value,
            "95 %": shown.interval(group.interval, problem, metric),
            "gap to others": group.gap,
            "gap 95 %": shown.interval(group.gap_interval, problem, metric),
            "predicted less actual": group.bias,
            "of it 95 %": shown.interval(group.bias_interval, problem, metric),
            "note": group.reason,
        }


def _unavailable(result: Evaluation) -> Iterator[dict[str, str]]:
    for name, reason in result.unavailable.items():
        yield {"figure": name, "reason": reason}
