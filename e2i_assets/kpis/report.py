"""How the indicators of a partition stand: computed, without data, or not computable, and why."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from e2i_assets.cohorts.small_cells import EXACT, Cells
from e2i_assets.json_files import to_json
from e2i_assets.kpis.catalogue import Catalogue, empty, missing
from e2i_assets.kpis.file import KpiGroup
from e2i_assets.kpis.kpi import Kpi, Status, Unit

Standing = Status | Literal["no_data", "failed", "not_computable"]
ORDER: tuple[Standing, ...] = (
    "failed", "critical", "warning", "below_target", "on_target", "no_target", "no_data", "not_computable",
)  # fmt: skip
"""What is to be looked at first comes first."""
COMPUTED = ("critical", "warning", "below_target", "on_target", "no_target")
UNMET = ("failed", "critical", "no_data", "not_computable")
"""What an audit exits with 1 for: a value that nobody has is no better than a bad one."""
CLASSES: Mapping[Standing, str] = {
    **dict.fromkeys(("failed", "critical"), "failed"),
    **dict.fromkeys(("warning", "below_target", "no_data", "not_computable"), "warning"),
    "on_target": "passed", "no_target": "",
}  # fmt: skip
"""How a page colours them."""
ABBREVIATED = {"days": "d", "hours": "h"}
"""Units that are told with a value."""
WORDS: Mapping[Standing, str] = {name: name.replace("_", " ") for name in ORDER}


@dataclass(frozen=True)
class Answer:
    """What the database says to the SQL of an indicator.

    Attributes:
        value: as it was computed; None where it is undefined, such as a share of nothing.
        rows: number of rows that it rests on.
        failure: why there is none, in words that quote no value.
    """

    value: float | None = None
    rows: int = 0
    failure: str | None = None


@dataclass(frozen=True)
class KpiResult:
    """How one indicator stands.

    Attributes:
        value: None where there is none, or where it rests on a small cell.
        rows: that it rests on, as they may be told.
        missing: what it asks for and the database does not have.
        reason: why there is no value.
    """

    kpi: Kpi
    group: str
    standing: Standing
    value: float | None = None
    rows: int | str | None = None
    missing: tuple[str, ...] = ()
    reason: str = ""

    @property
    def shown(self) -> str:
        """The value for a person."""
        return "" if self.value is None else _shown(self.value, self.kpi.unit)

    @property
    def with_unit(self) -> str:
        """The value with its unit, where it has one."""
        if not self.shown:
            return ""
        return f"{self.shown} {ABBREVIATED.get(self.kpi.unit, '')}".strip()

    @property
    def limits(self) -> str:
        """Target, warning and critical for a person."""
        if (limits := self.kpi.thresholds) is None:
            return ""
        return " / ".join(
            _shown(limit, self.kpi.unit) for limit in (limits.target, limits.warning, limits.critical)
        )

    @property
    def why(self) -> str:
        """What is missing, or else why there is no value."""
        return f"not there: {', '.join(self.missing)}" if self.missing else self.reason


@dataclass(frozen=True)
class KpiReport:
    """The indicators of one partition.

    Attributes:
        today: the day that is judged.
        results: in the order of the files.
    """

    partition: str
    today: dt.date
    results: tuple[KpiResult, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many stand how, what is to be looked at first coming first."""
        counted = Counter(one.standing for one in self.results)
        return {name: counted[name] for name in ORDER if counted[name]}

    @property
    def groups(self) -> dict[str, list[KpiResult]]:
        """The results by group, in the order of the files."""
        grouped: dict[str, list[KpiResult]] = {}
        for one in self.results:
            grouped.setdefault(one.group, []).append(one)
        return grouped

    @property
    def unmet(self) -> list[KpiResult]:
        """Those without a value, or with a critical one."""
        return [one for one in self.results if one.standing in UNMET]

    @property
    def ok(self) -> bool:
        """Whether every indicator has a value, and none is critical."""
        return not self.unmet

    @property
    def summary(self) -> str:
        """The counts in words."""
        words = ", ".join(f"{count} {WORDS[name]}" for name, count in self.counts.items())  # type: ignore[index]
        return f"{len(self.results)} indicators of {self.partition}: {words}"

    def document(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "partition": self.partition, "today": str(self.today), "ok": self.ok, "counts": self.counts,
            "kpis": [
                {
                    **one.kpi.model_dump(mode="json", exclude={"sql"}),
                    **{name: to_json(getattr(one, name)) for name in _TOLD},
                }
                for one in self.results
            ],
        }  # fmt: skip

    def to_markdown(self) -> str:
        """The report as a table for each group, and what is missing."""
        lines = [f"# Indicators of {self.partition}, {self.today}", "", f"{self.summary}.", ""]
        for group, results in self.groups.items():
            lines += [
                f"## {group}",
                "",
                "| KPI | value | standing | target / warning / critical | rows | why |",
            ]
            lines += ["|---|--:|---|---|--:|---|"]
            for one in results:
                cells = (f"{one.kpi.id} {one.kpi.name}", one.with_unit, WORDS[one.standing], one.limits,
                         "" if one.rows is None else str(one.rows), one.why)  # fmt: skip
                lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
            lines.append("")
        return "\n".join(lines)


