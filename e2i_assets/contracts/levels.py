"""The closed sets of values that columns of the contracts take, and what generated rows are marked with."""

from __future__ import annotations

GENERATED = "synthetic"
"""`data_source` of generated rows."""
REGIONS = ("northeast", "south", "midwest", "west")
PRIORITIES = ("critical", "high", "medium", "low")
JOURNEY_STAGES = (
    "diagnosis", "initial_treatment", "treatment_optimization", "maintenance", "treatment_switch",
)  # fmt: skip
JOURNEY_STATUSES = ("active", "stable", "transitioning", "completed")
EVENT_TYPES = ("diagnosis", "prescription", "lab_test", "procedure", "consultation", "hospitalization")
PREDICTION_TYPES = ("trigger", "propensity", "risk", "churn", "next_best_action")
DELIVERY_STATUSES = ("pending", "delivered", "viewed", "failed")
UNIVERSES = ("patients", "hcps")
RUN_STATUSES = ("success", "partial", "failed")
ACCEPTANCE_STATUSES = ("pending", "accepted", "rejected", "expired")
