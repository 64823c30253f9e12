"""Opens the place that artifacts or sealed splits are kept in, a folder or any fsspec URL."""

from __future__ import annotations

from typing import Any

import fsspec

from e2i_assets.addresses import without_secrets
from e2i_assets.errors import E2IError


class StoreUnavailable(E2IError, RuntimeError):
    """The place that E2I_ARTIFACTS names cannot be opened."""

    code = "store_unavailable"
    on_data = False


def open_filesystem(url: str) -> tuple[Any, str]:
    """The filesystem of a URL, and the path of the root in it.

    Raises:
        StoreUnavailable: it does not answer, refuses the login, is no URL, or needs a package.
    """
    try:
        filesystem, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise StoreUnavailable(
            f"the artifact store {without_secrets(url)} needs a package that is not installed: {error}.",
            "Install it, or set E2I_ARTIFACTS to another place.",
        ) from error
    except Exception as error:
        # Each kind has errors of its own, whose texts may repeat the URL.
        reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        raise StoreUnavailable(
            f"the artifact store {without_secrets(url)} does not answer: {reason}.",
            "Start it, or correct E2I_ARTIFACTS (unset it for the folder below E2I_HOME).",
        ) from error
    return filesystem, root.rstrip("/")
