"""24 days of the platform in a minute: its own daemon, loader, stages and registry, on a clock that is set."""
