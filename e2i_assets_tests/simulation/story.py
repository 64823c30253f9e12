"""The 24 days: what arrives, what people do, what is killed; everything else the platform does by itself."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from e2i_assets.registry.errors import PromotionRefused
from e2i_assets.registry.stages import SHADOW
from e2i_assets.resources.model_registry import ModelRegistry
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.registry import served_versions
from e2i_assets.warehouse.queries.retraining import answer_request
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.integration.receivers import Webhook
from e2i_assets_tests.simulation.clock import Clock
from e2i_assets_tests.simulation.feed import Change, Tables, deliver, delivery, partition_key, unchanged
from e2i_assets_tests.simulation.installation import CSU, PNH, SCOPE
from e2i_assets_tests.simulation.launcher import Doomed
from e2i_assets_tests.simulation.platform import Daemon
from e2i_assets_tests.simulation.record import Event, Record
from e2i_assets_tests.simulation.service import ask

START = dt.datetime(2026, 1, 5, 5, tzinfo=dt.UTC)
"""An hour before the first day begins."""
DAYS = 24
REQUESTS = 25
"""Of a day, to the service of the model that has a version in shadow."""
FIRST, MORE = 500, 120
"""Patients of a first delivery, and of a later one."""
MODEL = f"e2i-{SCOPE}-{PNH}"
ANNA, BERT = "Anna Smith", "Bert Jones"


@dataclass
class World:
    """What a day works with.

    Attributes:
        arrived: partition to how many of its patients have come.
        newest: partition to the day and the numbers of those who came last.
        sent: partition to its last delivery.
    """

    here: Settings
    warehouse: Warehouse
    clock: Clock
    daemon: Daemon
    doomed: Doomed
    webhook: Webhook
    folder: Path
    record: Record
    arrived: Counter[str] = field(default_factory=Counter)
    newest: dict[str, tuple[dt.date, range]] = field(default_factory=dict)
    sent: dict[str, Tables] = field(default_factory=dict)

    @property
    def registry(self) -> ModelRegistry:
        return ModelRegistry(self.here, self.warehouse, ExperimentTracking(self.here))


Act = Callable[[World], Iterator[Event]]
"""Something that somebody does, and what they are told."""


def arrives(partition: str, patients: int = MORE, change: Change = unchanged) -> Act:
    """New patients."""

    def act(world: World) -> Iterator[Event]:
        before = world.arrived[partition]
        world.arrived[partition] += patients
        world.newest[partition] = _today(), range(before, before + patients)
        yield from _deliver(world, partition, change)

    return act


def arrives_again(partition: str) -> Act:
    """The last delivery once more, as it should be."""
    return lambda world: _deliver(world, partition, unchanged)


def _deliver(world: World, partition: str, change: Change) -> Iterator[Event]:
    day, patients = world.newest[partition]
    world.sent[partition] = delivery(partition_key(world.here, partition), day, patients, change)
    folder = world.folder / "deliveries" / f"{partition}-{_today():%m%d}"
    report = deliver(world.here, world.warehouse, folder, world.sent[partition])
    if report.load_id is None:
        yield Event(f"the delivery of {partition} holds nothing new")


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def kill(partition: str, stage: str) -> Act:
    """The next run of the partition is killed in a stage."""

    def act(world: World) -> Iterator[Event]:
        world.daemon.launcher.victim = (world.doomed, partition, stage)
        yield Event(f"the next run of {partition} will be killed in {stage}")

    return act


def promote(version: int, stage: str) -> Act:
    def act(world: World) -> Iterator[Event]:
        yield from _asked(lambda: world.registry.transition(MODEL, version, stage, by=ANNA))

    return act


def approve(version: int, by: str) -> Act:
    def act(world: World) -> Iterator[Event]:
        yield from _asked(lambda: world.registry.approve(MODEL, version, by=by))

    return act


def _asked(what: Callable[[], object]) -> Iterator[Event]:
    try:
        what()
    except PromotionRefused as refused:
        yield Event(
            f"{ANNA if refused.code != 'same_person' else 'she'} is refused: {refused.code}", str(refused)
        )


def approve_retraining(number: int) -> Act:
    def act(world: World) -> Iterator[Event]:
        assert answer_request(world.warehouse, number, approve=True, by=BERT) is not None
        yield Event(f"{BERT} approves retraining {number}")

    return act


def counted_backwards(tables: Tables) -> Tables:
    """A supplier that counts severity and engagement from 10 down, and has older patients with more diseases."""
    journeys = tables["patient_journeys"].with_columns(
        disease_severity=10 - pl.col("disease_severity"),
        engagement_score=10 - pl.col("engagement_score"),
        age_at_diagnosis=(pl.col("age_at_diagnosis") + 15).clip(upper_bound=95),
        comorbidity_count=pl.col("comorbidity_count") + 4,
    )
    return tables | {"patient_journeys": journeys}


def with_days_to_come(tables: Tables) -> Tables:
    """Events of days that come only after they were recorded."""
    late = pl.int_range(pl.len()) % 10 == 0
    events = tables["treatment_events"].with_columns(
        event_date=pl.when(late)
        .then(pl.col("source_timestamp").dt.date() + pl.duration(days=40))
        .otherwise("event_date")
    )
    return tables | {"treatment_events": events}


PLAN: Mapping[int, tuple[Act, ...]] = {
    1: (arrives(PNH, FIRST), arrives(CSU, FIRST)),
    2: (arrives_again(PNH), promote(1, "shadow")),
    3: (arrives(CSU, MORE, with_days_to_come),),
    4: (kill(CSU, f"{SCOPE}/tuned_params"), arrives_again(CSU)),
    5: (arrives(PNH), promote(1, "production")),
    10: (promote(1, "production"), approve(1, ANNA), approve(1, BERT)),
    11: (arrives(PNH, 900, counted_backwards),),
    12: (approve_retraining(1),),
    13: (promote(3, "shadow"),),
    21: (promote(3, "production"), approve(3, BERT)),
    23: (arrives(PNH, MORE, counted_backwards),),
}
"""Day to what others do on it; on each day with a version in shadow the service is asked as well."""


def days(world: World, last: int = DAYS) -> Iterator[tuple[int, list[Event]]]:
    """Each day with what happened on it."""
    for day in range(1, last + 1):
        world.clock.set(START + dt.timedelta(days=day - 1, hours=1))
        events: list[Event] = []
        told = len(world.webhook.documents)
        for act in PLAN.get(day, ()):
            events += act(world)
        world.daemon.settle()
        if any(one.stage == SHADOW for one in served_versions(world.warehouse)):
            ask(
                world.here,
                world.warehouse,
                PNH,
                list(world.sent[PNH]["patient_journeys"]["patient_journey_id"]),
                REQUESTS,
            )
        events += world.record.news()
        assert not world.daemon.errors, world.daemon.errors
        yield day, [*events, *_notices(world, told)]


def _notices(world: World, before: int) -> Iterator[Event]:
    for document in world.webhook.documents[before:]:
        yield Event(f"told of alert {document['alert']['id']}")
