"""What the check that warns of KPIs must not take for a value."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

from e2i_assets.kpis.catalogue import Relation
from e2i_assets.kpis.file import KpiGroup
from e2i_assets.kpis.kpi import Kpi
from e2i_assets.kpis.report import Answer, KpiReport, build_report
from e2i_assets_tests.unit.fail_closed import EXCEPTION, Case, Cases

KPI = Kpi(
    id="K", name="lag", formula="median(lag)", unit="days", frequency="daily", columns={"t": {"lag": "bigint"}},
    sql="SELECT max(lag) AS value, count(*) AS rows FROM t",
)  # fmt: skip


def report(answer: Answer, *kpis: Kpi, **relation: Any) -> KpiReport:
    there = {"kind": "table", "columns": {"lag": "bigint"}, "has_rows": True} | relation
    groups = [KpiGroup(group="G", kpis=kpis or (KPI,))]
    return build_report("p", dt.date(2026, 1, 3), groups, {"t": Relation(**there)}, {"K": answer})


OF_ANOTHER = KPI.model_copy(update={"partitions": ("another",)})
CASES: Cases = {
    "kpis_met": {
        "missing column": Case(partial(report, Answer(1.0, 9), columns={}), "unmet"),
        "missing library": Case(partial(report, Answer(failure="its statement was refused: UndefinedFunction")), "unmet"),
        "exception inside": EXCEPTION,
        "empty input": Case(partial(report, Answer(0.0, 0), has_rows=False), "unmet"),
        "all-null column": Case(partial(report, Answer(None, 9)), "unmet"),
        "one row": Case(partial(report, Answer(float("nan"), 1)), "unmet"),
        "wrong time zone": Case(partial(report, Answer(1.0, 9), columns={"lag": "timestamp without time zone"}), "unmet"),
        "nothing evaluated": Case(partial(report, Answer(1.0, 9), OF_ANOTHER), "nothing_evaluated"),
    }
}  # fmt: skip
