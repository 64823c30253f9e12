"""How the address of a database, a store or a server is told to a person: without what opens it."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


def without_secrets(url: str) -> str:
    """A URL without passwords, queries and fragments, any of which may hold one; anything else as it is.

    Of a chain (`zip://a.csv::https://…`) each part is a URL.
    """
    return "::".join(map(_public, url.split("::")))


def _public(url: str) -> str:
    if "://" not in url:
        return url
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=login.split(":")[0] + at + host, query="", fragment=""))
