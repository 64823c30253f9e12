"""Figures of predictions and their intervals: numbers in, numbers out."""
