"""What scikit-learn's `calibration_curve` and our `calibration_bins` make of predictions that are alike.

A tree, or a boosted model of few leaves, gives few different probabilities. Both curves are made of the same
1,000 rows: ten different predictions and three patients beyond them, one prediction for all but these three,
and predictions that are all different.
"""

from __future__ import annotations

import numpy as np
from sklearn.calibration import calibration_curve

from e2i_assets.modeling.metrics.calibration import calibration_bins

ROWS = 1000


def main() -> None:
    """Print both curves: each point with how many rows it stands for."""
    rng = np.random.default_rng(0)
    leaves = rng.choice(np.linspace(0.05, 0.5, 10), ROWS, p=np.r_[0.73, np.full(9, 0.03)])
    alike = np.full(ROWS, 0.05)
    leaves[:3] = alike[:3] = (0.97, 0.98, 0.99)
    cases = {"ten leaves": leaves, "nearly all alike": alike, "all different": rng.uniform(0, 1, ROWS)}
    for name, p in cases.items():
        y = (rng.uniform(size=ROWS) < p).astype(int)
        print(f"{name}: mean prediction -> share with the outcome (rows)")
        for strategy in ("uniform", "quantile"):
            observed, predicted = calibration_curve(y, p, n_bins=10, strategy=strategy)
            # It gives no numbers of rows: they are counted here by the edges that its source uses.
            edges = (
                np.linspace(0, 1, 11) if strategy == "uniform" else np.percentile(p, np.linspace(0, 100, 11))
            )
            rows = np.bincount(np.searchsorted(edges[1:-1], p), minlength=len(edges))
            show(f"scikit-learn, {strategy}", predicted, observed, rows[rows > 0])
        bins = calibration_bins(y, p)
        show("ours", [b.predicted for b in bins], [b.observed for b in bins], [b.n for b in bins])


def show(what: str, predicted: object, observed: object, rows: object) -> None:
    """One curve in one line."""
    points = zip(predicted, observed, rows, strict=True)
    print(f"  {what}: {', '.join(f'{p:.2f} -> {o:.2f} ({n})' for p, o, n in points)}")


if __name__ == "__main__":
    main()
