"""Gates: verdicts, which are pure, and the helper that makes a stage publish only when all of them pass."""
