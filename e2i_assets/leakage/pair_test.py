"""Do pairs of like rows lie between two splits more often than rows drawn at random would put them there?

In random splits a pair of nearest rows lies between both as often as any other two rows, whatever the table
is like: households and visits make pairs within splits as well. Copies lie between splits only, and lead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e2i_assets.leakage.linkage import Nearest

COUNTED = 3e-4
"""Probability of as many of the first pairs between two splits, from which on they are copies."""
BEYOND = 3e-5
"""The same for pairs with a lead that those within splits do not have, by an exponential tail."""
_LEAST = 3
_TAIL = (6, 25)  # leads within splits, the largest ones, that the tail is fitted to: at least, at most
_TAIL_SHARE = 20
_WIDER, _BITS = 1.3, 2.0
"""The tail's mean is taken as wider by a third than it looks, and never as less than two bits."""
_FIRST = 5_000  # pairs that are looked at
_LONGEST = 80
_LENGTHS = np.unique(np.round(4 * 1.35 ** np.arange(22)).astype(int))


@dataclass(frozen=True)
class Excess:
    """Attributes: pairs between the splits that are copies (0: none shown), and those expected there."""

    pairs: int
    expected: float


def excess(near: Nearest, split: np.ndarray, a: int, b: int, comparisons: int) -> Excess:
    """Judge the pairs of nearest rows in two splits.

    Args:
        split: number of each row's split.
        comparisons: pairs of splits that are judged; probabilities are divided among them.
    """
    between, lead, chance = _inside(near, split, a, b)
    return _judge(between, lead, chance, comparisons)


def needed(near: Nearest, split: np.ndarray, a: int, b: int, comparisons: int) -> int | None:
    """How many rows of the first split would have to be in the second, one value changed, to be seen there.

    None when not even a tenth of the larger split would be.
    """
    between, lead, chance = _inside(near, split, a, b)
    copies = near.copy_lead[split == a]
    most = max(_LEAST, int(np.sum(split == b)) // 10, int(np.sum(split == a)) // 10)
    rng = np.random.default_rng(0)
    copies = rng.permutation(copies)
    for planted in (n for n in _LENGTHS if n <= most):
        new = copies[np.linspace(0, len(copies) - 1, planted).astype(int)]
        new = new[new > 0]
        leads = np.append(lead, new)
        order = np.argsort(-leads, kind="stable")
        between_pairs = np.append(between, np.ones(len(new), dtype=bool))
        if _judge(between_pairs[order], leads[order], chance, comparisons).pairs:
            return int(planted)
    return None


def _inside(near: Nearest, split: np.ndarray, a: int, b: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Of the pairs within these splits whether each lies between them, its lead, and the chance of that."""
    one, two = split[near.first], split[near.second]
    inside = np.isin(one, (a, b)) & np.isin(two, (a, b))
    n, m = int(np.sum(split == a)), int(np.sum(split == b))
    first = np.flatnonzero(inside)[:_FIRST]
    return (one != two)[first], near.lead[first], 2 * n * m / ((n + m) * (n + m - 1))


def _judge(between: np.ndarray, lead: np.ndarray, chance: float, comparisons: int) -> Excess:
    counted, p_counted = _counted(between, chance)
    beyond, p_beyond = _beyond(lead[between], lead[~between], chance)
    if min(p_counted / COUNTED, p_beyond / BEYOND) > 1 / comparisons:
        return Excess(0, 0.0)
    return counted if p_counted / COUNTED < p_beyond / BEYOND else beyond


def _counted(between: np.ndarray, chance: float) -> tuple[Excess, float]:
    """The first pairs, at whichever length they are least likely: pairs share no row, so it is a binomial."""
    from scipy.special import bdtrc

    lengths = _LENGTHS[len(between) >= _LENGTHS]
    if not len(lengths):
        return Excess(0, 0.0), 1.0
    counts = np.cumsum(between)[lengths - 1]
    p = bdtrc(counts - 1, lengths, chance)
    at = int(np.argmin(p))
    return Excess(int(counts[at]), float(lengths[at] * chance)), float(p[at])


def _beyond(between: np.ndarray, within: np.ndarray, chance: float) -> tuple[Excess, float]:
    """Pairs between splits with longer leads than pairs within have.

    The distance from the largest of many values to the next has an exponential tail (Weissman 1978), whose
    mean is that of the largest leads within splits.
    """
    from scipy.special import pdtrc

    if len(between) < _LEAST:
        return Excess(0, 0.0), 1.0
    within = np.append(within, np.zeros(max(0, _TAIL[0] - len(within))))
    fitted = int(np.clip(len(within) // _TAIL_SHARE, *_TAIL))
    start = within[fitted - 1]
    mean = max(_WIDER * float((within[: fitted - 1] - start).mean()), _BITS)
    counts = np.arange(_LEAST, min(len(between), _LONGEST) + 1)
    leads = between[counts - 1]
    counts, leads = counts[leads > start], leads[leads > start]
    if not len(counts):
        return Excess(0, 0.0), 1.0
    seen = np.searchsorted(-within, -leads, side="right")
    expected = np.maximum(fitted * np.exp(-(leads - start) / mean), seen) * chance / (1 - chance)
    p = pdtrc(counts - 1, expected)
    at = int(np.argmin(p))
    return Excess(int(counts[at]), float(expected[at])), float(p[at])
