"""The reconciler: brings what runs to what the records want, step by step, and may be killed at any moment.

A thread for each service. What is wanted and what became of it is in `ml_bentoml_services`; what runs is
found out anew, and taken up. While the database is away services go on as they are, and are started again as
the last known wish says; what is to be written down waits.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from fasteners import InterProcessLock

from e2i_assets.deployment.decision import REST, Action, Slot, Step, Wanted, next_step
from e2i_assets.deployment.releases import SERVICES, DeploymentError, Members, members_from
from e2i_assets.deployment.rollback import AUTOMATIC, to_release_before
from e2i_assets.deployment.router import LOOPBACK, SETTLED, Router, configuration
from e2i_assets.deployment.slots import NAMES, Slots
from e2i_assets.errors import E2IError
from e2i_assets.registry.errors import LostRace, RegistryError
from e2i_assets.settings import Settings
from e2i_assets.warehouse.failures import database_failure
from e2i_assets.warehouse.postgres import url_for
from e2i_assets.warehouse.queries.deployments import State, reconciling, releases
from e2i_assets.warehouse.warehouse import Warehouse

TICK, ROUTER_TICK = 0.25, 0.05
"""Seconds between two looks; while the router is gone nobody is answered."""
PORTS = range(20000, 32000)
"""Where processes behind the router listen: below the ports that the system hands out by itself."""
log = logging.getLogger("e2i.serving")


class AlreadyServed(E2IError, RuntimeError):
    """Another reconciler is at work for this home or database."""

    code = "already_served"
    next_step = "That one does it; `e2i deploy status` shows what answers, `e2i down` ends it."


class ServiceKeeper:
    """Looks after one service.

    Args:
        address: of the router for it, where a release has to answer before the records say that it does.
    """

    def __init__(
        self, service: str, warehouse: Warehouse, slots: Slots, address: str, log_url: str | None = None
    ) -> None:
        self.service = service
        self.slots = slots
        self._warehouse = warehouse
        self._address = address
        self._log_url = log_url
        self._state, self._is_known = State(None, None, None), False
        self._reported: set[tuple[str, str]] = set()
        self._noted = REST

    def tick(self) -> Step:
        """Look, and do one step.

        Raises:
            Exception: of the database, where it is away; what runs is looked after nevertheless.
        """
        slots = self.slots.observe()
        failure = self._read()
        if failure and not self._is_known:
            raise failure  # nobody knows what is wanted, which is not that nothing is
        step = next_step(self._wanted(), slots)
        records = step.action in (Action.CONFIRM, Action.GIVE_UP, Action.ROLL_BACK, Action.REPORT)
        if failure and records:
            raise failure
        self._do(step, slots)
        if failure:
            raise failure
        self._tell_of_dead()
        return step

    def _read(self) -> Exception | None:
        try:
            with releases(self._warehouse, self.service) as records:
                self._state, self._is_known = records.state(), True
        except Exception as error:
            if database_failure(error) is None:
                raise
            return error
        return None

    def _wanted(self) -> Wanted | None:
        state = self._state
        now = state.wanted or state.active
        if now is None:
            return None
        return Wanted(now.release, state.wanted is None, state.previous.release if state.previous else None)

    def _members(self, release: str) -> Members:
        known = (self._state.wanted, self._state.active, self._state.previous)
        return next(members_from(one.members) for one in known if one and one.release == release)

    def _do(self, step: Step, slots: tuple[Slot, ...]) -> None:
        name, release = str(step.slot), step.release or self._release_in(step.slot, slots)
        if step not in (REST, self._noted):  # what cannot be done is not said four times a second
            log.info("%s: %s %s %s %s", self.service, step.action, name, release, step.reason)
        self._noted = step
        match step.action:
            case Action.START:
                self.slots.start(name, release, self._members(release), self._log_url)
            case Action.STOP:
                self.slots.stop(name)
            case Action.SWITCH:
                self._switch(name, release)
            case Action.RETIRE:
                self.slots.retire([name])
            case Action.CONFIRM:
                self._confirm(name, release)
            case Action.GIVE_UP:
                self._give_up(step, name)
            case Action.ROLL_BACK:
                self._roll_back(step.reason)
            case Action.REPORT:
                self._report(step.reason, release)

    @staticmethod
    def _release_in(name: str | None, slots: tuple[Slot, ...]) -> str:
        return next((str(slot.release) for slot in slots if slot.name == name), "")

    def _switch(self, name: str, release: str) -> None:
        """The new one on, and once the router has noticed the old one off; refused, nothing changes."""
        if self.slots.refuse(name, self._members(release)):
            return
        self.slots.activate(name)
        time.sleep(SETTLED)
        self.slots.retire(other for other in NAMES if other != name)

    def _confirm(self, name: str, release: str) -> None:
        if self.slots.answers_at(self._address, name):
            with releases(self._warehouse, self.service) as records:
                records.confirm(release)

    def _give_up(self, step: Step, name: str) -> None:
        wanted = self._state.wanted
        release = wanted.release if wanted else None
        with releases(self._warehouse, self.service) as records:
            records.incident(release, "release_failed", step.reason, "given up; what answered before goes on")
            records.give_up(str(release), step.reason)
        if not self.slots.describe()[name]["active"]:
            self.slots.stop(name)

    def _roll_back(self, reason: str) -> None:
        """In the registry too: what failed here is not deployed again by itself."""
        release = self._state.active.release if self._state.active else ""
        try:
            with releases(self._warehouse, self.service) as records:
                state = records.state()
                if state != self._state or state.previous is None:
                    return  # somebody else asked for another meanwhile
                back = to_release_before(
                    records, state, by=AUTOMATIC, reason=reason, cause="automatic_rollback"
                )
                records.incident(release, "rolled_back", reason, f"rolled back to {back.release.release}")
        except LostRace as error:
            log.warning("%s: %s; it is tried again", self.service, error)
        except RegistryError as error:
            self._report(reason, release, f"nothing: {error}")

    def _report(
        self, reason: str, release: str, action: str = "nothing: there is no release to go back to"
    ) -> None:
        """Once for each trouble of a release that nothing is done about."""
        kind = reason.partition(" ")[2]
        if (release, kind) not in self._reported:
            with releases(self._warehouse, self.service) as records:
                records.incident(release, "unhealthy", reason, action)
            self._reported.add((release, kind))

    def _tell_of_dead(self) -> None:
        if self.slots.died:
            with releases(self._warehouse, self.service) as records:
                for release, reason in self.slots.died:
                    records.incident(release, "process_died", reason, "started again")
            self.slots.died.clear()


class Reconciler:
    """All services of an installation, and the router before them.

    Args:
        health_seconds: between two health checks; as the settings say when left out.
    """

    def __init__(self, here: Settings, warehouse: Warehouse, *, health_seconds: float | None = None) -> None:
        self._warehouse = warehouse
        folder = here.serving_dir
        folder.mkdir(parents=True, exist_ok=True)
        upstreams = _ports(folder)
        self._router = Router(folder, configuration(here.serving_host, here.service_ports, upstreams))
        log_url = url_for(here, "e2i")
        every = health_seconds or here.health_seconds
        self._keepers = [
            ServiceKeeper(
                service,
                warehouse,
                Slots(service, folder / service, here.bento_home, upstreams[service], every),
                here.service_url(service),
                log_url,
            )
            for service in SERVICES
        ]

    def run(self, stopped: Event, opened: Callable[[], object] = lambda: None) -> None:
        """Look after all of it until that is set; then end every process, once it has answered.

        Args:
            opened: called once the router listens.

        Raises:
            AlreadyServed: another reconciler has the database.
            DeploymentError: there is no router to start, or something else listens where it is to.
        """
        with _lock_of_database(self._warehouse):
            self._router.open()
            opened()
            loops: list[tuple[str, Callable[[], object], float]]
            loops = [("router", self._router.ensure, ROUTER_TICK)]
            loops += [(keeper.service, keeper.tick, TICK) for keeper in self._keepers]
            threads = [Thread(target=_loop, args=(*loop, stopped)) for loop in loops]
            for thread in threads:
                thread.start()
            try:
                self._keep_database(stopped)
            finally:
                stopped.set()
                for thread in threads:
                    thread.join()
                self._router.stop()
                with ThreadPoolExecutor() as pool:
                    list(pool.map(lambda keeper: keeper.slots.shut_down(), self._keepers))

    def _keep_database(self, stopped: Event) -> None:
        """Hold the lock that says that a reconciler runs; bring back an embedded server that was killed."""
        while not stopped.is_set():
            try:
                with reconciling(self._warehouse) as connection:
                    while connection is not None and not stopped.wait(1.0):
                        connection.exec_driver_sql("SELECT 1")
                stopped.wait(1.0)
            except Exception as error:
                if (reason := database_failure(error)) is None:
                    raise
                log.warning("the database is away (%s); services go on", reason)
                stopped.wait(0.5)
                self._revive()

    def _revive(self) -> None:
        try:
            self._warehouse.revive()
        except E2IError as error:
            log.warning("%s", error.summary)


def _loop(name: str, work: Callable[[], object], every: float, stopped: Event) -> None:
    """Do some work again and again; what fails is told, and tried again."""
    failed = ""
    while not stopped.wait(every):
        try:
            work()
            failed = ""
        except Exception as error:  # noqa: BLE001 -- a service that is not looked after is worse than a failure
            reason = database_failure(error) or f"{type(error).__name__}: {error}"
            if reason != failed:
                log.warning("%s: %s", name, reason)
            failed = reason
            stopped.wait(1.0)


@contextmanager
def _lock_of_database(warehouse: Warehouse) -> Iterator[None]:
    with reconciling(warehouse) as connection:
        if connection is None:
            raise AlreadyServed("another reconciler looks after the services of this database.")
    yield


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Be the one reconciler of a home.

    Raises:
        AlreadyServed: there is one.
    """
    lock = InterProcessLock(home / "serving.lock")
    if not lock.acquire(blocking=False):
        raise AlreadyServed(f"the services of {home} are looked after already.")
    try:
        yield
    finally:
        lock.release()


def _ports(folder: Path) -> Mapping[str, tuple[int, int]]:
    """Two ports for each service, behind the router: as before where these are known, else free ones."""
    import json

    note = folder / "ports.json"
    try:
        return {service: (blue, green) for service, (blue, green) in json.loads(note.read_text()).items()}
    except (FileNotFoundError, ValueError):
        free = _free_ports()
        ports = {service: (next(free), next(free)) for service in SERVICES}
        note.write_text(json.dumps(ports))
        return ports


def _free_ports() -> Iterator[int]:
    """Ports that nobody listens on, from a place that another installation rarely begins at."""
    start = time.time_ns() // 1000 % len(PORTS)
    for port in [*PORTS[start:], *PORTS[:start]]:
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        yield port
    raise DeploymentError("no port from 20000 to 32000 is free on this machine")
