"""Days that are written as text: which texts are dates in ISO form, and what is said of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from e2i_assets.cohorts.errors import CohortError

if TYPE_CHECKING:
    import ibis.expr.types as ir

ISO = r"^\d{4}-\d\d-\d\d([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?)?$"


def iso_days(table: ir.Table, name: str, cohort_id: str) -> Any:
    """Text as days in DuckDB, which can answer null for what is no date; other engines stop, and quote it.

    Raises:
        CohortError: CC_005, some text is no such date.
    """
    column = table[name]
    written = column.re_search(ISO).ifelse(column.substr(0, 10), None)
    days = written.try_cast("date")
    unread = table.select(bad=(column.notnull() & days.isnull()).ifelse(1, 0)).bad.sum().to_polars()
    require_read(unread or 0, name, cohort_id)
    return days


def require_read(unread: int, name: str, cohort_id: str) -> None:
    """Refuse texts that are no ISO dates.

    Raises:
        CohortError: CC_005, there are some.
    """
    if unread:
        raise CohortError(
            "CC_005",
            f"{cohort_id}: {name} holds text, and {unread} of its rows no ISO date (2024-05-31, "
            "perhaps with a time of day, never with a time zone): convert the column",
        )
