"""What a stage keeps of a bundle, whose files are in BentoML's store."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BundleRef:
    """A Bento bundle by its tag; the bundle itself is in BentoML's store."""

    tag: str
    service_name: str
    model_fingerprint: str
