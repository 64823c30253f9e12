"""Cohort construction against the same masks written by hand in Polars.

    python -m e2i_assets_tests.benchmarks.bench_cohort

Both give the same members in the same order. The engine also checks that the journey key is unique, counts nulls
apart and keeps the table of all masks; the hand-written masks do none of that. Both sides alternate; the
smallest time of each is compared, and the median of the pairs' ratios, which other work on the machine disturbs
less. Bar: at most 2.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import polars as pl

from e2i_assets.cohorts import CohortConfig, CohortConstructor, Criterion, Operator

CODES = ["L50.1", "L50.8", "L50.9"]
CONFIG = CohortConfig(
    cohort_name="Benchmark",
    brand="Remibrutinib",
    indication="csu",
    inclusion_criteria=(
        Criterion(field="age_at_diagnosis", operator=Operator.GREATER_EQUAL, value=18),
        Criterion(field="diagnosis_code", operator=Operator.IN, value=CODES),
        Criterion(field="uas7", operator=Operator.GREATER_EQUAL, value=16),
        Criterion(field="ldh_ratio", operator=Operator.GREATER_EQUAL, value=1.5),
    ),
    exclusion_criteria=(
        Criterion(field="autoimmune", operator=Operator.EQUAL, value=True),
        Criterion(field="pregnant", operator=Operator.EQUAL, value=True),
    ),
)


def journeys(rows: int, seed: int = 7) -> pl.DataFrame:
    """Random journeys, sorted by key as an extract is, with nulls and twenty columns that no rule reads."""
    rng = np.random.default_rng(seed)
    index = np.datetime64("2022-01-01") + rng.integers(0, 700, rows)
    sparse = pl.when(pl.lit(rng.random(rows)) < 0.95)
    frame = pl.DataFrame(
        {
            "patient_journey_id": np.char.add("PJ_", np.char.zfill(np.arange(rows).astype("U9"), 9)),
            "age_at_diagnosis": rng.integers(5, 90, rows),
            "diagnosis_code": rng.choice([*CODES, "L50.0"], rows),
            "uas7": rng.integers(0, 43, rows),
            "ldh_ratio": rng.normal(2, 1, rows),
            "autoimmune": rng.random(rows) < 0.1,
            "pregnant": rng.random(rows) < 0.05,
            "diagnosis_date": index.astype("datetime64[D]"),
            "first_observation_date": (index - rng.integers(0, 600, rows)).astype("datetime64[D]"),
            "last_observation_date": (index + rng.integers(0, 600, rows)).astype("datetime64[D]"),
            **{f"x{i}": rng.normal(size=rows) for i in range(20)},
        }
    )
    return frame.with_columns(sparse.then(pl.col(name)).alias(name) for name in ("uas7", "pregnant"))


def by_hand(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[int]]:
    """The nine masks, the attrition, and the members, as one would write them in Polars."""
    masks = frame.select(
        a=(pl.col("age_at_diagnosis") >= 18).fill_null(False),
        b=pl.col("diagnosis_code").is_in(CODES).fill_null(False),
        c=(pl.col("uas7") >= 16).fill_null(False),
        d=((pl.col("ldh_ratio") >= 1.5) & pl.col("ldh_ratio").is_not_nan()).fill_null(False),
        e=~pl.col("autoimmune").fill_null(False),
        f=~pl.col("pregnant").fill_null(False),
        g=pl.col("diagnosis_date").is_not_null(),
        h=((pl.col("diagnosis_date") - pl.col("first_observation_date")).dt.total_days() >= 180).fill_null(
            False
        ),
        i=((pl.col("last_observation_date") - pl.col("diagnosis_date")).dt.total_days() >= 90).fill_null(
            False
        ),
    )
    left, remaining = masks["a"], [int(masks["a"].sum())]
    for name in masks.columns[1:]:
        left = left & masks[name]
        remaining.append(int(left.sum()))
    return frame.filter(left), remaining


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(rows: int, repeats: int, shuffled: bool) -> None:
    """Print both times and their ratio."""
    frame = journeys(rows)
    if shuffled:
        frame = frame.sample(fraction=1.0, shuffle=True, seed=1)
    constructor = CohortConstructor(CONFIG)
    members, result = constructor.construct_cohort(frame)
    hand_members, remaining = by_hand(frame)
    attrition = [entry.remaining_count for entry in result.eligibility_log]
    if attrition != remaining or not members.equals(hand_members):
        raise SystemExit("the two ways disagree")
    pairs = [
        (timed(lambda: constructor.construct_cohort(frame)), timed(lambda: by_hand(frame)))
        for _ in range(repeats)
    ]
    ours, hand = (min(side) for side in zip(*pairs, strict=True))
    median = statistics.median(ours / hand for ours, hand in pairs)
    print(
        f"{rows:,} rows{' in random order' if shuffled else ''}, {result.eligible_count:,} eligible: ", end=""
    )
    print(
        f"engine {ours * 1e3:.0f} ms, by hand {hand * 1e3:.0f} ms, ratio {ours / hand:.2f}, median of ratios "
        f"{median:.2f} (bar 2)",
        flush=True,
    )


def main() -> None:
    """One size, or those that the README quotes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, help="one size only")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--shuffled", action="store_true", help="rows in random order of their key")
    arguments = parser.parse_args()
    if arguments.rows:
        measure(arguments.rows, arguments.repeats, arguments.shuffled)
        return
    measure(1_000_000, arguments.repeats, shuffled=False)
    measure(1_000_000, arguments.repeats, shuffled=True)
    measure(10_000_000, 5, shuffled=False)


if __name__ == "__main__":
    main()
