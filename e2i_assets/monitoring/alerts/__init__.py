"""Alerts: what deserves a person's attention, who is told of it, and over which channels."""
