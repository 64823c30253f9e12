"""`python -m e2i_assets_tests.simulation.pictures FOLDER`: Dagit on a home that has lived through the days."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
import httpx
from PIL import Image

from e2i_assets.cli.instance import dagster_instance
from e2i_assets.cli.session import open_session
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.settings import Settings, settings, shipped
from e2i_assets_tests.serve_process import free_port
from e2i_assets_tests.simulation.installation import CSU, PNH, SCOPE
from e2i_assets_tests.simulation.page import PICTURES

BROWSER = "chromium"
COLOURS = 64
WITHIN_S = 180.0
WIDTH = 1400


PAGES: Mapping[str, tuple[str, int, int]] = {
    "runs": (f"{{dagit}}/runs?q[0]=tag%3Adagster%2Fpartition%3D{CSU}", 760, 760),
    # Below that a path of the machine is shown.
    "refused": ("{dagit}/runs/{refused}?logs=no_blockers", 1000, 605),
    "drift": ("{report}", 1340, 1340),
    "sensors": ("{dagit}/automation", 620, 620),
    "partitions": (
        f"{{dagit}}/assets/{SCOPE}/registered_model?view=partitions&partition={PNH}", 620, 620
    ),
}  # fmt: skip
"""Picture to the page that it is of, the height that this is shown in, and how much of it is taken."""


def main() -> None:
    """Take those that are named, or all."""
    folder, *names = sys.argv[1:]
    os.environ |= {"E2I_CONFIG": f"{folder}/config", "E2I_HOME": f"{folder}/home"}
    settings.cache_clear()
    here, _ = open_session()
    PICTURES.mkdir(exist_ok=True)
    refused, report = _refused_run(), _drift_report(here)
    with _dagit(Path(folder)) as dagit:
        for name in names or PAGES:
            page, height, taken = PAGES[name]
            url = page.format(dagit=dagit, refused=refused, report=report)
            _picture(url, height, taken, PICTURES / f"{name}.png")


def _refused_run() -> str:
    """That of day 3."""
    with dagster_instance() as instance:
        (run,) = instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": f"{CSU}-load-4-attempt-1"}))
    return run.run_id


def _drift_report(here: Settings) -> str:
    """Address of the page of the last comparison, as a file: the one that Dagit links to."""
    asset = f"{SCOPE}/drift_report"
    current = open_store(here).current(asset, PNH)
    assert current is not None
    return (Path(here.artifacts_url) / asset / PNH / current.version / "drift_report.html").as_uri()


@contextmanager
def _dagit(folder: Path) -> Iterator[str]:
    """Dagit alone, without the daemon, whose clock is not that of the story."""
    port = free_port()
    command = [
        Path(sys.executable).with_name("dagster-webserver"),
        "-w",
        shipped("workspace.yaml"),
        "--read-only",
    ]
    with (folder / "dagit.log").open("wb") as log:
        process = subprocess.Popen([*command, "-h", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/server_info").is_success:
                return
        time.sleep(0.5)
    raise RuntimeError(f"Dagit does not answer at {url}")


def _picture(url: str, height: int, taken: int, file: Path) -> None:
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--user-data-dir={profile}", f"--window-size={WIDTH},{height}",
                "--virtual-time-budget=60000", f"--screenshot={file}", url,
            ],
            check=True, capture_output=True,
        )  # fmt: skip
    picture = Image.open(file).convert("RGB").crop((0, 0, WIDTH, taken)).quantize(COLOURS)
    picture.save(file, optimize=True)


if __name__ == "__main__":
    main()
