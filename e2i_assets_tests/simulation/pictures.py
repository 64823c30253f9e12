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

import httpx
from PIL import Image

from e2i_assets.cli.session import open_session
from e2i_assets.settings import settings, shipped
from e2i_assets_tests.serve_process import free_port
from e2i_assets_tests.simulation.installation import CSU, PNH, SCOPE
from e2i_assets_tests.simulation.page import PICTURES

BROWSER = "chromium"
COLOURS = 64
WITHIN_S = 180.0
WIDTH = 1400


PAGES: Mapping[str, tuple[str, int]] = {
    "runs": (f"/runs?q[0]=tag%3Adagster%2Fpartition%3D{CSU}", 760),
    "sensors": ("/automation", 620),
    "partitions": (f"/assets/{SCOPE}/registered_model?view=partitions&partition={PNH}", 620),
}
"""Picture to the page that it is of, and its height."""


def main() -> None:
    """Take those that are named, or all."""
    folder, *names = sys.argv[1:]
    os.environ |= {"E2I_CONFIG": f"{folder}/config", "E2I_HOME": f"{folder}/home"}
    settings.cache_clear()
    open_session()
    PICTURES.mkdir(exist_ok=True)
    with _dagit(Path(folder)) as url:
        for name in names or PAGES:
            path, height = PAGES[name]
            _picture(f"{url}{path}", height, PICTURES / f"{name}.png")


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


def _picture(url: str, height: int, file: Path) -> None:
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--user-data-dir={profile}", f"--window-size={WIDTH},{height}",
                "--virtual-time-budget=60000", f"--screenshot={file}", url,
            ],
            check=True, capture_output=True,
        )  # fmt: skip
    picture = Image.open(file).convert("RGB").quantize(COLOURS)
    picture.save(file, optimize=True)


if __name__ == "__main__":
    main()
