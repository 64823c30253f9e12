"""Models of whom a treatment helps how much: chosen against the constant effect, and judged on test."""
