"""How a fitted pipeline becomes a Bento bundle that answers named features over HTTP.

What is sent to a running service, and where services run, is not decided here. BentoML is imported only
inside functions; the bundle itself never imports this package.
"""

from e2i_assets.serving.bundle import Bundle, build_bundle
from e2i_assets.serving.errors import BundleConflictError, BundleError
from e2i_assets.serving.release import ReleaseMember, build_release, ensure_release, registered_hashes
from e2i_assets.serving.store import bento_store

__all__ = [
    "Bundle",
    "BundleConflictError",
    "BundleError",
    "ReleaseMember",
    "bento_store",
    "build_bundle",
    "build_release",
    "ensure_release",
    "registered_hashes",
]
