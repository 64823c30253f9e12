"""Quality control: what each layer costs.

    python -m e2i_assets_tests.benchmarks.bench_quality

Layer 1 is timed on 25,000 rows of each table beside Pandera alone on the same schema (bar: about 10 ms beyond
it); the whole report and the grades of four splits on the small generated set, of which Great Expectations'
import is the larger part. CPU seconds of this process, the smallest of five.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from typing import Any

import pandera.polars as pa
import polars as pl

from e2i_assets.contracts.base import key_of
from e2i_assets.contracts.tables import RAW_TABLES, TABLES
from e2i_assets.ingest import attributes
from e2i_assets.ingest.synthetic import GeneratorSpec, generate
from e2i_assets.partitions import cohort_config
from e2i_assets.quality import QualityConfig, build_qc_report, check_schema, grade_splits
from e2i_assets.quality.schema import extraction_columns
from e2i_assets.settings import config_dir

ROWS = 25_000


def smallest(work: Callable[[], Any]) -> float:
    """Milliseconds of CPU."""
    best = math.inf
    for _ in range(5):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return 1000 * best


def enlarged(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The table repeated under new keys to the wanted number of rows."""
    key = key_of(TABLES[name])
    copies = [frame.with_columns(pl.col(key) + f"-{i}") for i in range(math.ceil(ROWS / frame.height))]
    whole = pl.concat(copies).head(ROWS).select(c.name for c in extraction_columns(name))
    return whole.with_columns(npi=pl.lit(None, pl.String)) if "npi" in whole.columns else whole


def pandera_alone(name: str, frame: pl.DataFrame) -> None:
    """Validate lazily, with nothing of ours around it."""
    schema = TABLES[name].to_schema()
    declared = schema.remove_columns([c for c in schema.columns if c not in frame.columns])
    with contextlib.suppress(pa.errors.SchemaErrors):
        declared.validate(frame, lazy=True)


def layer_one(tables: dict[str, pl.DataFrame]) -> None:
    """Each table at 25,000 rows, with the others as they are for the rules between tables."""
    for name in RAW_TABLES:
        frame = enlarged(name, tables[name])
        others = {**tables, name: frame}
        ours = smallest(lambda: check_schema(name, frame, tables=others))  # noqa: B023
        bare = smallest(lambda: pandera_alone(name, frame))  # noqa: B023
        print(f"layer 1, {name:17} {ours:7.1f} ms, Pandera {bare:5.1f}, beyond it {ours - bare:5.1f}")


def whole_report(tables: dict[str, pl.DataFrame]) -> None:
    """A partition's report and the grades of its splits."""
    cohort = cohort_config(config_dir(), "fabhalta_c3g")
    config = QualityConfig.from_yaml(config_dir() / "quality.yaml")
    journeys = attributes.expand(tables["patient_journeys"], cohort.attributes)
    given = {**tables, "patient_journeys": journeys}

    def report() -> None:
        build_qc_report(given, attributes=cohort.attributes, raw_versions={}, config=config)

    start = time.process_time()
    report()
    first = 1000 * (time.process_time() - start)
    print(f"report, first in a process {first:7.0f} ms, then {smallest(report):5.0f}")
    rows = journeys.select("patient_journey_id", "age_at_diagnosis").to_pandas()
    cuts = {"train": (0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 0.95), "holdout": (0.95, 1)}
    frames = {n: rows.iloc[int(a * len(rows)) : int(b * len(rows))] for n, (a, b) in cuts.items()}
    grades = smallest(lambda: grade_splits(frames, given, config, attributes=cohort.attributes))
    print(f"grades of four splits {grades:12.0f} ms")


if __name__ == "__main__":
    generated = generate(GeneratorSpec(scale="small")).tables
    layer_one(generated)
    whole_report(generated)
