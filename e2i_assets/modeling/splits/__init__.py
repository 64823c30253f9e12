"""Who is in train, validation, test and holdout, and the verdict on it."""
