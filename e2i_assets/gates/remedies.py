"""What to do next, where several gates say the same."""

ASK = (
    "Ask when each of these columns became known, and say so in the cohort file: available_at: index if on "
    "the index date, role: post_outcome and available_at: outcome if only afterwards."
)
"""Of columns that nobody has declared."""
