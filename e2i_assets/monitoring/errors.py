"""What is wrong with what is compared."""

from __future__ import annotations

from typing import ClassVar

from e2i_assets.errors import CodedError


class DriftError(CodedError):
    """The two sides cannot be compared at all."""

    next_steps: ClassVar = {
        "nothing_to_compare": "Give rows on both sides, with at least one column in common.",
        "unknown_column": "Name columns that the reference has, or leave `columns` out.",
        "bad_alpha": "Give `alpha` as a share of comparisons, such as 0.05.",
        "bad_frame": "Give a pandas DataFrame or a ReferenceProfile, each column with a name of its own.",
        "bad_profile": "Make the profile again with `ReferenceProfile.of(frame)`; it is of another release.",
    }
