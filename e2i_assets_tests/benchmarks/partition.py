"""One partition, raw to bundle: through the platform, and as a plain script of the same library calls.

Each round gives each side an installation of its own, a copy of one with the data loaded and the schemas of
Dagster and MLflow made, so that neither finds anything of an earlier round; the sides take turns in going
first. Both start with warm imports, in one process. The script (`plain_script.py`) makes the same artifacts and
calls the domain, MLflow and BentoML directly, for each scope of the partition.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from e2i_assets.build import build_defs, build_resources
from e2i_assets.cli.instance import dagster_instance
from e2i_assets.cli.runner import run_partitions
from e2i_assets.cli.session import quiet
from e2i_assets.ingest.load import Load
from e2i_assets.ingest.synthetic import GeneratorSpec, generate
from e2i_assets.ingest.synthetic.spec import Scale
from e2i_assets.partitions import cohort_configs
from e2i_assets.settings import Settings, shipped
from e2i_assets.warehouse.postgres import url_for
from e2i_assets_tests.benchmarks.plain_script import plain
from e2i_assets_tests.conftest import installation, postgres_home

PARTITION = "remibrutinib_csu"


def platform(here: Settings) -> None:
    """The platform's own run, as `e2i materialize` makes it."""
    with dagster_instance() as instance:
        (run,) = run_partitions(build_defs(here), instance, here, [PARTITION], show=False)
    assert run.success, run
    assert not run.reused, run


def script(here: Settings) -> None:
    """The plain script on the same warehouse."""
    with tempfile.TemporaryDirectory() as folder:
        plain(here, build_resources(here)["warehouse"], Path(folder), PARTITION)


def fill(here: Settings, scale: Scale) -> None:
    """Load the data, and let Dagster and MLflow make their schemas."""
    shutil.copyfile(shipped("deploy") / "dagster.yaml", here.dagster_home / "dagster.yaml")
    known = {(p.brand, p.indication) for p in cohort_configs(here.config_dir).values()}
    tables = generate(GeneratorSpec(scale=scale)).tables
    build_resources(here)["warehouse"].load(Load(tables, "benchmark"), known)
    script(here)
    with dagster_instance():
        pass


def seconds(side: Callable[[Settings], None], server: str, template: Settings) -> tuple[float, float]:
    """Wall and CPU time of one side in a fresh copy of the template; the server's CPU is not in the second."""
    with (
        tempfile.TemporaryDirectory() as folder,
        installation(server, Path(folder), template=template) as here,
    ):
        assert build_resources(here)["warehouse"].engine is not None
        # Neither side pays for the collection of what the other, or the making of the data, left behind.
        gc.collect()
        gc.freeze()
        started, cpu = time.perf_counter(), time.process_time()
        side(here)
        return time.perf_counter() - started, time.process_time() - cpu


def main() -> None:
    """Measure, and print the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="2,500 patients instead of 25,000")
    parser.add_argument("--rounds", type=int, default=4)
    chosen = parser.parse_args()
    quiet()
    ours: list[tuple[float, float]] = []
    base: list[tuple[float, float]] = []
    with postgres_home() as home:
        server = url_for(Settings(home=home), "public", "")
        with installation(server, home) as template:
            fill(template, "small" if chosen.small else "full")
            for i in range(chosen.rounds + 1):
                order = (platform, script) if i % 2 else (script, platform)
                took = {side: seconds(side, server, template) for side in order}
                note = "" if i else " (warm-up)"
                text = (
                    f"{s.__name__} {took[s][0]:.1f} s (CPU {took[s][1]:.2f} s)" for s in (platform, script)
                )
                print(f"round {i}{note}: {', '.join(text)}")
                ours += [took[platform]] if i else []
                base += [took[script]] if i else []
    bar = 1.25 if chosen.small else 1.15
    for what, a, b in zip(("wall", "CPU"), medians(ours), medians(base), strict=True):
        print(
            f"one partition, platform / plain script, {what} (bar {bar}): {a:.2f} s / {b:.2f} s = {a / b:.2f}"
        )


def medians(took: list[tuple[float, float]]) -> list[float]:
    """Of wall and of CPU times."""
    return [statistics.median(times) for times in zip(*took, strict=True)]


if __name__ == "__main__":
    main()
