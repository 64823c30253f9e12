"""What the registry refuses."""

from __future__ import annotations

from e2i_assets.errors import E2IError


class RegistryError(E2IError, ValueError):
    """A model, version, stage or person that there is not, or a move that there is not."""

    code = "registry"
    next_step = "`e2i models list` shows every model, its versions and their stages."


class PromotionRefused(RegistryError):
    """A move whose rules do not hold; the message says which, and what was found."""

    code = "promotion_refused"
    exit_code = 1


class LostRace(RegistryError):
    """Somebody else added to the ledger first; the message says who, and what."""

    code = "lost_race"
    next_step = "`e2i models show MODEL VERSION` tells how it is now; ask again if you still want to."
    exit_code = 1
