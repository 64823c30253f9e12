"""A sensor that cannot read says so, in Dagit and as an alert, and asks for nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import TypeVar

import dagster as dg

from e2i_assets.errors import E2IError
from e2i_assets.monitoring.alerts.alert import Alert
from e2i_assets.warehouse.queries.alerts import raise_alert

T = TypeVar("T")


Tick = Callable[[dg.SensorEvaluationContext], Iterator[T]]


def alerting(tick: Tick[T]) -> Tick[T | dg.SkipReason]:
    """A sensor's tick that ends with an alert where it fails in a way that a person can mend.

    Where the database itself does not answer no alert can be kept: then the tick fails.
    """

    @wraps(tick)
    def guarded(context: dg.SensorEvaluationContext) -> Iterator[T | dg.SkipReason]:
        try:
            # All of it before the first is given away: what cannot be read whole asks for nothing.
            yield from list(tick(context))
        except E2IError as error:
            alert = Alert(
                "sensor",
                "high",
                subject=tick.__name__,
                message=f"{tick.__name__} cannot read: {str(error).rstrip('.')}; it asks for nothing.",
                next_step=error.next_step,
                details={"code": error.code},
            )
            context.log.error(f"{alert.message} {alert.next_step}")
            raise_alert(context.resources.warehouse, alert)
            yield dg.SkipReason(f"{alert.message} {alert.next_step}")

    return guarded
