"""Hyperparameters: studies, their trials, and what earlier studies give them."""
