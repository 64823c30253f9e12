"""What runs without a person: jobs and the sensors that ask for them. Decisions are pure functions."""
