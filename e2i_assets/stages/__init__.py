"""Stages: the one helper by which an asset writes, is audited and then published; its context and display."""
