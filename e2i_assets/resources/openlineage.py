"""What was made of what, as OpenLineage events to a file or a receiver (https://openlineage.io/docs/spec).

Names, versions, columns, counts and verdicts; never a value of a patient.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2i_assets.addresses import without_secrets
from e2i_assets.errors import E2IError

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

NAMESPACE = "e2i"
PRODUCER = "urn:e2i-assets"
ENDPOINT = "api/v1/lineage"
TIMEOUT_S = 2.0


class OpenLineageUnavailable(E2IError, RuntimeError):
    """A receiver that does not take events; its address is told without what opens it."""

    code = "openlineage_unavailable"
    next_step = "Start it or correct the address; all else is done."
    on_data = False


@dataclass(frozen=True)
class Data:
    """A version of something that work reads or makes.

    Attributes:
        columns: name to type, where it is a table whose columns are known.
        rows: of a table.
        gates: those that judged it, and whether they passed.
        address: where it is, for people.
    """

    name: str
    version: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    rows: int | None = None
    gates: Mapping[str, bool] = field(default_factory=dict)
    address: str | None = None


@dataclass(frozen=True)
class Work:
    """Something that was done once.

    Attributes:
        job: what was done, the same each time.
        key: what tells this time from others, such as the Dagster run.
        started, ended: None of what is not to be told, or not yet.
        gates: those that judged the outcome, and whether they passed.
        failed: why nothing came of it; None where something did.
        parent: the Dagster run.
    """

    job: str
    key: str
    started: dt.datetime | None = None
    ended: dt.datetime | None = None
    inputs: Sequence[Data] = ()
    outputs: Sequence[Data] = ()
    gates: Mapping[str, bool] = field(default_factory=dict)
    failed: str | None = None
    parent: str | None = None


def events(work: Work) -> list[RunEvent]:
    """START, and COMPLETE or FAIL where it has ended."""
    from openlineage.client.event_v2 import RunState

    end = RunState.FAIL if work.failed else RunState.COMPLETE
    states = ((RunState.START, work.started), (end, work.ended))
    return [_event(work, state, at) for state, at in states if at is not None]


class Emitter:
    """Sends events, one after the other.

    Args:
        address: a file, which events are added to as lines of JSON, or the base URL of a receiver, which
            takes them at `/api/v1/lineage`.

    Attributes:
        given_up: whether whoever sends has had enough of the receiver.
    """

    def __init__(self, address: str) -> None:
        self.given_up = False
        self._address = address
        self._transport: Any = None

    def emit(self, works: Iterable[Work]) -> int:
        """Send what there is to be told of each work; returns the number of events.

        Raises:
            OpenLineageUnavailable: the receiver does not take them.
            OSError: the file cannot be written.
        """
        sent = [event for work in works for event in events(work)]
        if "://" in self._address:
            for event in sent:
                self._post(event)
        else:
            from openlineage.client.serde import Serde

            with Path(self._address).open("a", encoding="utf-8") as file:
                file.writelines(f"{Serde.to_json(event)}\n" for event in sent)
        return len(sent)

    def _post(self, event: RunEvent) -> None:
        try:
            self._http.emit(event)
        except Exception as error:  # noqa: BLE001 -- of whatever library it sends with
            # The library's texts repeat the address, which may have a password.
            status = getattr(getattr(error, "response", None), "status_code", None)
            reason = f"answered {status}" if status else type(error).__name__
            raise OpenLineageUnavailable(
                f"OpenLineage events were not taken by {without_secrets(self._address)}: {reason}."
            ) from None

    @property
    def _http(self) -> Any:
        from openlineage.client.transport.http import HttpConfig, HttpTransport

        if self._transport is None:
            url = self._address.rstrip("/").removesuffix(f"/{ENDPOINT}") + "/"
            self._transport = HttpTransport(
                HttpConfig(url=url, endpoint=ENDPOINT, timeout=TIMEOUT_S, retry={"total": 0})
            )
        return self._transport


def _event(work: Work, state: Any, at: dt.datetime) -> RunEvent:
    from openlineage.client.event_v2 import Job, Run, RunEvent
    from openlineage.client.generated.job_type_job import JobTypeJobFacet

    ended = state.value != "START"
    kind = JobTypeJobFacet(processingType="BATCH", integration="E2I", jobType="ASSET", producer=PRODUCER)
    return RunEvent(
        eventType=state,
        eventTime=at.astimezone(dt.UTC).isoformat(),
        producer=PRODUCER,
        run=Run(_uuid(f"{work.job} {work.key}"), _run_facets(work, ended)),
        job=Job(NAMESPACE, work.job, {"jobType": kind}),
        inputs=[_input(data) for data in work.inputs],
        outputs=[_output(data) for data in work.outputs] if ended and not work.failed else [],
    )


def _run_facets(work: Work, ended: bool) -> dict[str, Any]:
    from openlineage.client.generated import error_message_run, parent_run, processing_engine_run, test_run

    facets: dict[str, Any] = {
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
            _dagster(), "Dagster", producer=PRODUCER
        )
    }
    if work.parent:
        facets["parent"] = parent_run.ParentRunFacet(
            parent_run.Run(_as_uuid(work.parent)), parent_run.Job(NAMESPACE, "run"), producer=PRODUCER
        )
    if ended and work.gates:
        tests = [
            test_run.TestExecution(gate, "pass" if passed else "fail", severity="error", type="gate")
            for gate, passed in work.gates.items()
        ]
        facets["test"] = test_run.TestRunFacet(tests, producer=PRODUCER)
    if ended and work.failed:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            work.failed, "Python", producer=PRODUCER
        )
    return facets


def _input(data: Data) -> Any:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.generated import data_quality_assertions_dataset as quality

    judged: dict[str, Any] = {}
    if data.gates:
        assertions = [
            quality.Assertion(assertion=gate, success=passed, severity="error")
            for gate, passed in data.gates.items()
        ]
        judged["dataQualityAssertions"] = quality.DataQualityAssertionsDatasetFacet(
            assertions, producer=PRODUCER
        )
    return InputDataset(NAMESPACE, data.name, judged, facets=_facets(data))


def _output(data: Data) -> Any:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.generated.output_statistics_output_dataset import (
        OutputStatisticsOutputDatasetFacet,
    )

    counted: dict[str, Any] = {}
    if data.rows is not None:
        counted["outputStatistics"] = OutputStatisticsOutputDatasetFacet(
            rowCount=data.rows, producer=PRODUCER
        )
    return OutputDataset(NAMESPACE, data.name, counted, facets=_facets(data))


def _facets(data: Data) -> dict[str, Any]:
    from openlineage.client.generated import dataset_version_dataset, datasource_dataset, schema_dataset

    facets: dict[str, Any] = {}
    if data.version is not None:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(
            data.version, producer=PRODUCER
        )
    if data.columns:
        fields = [schema_dataset.SchemaDatasetFacetFields(name, kind) for name, kind in data.columns.items()]
        facets["schema"] = schema_dataset.SchemaDatasetFacet(fields, producer=PRODUCER)
    if data.address is not None:
        facets["dataSource"] = datasource_dataset.DatasourceDatasetFacet(
            data.name, data.address, producer=PRODUCER
        )
    return facets


def _uuid(text: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{NAMESPACE}/{text}"))


def _as_uuid(run_id: str) -> str:
    """Dagster's run ids are such; what others call a run gets one."""
    try:
        return str(uuid.UUID(run_id))
    except ValueError:
        return _uuid(run_id)


@cache
def _dagster() -> str:
    from importlib.metadata import version

    return version("dagster")
