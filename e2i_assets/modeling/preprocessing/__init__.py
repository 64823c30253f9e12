"""From raw features to what an estimator takes: which of them, and as what numbers."""
