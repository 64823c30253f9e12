"""What can go wrong while a bundle is made; each message names the rule and the next step, never a value."""

from e2i_assets.errors import E2IError


class BundleError(E2IError, ValueError):
    """The bundle cannot be built from what was given; nothing was written to the store."""

    code = "bundle"
    next_step = "Mend what the message names, and materialize the bundle again."


class BundleConflictError(BundleError):
    """The store holds the same name and version with other content; bundles are never replaced."""

    code = "bundle_conflict"
    next_step = "Give the bundle a new version."
