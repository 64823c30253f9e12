"""What can go wrong while a bundle is made; each message names the rule and the next step, never a value."""


class BundleError(ValueError):
    """The bundle cannot be built from what was given; nothing was written to the store."""


class BundleConflictError(BundleError):
    """The store holds the same name and version with other content; bundles are never replaced."""
