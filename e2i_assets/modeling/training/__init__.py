"""The trained model: how it is fitted, weighted and recalibrated."""
