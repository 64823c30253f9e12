"""`e2i serve` and `e2i down`: the services at their desired state, in the foreground or in the background."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

import psutil

from e2i_assets.cli.output import say
from e2i_assets.cli.session import open_session
from e2i_assets.deployment import processes, router
from e2i_assets.deployment.reconciler import Reconciler, only_one
from e2i_assets.deployment.releases import SERVICES
from e2i_assets.deployment.slots import NAMES
from e2i_assets.home import open_home
from e2i_assets.settings import Settings, settings


def run_serve() -> int:
    """Bring services to what the records want, until interrupted.

    Raises:
        AlreadyServed: another one does so.
        DeploymentError: something else listens where a service is to be asked.
    """
    stopped = Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stopped.set())
    home = settings().home_dir
    open_home(home)
    with only_one(home):
        here, warehouse = open_session()
        _say_what_is_done()
        with _noted(here.serving_dir):
            Reconciler(here, warehouse).run(stopped, lambda: _say_where(here))
    return 0


def _say_where(here: Settings) -> None:
    for service, port in here.service_ports.items():
        say(f"{service}: http://{here.serving_host}:{port}")
    sys.stdout.flush()


def _say_what_is_done() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("e2i.serving")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)


@contextmanager
def _noted(folder: Path) -> Iterator[None]:
    """Leave word of this process, for `e2i down`."""
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "reconciler.json"
    note.write_text(json.dumps(processes.known([psutil.Process()])[0]))
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def reconciler_of(home: Path) -> psutil.Process | None:
    """The process that looks after the services of a home."""
    with suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
        number, created = json.loads((home / "serving" / "reconciler.json").read_text())
        if processes.runs((number, created)):
            return psutil.Process(number)
    return None


def end_services(folder: Path) -> None:
    """End the router and what is behind it, where nobody looks after them any more."""
    processes.end(router.mark(folder))
    processes.end(*(f"{folder / one}:{slot}" for one in SERVICES for slot in NAMES))


def run_down() -> int:
    """End the services of this home, and whoever looks after them; 0 also where nothing runs."""
    home = settings().home_dir
    if process := reconciler_of(home):
        process.terminate()
        psutil.wait_procs([process], timeout=60)
    end_services(settings().serving_dir)
    say(
        "the services are stopped"
        if process
        else "no reconciler was running; nothing is left of its services"
    )
    return 0
