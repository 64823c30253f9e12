"""The tables of a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from e2i_assets.modeling.card.records import CardRecords
from e2i_assets.modeling.card.wording import ends_of, figure_of, plain, signed, with_ends, words
from e2i_assets.modeling.evaluation.subgroups import WITHHELD

PURPOSES = {
    "train": "the model is fitted",
    "validation": "parameters, calibration and threshold are chosen",
    "test": "scored once",
    "holdout": "sealed until the model is deployed",
}
"""Split to what is done with it."""


@dataclass(frozen=True)
class Table:
    """A table with its caption; each row has a cell per column."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def splits_table(records: CardRecords) -> Table:
    """Rows, purpose and outcome of each split; of sealed ones no outcome."""
    rows = []
    for name, purpose in PURPOSES.items():
        frame, target = getattr(records.splits, name, None), records.scope.target
        shares: Mapping[str, Any] = (
            {} if frame is None else records.problem.shares(target, frame[target], records.cells)
        )
        outcome = "; ".join(f"{key} {plain(value)}" for key, value in shares.items())
        if name == "test":
            outcome = _events(records)
        rows.append(
            [name, records.cells.text(records.splits.counts.get(name, 0)), purpose, outcome or "sealed"]
        )
    return Table("How the cohort was divided.", ["Split", "Rows", "Purpose", "Outcome"], rows)


def _events(records: CardRecords) -> str:
    """Rows of test with the outcome, as the evaluation counted them; empty where it did not."""
    cells = records.evaluation.curves.get("confusion")
    if not isinstance(cells, Mapping):
        return "known to the evaluation alone"
    share = records.cells.share(cells["tp"] + cells["fn"], records.evaluation.n_test)
    return f"{records.scope.target} rate {plain(share)}"


def predictors_table(records: CardRecords) -> Table:
    """Each predictor with its meaning, when it is known, its gaps and its importance, that first."""
    shares = records.model.feature_importance
    used = [feature for feature in records.splits.features if feature.name in records.model.features]
    rows = [
        [
            feature.name,
            feature.meaning or "–",
            feature.kind,
            _known(feature.available_at),
            _missing(records, feature.name),
            f"{shares.get(feature.name, 0.0):.1%}",
        ]
        for feature in sorted(used, key=lambda f: (-shares.get(f.name, 0.0), f.name))
    ]
    return Table(
        f"The {len(rows)} predictors, by their share of the importance.",
        ["Predictor", "Meaning", "Kind", "Known", "Missing in train", "Importance"],
        rows,
    )


def _known(available_at: str | None) -> str:
    if available_at is None:
        return "not declared"
    return "on the index date" if available_at == "index" else f"from {available_at} on"


def _missing(records: CardRecords, name: str) -> str:
    """Share of train without a value; small cells are told as such."""
    cells, values = records.cells, records.splits.train[name]
    absent, known = int(values.isna().sum()), int(values.notna().sum())
    share = cells.share(absent, len(values))
    if share is not None:
        return f"{share:.0%}"
    return f"{cells.text(absent)} rows" if absent < known else f"all but {cells.text(known)} rows"


def finalists_table(records: CardRecords) -> Table:
    """What was compared, and why each other algorithm was not taken."""
    candidate, problem = records.candidate, records.problem
    metric, reasons = problem.primary_metric, candidate.alternatives
    rows = [
        [
            finalist.algorithm,
            problem.figure(metric, finalist.score_mean),
            problem.figure(metric, finalist.score_std),
            "chosen" if finalist.algorithm == candidate.algorithm else reasons.get(finalist.algorithm, ""),
        ]
        for finalist in candidate.finalists
    ]
    measured = {finalist.algorithm for finalist in candidate.finalists}
    rows += [[name, "–", "–", reason] for name, reason in reasons.items() if name not in measured]
    return Table(
        "Algorithms compared by cross-validation on the training split; more is better.",
        ["Algorithm", f"Mean {candidate.metric}", "SD of the folds", "Verdict"],
        rows,
    )


