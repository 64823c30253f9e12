"""Stages as OpenLineage events, to whoever E2I_OPENLINEAGE_URL names.

A receiver that is down stops no stage: after the first event that it does not take a process sends no more.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import dagster as dg

from e2i_assets.errors import E2IError
from e2i_assets.gates.verdict import Verdict
from e2i_assets.resources.openlineage import Data, Emitter, OpenLineageUnavailable, Work
from e2i_assets.stages.context import StageContext


@contextmanager
def told(context: StageContext, asset: str) -> Iterator[None]:
    """Tell that a stage begins, and that it failed where the block does; any other end is for `tell_end`."""
    _tell(context, asset, started=dt.datetime.now(dt.UTC))
    try:
        yield
    except BaseException as error:
        # Its text may quote a patient's values where it is none of ours.
        reason = error.code if isinstance(error, E2IError) else type(error).__name__
        _tell(context, asset, ended=dt.datetime.now(dt.UTC), failed=reason)
        raise


def tell_end(
    context: StageContext,
    asset: str,
    version: str,
    verdicts: Mapping[str, Verdict],
    metadata: Mapping[str, Any],
) -> None:
    """Tell that a version was published, or refused by a gate."""
    gates = {gate: verdict.passed for gate, verdict in verdicts.items()}
    refused = ", ".join(gate for gate, passed in gates.items() if not passed)
    schema, rows = metadata.get("dagster/column_schema"), metadata.get("dagster/partition_row_count")
    output = Data(
        f"{asset}/{context.partition}",
        version,
        {c.name: c.type for c in schema.columns} if isinstance(schema, dg.TableSchema) else {},
        rows if isinstance(rows, int) else None,
        address=context.store.locate(asset, context.partition, version),
    )
    _tell(
        context, asset, ended=dt.datetime.now(dt.UTC), outputs=[output], gates=gates,
        failed=f"refused by {refused}" if refused else None,
    )  # fmt: skip


def _tell(context: StageContext, asset: str, **of: Any) -> None:
    address = context.settings.openlineage_url
    if address is None or (emitter := _emitter(address)).given_up:
        return
    inputs = [
        Data(f"{one.asset}/{one.partition}", one.version, gates=one.gates)
        for one in context.inputs.values()
        if one is not None
    ]
    if asset.startswith("raw/"):
        inputs = [Data(f"warehouse/{asset.removeprefix('raw/')}")]
    work = Work(f"{asset}/{context.partition}", context.run_id, inputs=inputs, parent=context.run_id, **of)
    try:
        emitter.emit([work])
    except (OpenLineageUnavailable, OSError) as error:
        emitter.given_up = True
        text = error.summary if isinstance(error, E2IError) else f"{error.filename}: {error.strerror}"
        context.log.warning(f"no more OpenLineage events from this process: {text}")


@cache
def _emitter(address: str) -> Emitter:
    return Emitter(address)
