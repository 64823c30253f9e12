"""Dagster's instance as commands want it.

Tried with dagster 1.13.27, whose reference to an instance is its own affair: it offers no other way to take
`dagster.yaml` with one entry changed.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import dagster as dg


def dagster_instance() -> dg.DagsterInstance:
    """The Dagster instance of this installation, in the warehouse's `dagster` schema."""
    from dagster._core.instance.ref import InstanceRef

    # Dagster would put files in the place of this process's own output while it computes: the progress
    # display would stand still, and Ctrl-C show the stacks of its helper processes.
    uncaptured = {
        "compute_logs": {
            "module": "dagster._core.storage.noop_compute_log_manager",
            "class": "NoOpComputeLogManager",
        }
    }
    ref = InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides=uncaptured)
    instance = dg.DagsterInstance.from_ref(ref)
    # Dagster's Postgres storage opens a connection for each event, half of a stage's overhead; this keeps
    # one open, as its web server does.
    instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3600, max_overflow=20)
    # It asks the database for Dagster's own tables and columns some 85 times in a run, often over one more
    # connection; they change with Dagster's release alone.
    storage: Any = instance.event_log_storage
    storage.has_table = cache(storage.has_table)
    storage.has_asset_key_col = cache(storage.has_asset_key_col)
    return instance