def params_table(records: CardRecords) -> Table:
    """Parameters of the estimator."""
    rows = [[name, plain(value)] for name, value in sorted(records.model.params.items())]
    return Table("Parameters of the model.", ["Parameter", "Value"], rows)


def metrics_table(records: CardRecords) -> Table:
    """Every metric on every split, with its interval."""
    result, problem = records.evaluation, records.problem
    splits = [name for name in PURPOSES if name in result.metrics]
    rows = [
        [
            words(metric),
            *(
                with_ends(result.metrics[s].get(metric), result.intervals[s].get(metric), problem, metric)
                for s in splits
            ),
        ]
        for metric in sorted(result.metrics["test"], key=lambda metric: metric != result.primary_metric)
    ]
    return Table("Figures by split, with their 95 % intervals.", ["Metric", *splits], rows)


def compared_table(records: CardRecords) -> Table:
    """The model beside simpler ones and, on synthetic data, the best there can be."""
    result, problem, metric = records.evaluation, records.problem, records.evaluation.primary_metric
    rows = [["this model", with_ends(result.primary("test"), result.interval("test"), problem, metric), "–"]]
    for other in result.compared:
        ends = ends_of(other.difference_interval, problem, metric)
        by = f"{signed(other.difference, problem, metric)} ({ends})"
        rows.append([f"plain {other.name}", with_ends(other.value, other.interval, problem, metric), by])
    rows.append(["no features", figure_of(result.baseline, problem, metric), "–"])
    if result.oracle is not None:
        rows.append(["the process behind the data", figure_of(result.oracle, problem, metric), "–"])
    return Table(
        "The model beside others on the same test rows, with 95 % intervals.",
        ["Model", f"Test {words(metric)}", "This model's less it"],
        rows,
    )


def subgroups_table(records: CardRecords) -> Table:
    """Test by age band, sex, region and insurance; groups that are too small say so."""
    result, problem, metric = records.evaluation, records.problem, records.evaluation.primary_metric
    rows = []
    for group in result.subgroups:
        few = "–" if group.reason == WITHHELD else f"<{records.cells.minimum}"
        value = group.reason or with_ends(group.value, group.interval, problem, metric)
        gap = signed(group.gap, problem, metric)
        if group.gap_interval:
            gap += f" ({ends_of(group.gap_interval, problem, metric)})"
        bias = signed(group.bias, problem, metric)
        size = few if group.n is None else records.cells.text(group.n)
        rows.append([group.dimension, group.level, size, value, gap, bias])
    return Table(
        "Groups of test rows, with 95 % intervals. Gap: to all other test rows. Bias: mean prediction less "
        "mean outcome.",
        ["By", "Group", "Rows", words(metric), "Gap", "Bias"],
        rows,
    )


def leakage_table(records: CardRecords) -> Table:
    """The eight types of leakage, and what looked for each."""
    rows = [[row.type, row.name, row.covered_by, row.result] for row in records.evaluated.leakage_sheet]
    return Table("Leakage, by type.", ["Type", "Name", "Looked for by", "Result"], rows)


def gates_table(records: CardRecords) -> Table:
    """Every gate of the versions that the model comes from."""
    return gates_of(records.gates)


def gates_of(gates: Mapping[str, Mapping[str, bool]]) -> Table:
    """Asset to gate to whether it passed."""
    rows = [
        [asset, gate, "passed" if ok else "refused"]
        for asset, verdicts in gates.items()
        for gate, ok in verdicts.items()
    ]
    caption = "Blocking checks of the versions that the model comes from."
    return Table(caption, ["Stage", "Gate", "Verdict"], rows)


def versions_table(records: CardRecords) -> Table:
    """Data versions."""
    return versions_of(records.versions)


def versions_of(versions: Mapping[str, str]) -> Table:
    """Asset to its data version."""
    rows = [[asset, version] for asset, version in versions.items()]
    return Table("Data versions that the model and this card come from.", ["Asset", "Version"], rows)
