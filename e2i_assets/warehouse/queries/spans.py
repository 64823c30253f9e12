"""What runs and services did, and how long it took them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from e2i_assets.warehouse.records import observability_spans

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse


def spans_of_run(warehouse: Warehouse, run_id: str) -> list[dict[str, Any]]:
    """Spans of the runs whose ids begin so, in the order in which they began."""
    spans = observability_spans
    wanted = sa.select(spans).where(spans.c.run_id.startswith(run_id, autoescape=True))
    with warehouse.engine.connect() as connection:
        rows = connection.execute(wanted.order_by(spans.c.started_at, spans.c.ended_at.desc()))
        return [dict(row) for row in rows.mappings()]


def slowest_operations(warehouse: Warehouse, hours: int) -> list[dict[str, Any]]:
    """Quantiles of the durations and share of errors of each operation, the slowest first."""
    spans = observability_spans.c

    def quantile(share: float) -> Any:
        return sa.func.percentile_cont(share).within_group(spans.duration_ms).label(f"p{share * 100:.0f}_ms")

    failed = sa.func.avg(sa.cast(spans.status == "error", sa.Integer)).label("error_rate")
    counted = sa.select(
        spans.service, spans.operation, sa.func.count().label("spans"), quantile(0.5), quantile(0.95),
        quantile(0.99), failed,
    )  # fmt: skip
    recent = counted.where(spans.started_at > sa.func.now() - sa.func.make_interval(0, 0, 0, 0, hours))
    grouped = recent.group_by(spans.service, spans.operation)
    with warehouse.engine.connect() as connection:
        rows = connection.execute(grouped.order_by(sa.desc("p95_ms")))
        return [dict(row) for row in rows.mappings()]
