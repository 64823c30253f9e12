"""What the stages after registration are handed of a version."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RegisteredModel:
    """A registered version that entered staging.

    Attributes:
        files_hash: of the bundle's files: what is loaded must have it.
        service: that answers with it.
    """

    model_name: str
    version: int
    model_fingerprint: str
    service: str
    bento_tag: str
    files_hash: str
