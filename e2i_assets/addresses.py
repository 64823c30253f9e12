"""Addresses: how one is told to a person, without what opens it, and which are of this machine alone."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}
"""Names of this machine that no other has."""


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches an address."""
    return host == "::1" or host == "localhost" or host.startswith("127.")


def without_secrets(url: str) -> str:
    """A URL without passwords, queries and fragments, any of which may hold one; anything else as it is.

    Of a chain (`zip://a.csv::https://…`) each part is a URL.
    """
    return "::".join(map(_public, re.split(r"::(?=\w[\w+.-]*://)", url)))


def _public(url: str) -> str:
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url.partition('://')[0]}://…"  # no address, and what of it may be told is not known
    login, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=login.split(":")[0] + at + host, query="", fragment=""))
