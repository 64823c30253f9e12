"""Parts of an evaluation as it is recorded: aggregates, never a row."""

from __future__ import annotations

from dataclasses import dataclass

from e2i_assets.modeling.metrics.intervals import Interval


@dataclass(frozen=True)
class Compared:
    """The primary metric of another model on test, and how far ours is from it, paired by row.

    Attributes:
        name: of the other model.
        value: its primary metric; `interval` that metric's 95 % interval.
        difference: ours less the other's; whether more is better depends on the metric.
        difference_interval: 95 %; None where one of the two has no interval.
    """

    name: str
    value: float
    interval: Interval | None
    difference: float
    difference_interval: Interval | None


@dataclass(frozen=True)
class Subgroup:
    """One group of test rows. Where there are too few, the figures are None and `reason` says so.

    Attributes:
        n: rows; None below the minimum cell count.
        patients: of those rows, of the rarer outcome where that is fewer; None as `n`, and in evaluations of
            earlier releases.
        value: primary metric, with its 95 % `interval`.
        gap: `value` less that of all other test rows of the dimension, with its `gap_interval`.
        bias: mean prediction less mean outcome (calibration in the large), with its `bias_interval`; None
            where the problem type has none.
    """

    dimension: str
    level: str
    n: int | None
    value: float | None = None
    interval: Interval | None = None
    gap: float | None = None
    gap_interval: Interval | None = None
    bias: float | None = None
    bias_interval: Interval | None = None
    reason: str = ""
    patients: int | None = None
