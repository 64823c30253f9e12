"""Evaluations that earlier releases wrote, when every model was a binary classifier: read, never written."""

from __future__ import annotations

from typing import Any


def as_written_now(record: Any) -> Any:
    """An evaluation's record in today's form; one of today, and whatever else it may be, as it is.

    What test told of a model is kept for ever, since test opens once: it must stay readable.
    """
    if not isinstance(record, dict) or "auc_ci" not in record:
        return record
    then = dict(record)
    ends = {
        "test": then.pop("auc_ci"),
        "validation": then.pop("validation_auc_ci"),
    }
    return then | {
        "problem_type": "binary_classification",
        "primary_metric": "roc_auc",
        "intervals": {split: {"roc_auc": list(_ends(of))} for split, of in ends.items()},
        "curves": {
            "roc": then.pop("roc"),
            "calibration": [_bin(one) for one in then.pop("calibration")],
            "confusion": then.pop("confusion"),
        },
        "baseline": None,
    }


def _ends(interval: Any) -> tuple[float, float]:
    """Ends of `AucInterval`, which was written as a mapping or as a list."""
    low, high = (interval["low"], interval["high"]) if isinstance(interval, dict) else interval[1:3]
    return low, high


def _bin(one: Any) -> dict[str, Any]:
    return one if isinstance(one, dict) else dict(zip(("n", "predicted", "observed"), one, strict=True))
