"""What of a run is tracing: CPU of its spans, until they are in the database, against that of the run.

    python -m e2i_assets_tests.benchmarks.tracing

One partition of the small set, every asset of the shipped configuration, in one process. Then as many spans as it
left, each with as many attributes, go the same way once more, with thread, connection and all, and nothing else.
"""

from __future__ import annotations

import logging
import time
import warnings

import sqlalchemy as sa

from e2i_assets.build import build_resources
from e2i_assets.ingest.synthetic import GeneratorSpec, generate
from e2i_assets.observability.recorder import Recorder
from e2i_assets.observability.trace import Trace
from e2i_assets.settings import Settings
from e2i_assets.warehouse.loader import Load
from e2i_assets.warehouse.postgres import url_for
from e2i_assets_tests.conftest import installation, postgres_home
from e2i_assets_tests.integration.gates.partition import PARTITION, PARTITIONS, run

BAR = 0.01


def main() -> None:
    """Run it and print the share; ends with 1 where the bar is not met."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    with postgres_home() as folder:
        server = url_for(Settings(home=folder / "server"), "public", "")
        with installation(server, folder / "installation") as here:
            warehouse = build_resources(here)["warehouse"]
            warehouse.load(Load(generate(GeneratorSpec(scale="small")).tables, "synthetic"), PARTITIONS)
            started = time.process_time()
            result = run(here, "*")
            of_run = time.process_time() - started
            assert result.success
            with warehouse.engine.connect() as connection:
                query = sa.text("SELECT count(*) FROM e2i.ml_observability_spans WHERE run_id = :run")
                spans = connection.execute(query, {"run": result.run_id}).scalar_one()
            started = time.process_time()
            _again(url_for(here, "e2i"), spans)
            of_spans = time.process_time() - started
    share = of_spans / of_run
    print(f"{spans} spans in a run of {of_run:.1f} CPU s: {1000 * of_spans:.1f} CPU ms for them all")
    print(f"tracing / run: {share:.4f} (bar {BAR}){'  MISSED' if share > BAR else ''}")
    raise SystemExit(share > BAR)


def _again(url: str, spans: int) -> None:
    recorder = Recorder(url, None, {}, logging.getLogger(__name__))
    trace = Trace("00000000-0000-4000-8000-000000000000", 1.0, recorder.offer)
    for number in range(spans):
        with trace.stage("stage", asset="a", partition=PARTITION, outcome="published", number=number) as span:
            span.set(version="0123456789abcdef", passed=True)
    recorder.close()


if __name__ == "__main__":
    main()
