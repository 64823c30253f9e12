"""Pharma brand analytics as Dagster assets, one partition per brand and indication."""
