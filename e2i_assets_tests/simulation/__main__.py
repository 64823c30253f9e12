"""`python -m e2i_assets_tests.simulation --folder FOLDER`: live through the days."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from e2i_assets.cli.session import open_session
from e2i_assets.settings import settings
from e2i_assets.warehouse.postgres import url_for
from e2i_assets_tests.integration.receivers import webhook
from e2i_assets_tests.simulation.clock import simulated_clock
from e2i_assets_tests.simulation.installation import WEBHOOK, configure
from e2i_assets_tests.simulation.launcher import Doomed
from e2i_assets_tests.simulation.page import PAGE, page
from e2i_assets_tests.simulation.platform import daemon
from e2i_assets_tests.simulation.record import Record
from e2i_assets_tests.simulation.story import DAYS, START, World, days


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """An installation in a folder, before its first day."""
    configure(folder)
    with simulated_clock(url_for(settings(), "public", ""), START) as clock, webhook() as receiver:
        os.environ[WEBHOOK] = receiver.url
        here, warehouse = open_session()
        import e2i_assets.definitions  # noqa: F401 -- by the process that is killed, too

        warehouse.engine.dispose()
        doomed = Doomed()
        with daemon(here, clock) as platform:
            record = Record(warehouse, platform.instance)
            yield World(here, warehouse, clock, platform, doomed, receiver, folder, record)
        doomed.close()


def main() -> None:
    """Keep what happened in FOLDER/days.json; with `--write` also in docs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--folder", type=Path, required=True, help="of the installation; it must not be there"
    )
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--write", action="store_true", help="write docs/twenty-four-days.md")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True)
    arguments.folder.chmod(0o711)
    story = []
    with world(arguments.folder) as simulated:
        for day, events in days(simulated, arguments.days):
            story.append((day, events))
            sys.stderr.write(f"day {day}: {'; '.join(one.text for one in events) or 'nothing'}\n")
    (arguments.folder / "days.json").write_text(
        json.dumps([[day, [asdict(e) for e in of]] for day, of in story])
    )
    if arguments.write:
        PAGE.write_text(page(story))


if __name__ == "__main__":
    main()
