"""What Dagster does once more: a stage whose connection to the database was lost, and nothing else.

A gate's refusal and an error on data would be the same again. A run whose process was killed is launched
again by Dagster's daemon (`run_retries` in `dagster.yaml`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from e2i_assets.warehouse.errors import WarehouseUnavailable, lost_connection

TRIES = 3
SECONDS = 10.0
"""Between two tries; a server that restarts takes some."""


@contextmanager
def lost_connections_retried() -> Iterator[None]:
    """Ask Dagster to run the step again where the database did not answer any more.

    Raises:
        dagster.RetryRequested: with what the database said; the last one ends the step.
    """
    try:
        yield
    except Exception as error:
        reason = lost_connection(error)
        if reason is None:
            raise
        unavailable = WarehouseUnavailable(
            f"the database was lost: {reason}.", "Start it, and run the same again: what is published stays."
        )
        raise dg.RetryRequested(max_retries=TRIES, seconds_to_wait=SECONDS) from unavailable
