"""Clocks that differ, and clocks that are set back."""

from __future__ import annotations

import datetime as dt

APART = dt.timedelta(hours=1)
"""By how much the clocks of the database and of whoever runs the platform may differ."""


def is_recent(moment: dt.datetime, span: dt.timedelta, now: dt.datetime) -> bool:
    """Whether a moment was less than so long ago.

    One that lies further ahead than clocks differ is of a clock that was set back since: to wait for it
    could be to wait for years.

    Args:
        moment, now: with time zone.
    """
    return now - span < moment <= now + APART
