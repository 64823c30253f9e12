"""24 days of the platform: its own daemon, loader, stages and registry, on a clock that is set."""
