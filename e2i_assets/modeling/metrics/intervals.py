"""95 % intervals of figures on a split, as wide as few rows make them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Z95 = 1.959963984540054


class Interval(NamedTuple):
    """A 95 % interval, both ends inclusive."""

    low: float
    high: float


def of_share(share: float, rows: float) -> Interval:
    """Wilson's score interval (1927) of a share of so many rows; 0 to 1 where there are none."""
    if rows <= 0:
        return Interval(0.0, 1.0)
    weight = Z95**2 / rows
    centre = (share + weight / 2) / (1 + weight)
    reach = Z95 / (1 + weight) * float(np.sqrt(share * (1 - share) / rows + weight / (4 * rows)))
    return Interval(max(0.0, min(share, centre - reach)), min(1.0, max(share, centre + reach)))


def of_mean(values: np.ndarray) -> Interval | None:
    """Student's interval of the mean of independent values, shape (rows,); None below two rows."""
    from scipy.stats import t

    if len(values) < 2:
        return None
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))
    reach = float(t.ppf(0.975, len(values) - 1)) * error
    return Interval(mean - reach, mean + reach)


def of_logarithm(values: np.ndarray, over: np.ndarray | None = None) -> Interval | None:
    """Interval of a mean of positive values, or of the ratio of two means over the same rows.

    Student's on the logarithm (delta method), which suits what is spread far to the right, as squares are.
    None where the logarithm does not exist, or below two rows.
    """
    from scipy.stats import t

    parts = [values] if over is None else [values, over]
    means = [float(part.mean()) for part in parts]
    if len(values) < 2 or min(means) <= 0:
        return None
    moves = values / means[0] - (0 if over is None else over / means[1])
    centre = np.log(means[0]) - (0 if over is None else np.log(means[1]))
    reach = float(t.ppf(0.975, len(values) - 1)) * float(moves.std(ddof=1) / np.sqrt(len(values)))
    return Interval(float(np.exp(centre - reach)), float(np.exp(centre + reach)))


def not_negative(interval: Interval | None) -> Interval | None:
    """The part of an interval that a figure without a sign can have."""
    return interval and Interval(max(0.0, interval.low), interval.high)


def of_difference(
    first: float, ends: Interval, second: float, other: Interval, correlation: float = 0.0
) -> Interval:
    """Interval of `first` less `second`, from the interval of each (Zou & Donner 2008, "MOVER").

    It is as honest as those two: a figure whose rows do not vary keeps the width that few rows give it.

    Args:
        correlation: of the two estimates, from -1 to 1; 0 where they are of different rows.
    """

    def reach(down: float, up: float) -> float:
        return float(np.sqrt(max(0.0, down**2 + up**2 - 2 * correlation * down * up)))

    difference = first - second
    return Interval(
        difference - reach(first - ends.low, other.high - second),
        difference + reach(ends.high - first, second - other.low),
    )