_TOLD = ("group", "standing", "value", "rows", "missing", "reason")


def build_report(
    partition: str,
    today: dt.date,
    groups: Iterable[KpiGroup],
    catalogue: Catalogue,
    answers: Mapping[str, Answer],
    cells: Cells = EXACT,
) -> KpiReport:
    """The report of the indicators that are about a partition.

    Args:
        answers: what the database said, by the id of each indicator that could be asked.
    """
    results = [
        _result(kpi, group.group, catalogue, answers.get(kpi.id), cells)
        for group in groups
        for kpi in group.kpis
        if kpi.is_about(partition)
    ]
    return KpiReport(partition, today, tuple(results))


def to_ask(groups: Iterable[KpiGroup], catalogue: Catalogue, partition: str) -> list[Kpi]:
    """The indicators of a partition whose SQL can be run: all that they ask for is there."""
    kpis = (kpi for group in groups for kpi in group.kpis if kpi.is_about(partition))
    return [kpi for kpi in kpis if kpi.sql and not any(missing(kpi, catalogue))]


def _shown(value: float, unit: Unit) -> str:
    match unit:
        case "share":
            return f"{value:.1%}".replace(".0%", "%")
        case "count":
            return f"{value:,.0f}"
        case "days" | "hours":
            return f"{value:,.1f}".removesuffix(".0")
    return f"{value:,.3f}".rstrip("0").removesuffix(".")


def _result(kpi: Kpi, group: str, catalogue: Catalogue, answer: Answer | None, cells: Cells) -> KpiResult:
    if lacking := tuple(missing(kpi, catalogue)):
        return KpiResult(kpi, group, "not_computable", missing=lacking)
    if kpi.sql is None:
        if kpi.lacks:
            return KpiResult(kpi, group, "not_computable", missing=(kpi.lacks,))
        return KpiResult(
            kpi, group, "not_computable", reason="all that it asks for is there; its file has no sql yet"
        )
    if answer is None or answer.failure:
        failure = answer.failure if answer else "it was not asked"
        return KpiResult(kpi, group, "failed", reason=failure or "")
    return _computed(kpi, group, answer, empty(kpi, catalogue), cells)


def _computed(kpi: Kpi, group: str, answer: Answer, without_rows: Sequence[str], cells: Cells) -> KpiResult:
    value, rows = answer.value, cells.figure(answer.rows)
    if without_rows:
        return KpiResult(kpi, group, "no_data", reason=f"no rows in {', '.join(without_rows)}")
    if answer.rows <= 0:
        reason = "none of the rows is what it is computed from"
    elif value is None or not math.isfinite(value):
        reason = "undefined: it would divide by nothing"
    elif _is_small(kpi, value, answer.rows, cells):
        reason = "rests on too few to be told"
    else:
        rounded = float(cells.rounded(round(value))) if kpi.unit == "count" else value
        return KpiResult(kpi, group, kpi.status(value), rounded, rows)
    return KpiResult(kpi, group, "no_data", rows=rows, reason=reason)


def _is_small(kpi: Kpi, value: float, rows: int, cells: Cells) -> bool:
    """Whether a value would tell of a few patients: all of them, those counted, or those of a share."""
    few = [rows]
    if kpi.unit == "count":
        few.append(round(value))
    elif kpi.unit == "share":
        few += [round(value * rows), rows - round(value * rows)]
    return cells.minimum is not None and any(0 < count < cells.minimum for count in few)
