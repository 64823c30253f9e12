"""What a person is warned of who looks at the KPIs: those without a value, and those that are critical."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2i_assets.gates.verdict import Gate, Verdict, ok, refuse

if TYPE_CHECKING:
    from e2i_assets.kpis.report import KpiReport


def _met(report: KpiReport) -> Verdict:
    if not report.results:
        return refuse(
            "nothing_evaluated",
            "no KPI is about this partition.",
            "Name the partition in config/kpis, or leave `partitions` out of a KPI.",
        )
    if report.ok:
        return ok(report.summary, **report.counts)
    return refuse(
        "unmet",
        report.summary,
        "Look at the report: it names what is missing. Take out of config/kpis what nobody tracks.",
        [
            {"kpi": one.kpi.id, "name": one.kpi.name, "standing": one.standing, "value": one.with_unit,
             "why": one.why}
            for one in report.unmet
        ],
        **report.counts,
    )  # fmt: skip


KPIS_MET = Gate("kpis_met", "Every KPI has a value, and none is critical; warns.", _met)
