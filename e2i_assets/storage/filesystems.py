"""Opens the place that artifacts or sealed splits are kept in, a folder or any fsspec URL.

Away from this machine its errors are ours: they name the object, and repeat nothing that a library says,
which may quote an address with a login.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

import fsspec

from e2i_assets.addresses import without_secrets
from e2i_assets.errors import E2IError

LISTINGS_ARE_REMEMBERED = {"s3", "s3a", "gs", "gcs", "az", "abfs"}
"""Schemes whose filesystems answer from what they listed before, whatever other machines wrote since."""
NO_LOGIN = {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "RefreshError"}
"""Errors of botocore and google-auth, which are no `PermissionError`."""


WRITES = {"put", "pipe_file"}
"""What finds nothing missing but the bucket."""


class StoreUnavailable(E2IError, RuntimeError):
    """The place that E2I_ARTIFACTS names cannot be opened, or does not answer."""

    code = "store_unavailable"
    on_data = False


def open_filesystem(url: str) -> tuple[Any, str]:
    """The filesystem of a URL, and the path of the root in it.

    Raises:
        StoreUnavailable: it does not answer, refuses the login, is no URL, or needs a package.
    """
    remembers = url.partition("://")[0] in LISTINGS_ARE_REMEMBERED
    try:
        filesystem, root = fsspec.core.url_to_fs(url, **({"use_listings_cache": False} if remembers else {}))
    except ImportError as error:
        raise StoreUnavailable(
            f"the artifact store {without_secrets(url)} needs a package that is not installed: {error}.",
            "Install it (e2i-assets[s3], e2i-assets[gcs]), or set E2I_ARTIFACTS to another place.",
        ) from error
    except Exception as error:
        # Each kind has errors of its own, whose texts may repeat the URL.
        reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        raise StoreUnavailable(
            f"the artifact store {without_secrets(url)} does not answer: {reason}.",
            "Start it, or correct E2I_ARTIFACTS (unset it for the folder below E2I_HOME).",
        ) from error
    local = "file" in filesystem.protocol
    return filesystem if local else _Elsewhere(filesystem), root.rstrip("/")


def rehearse(url: str) -> None:
    """Write, list, read and remove an object, and leave nothing behind.

    Raises:
        StoreUnavailable: one of that is not possible, or gives something else than was written.
    """
    filesystem, root = open_filesystem(url)
    probe = f"{root}/rehearsal.{uuid.uuid4().hex}"
    filesystem.pipe_file(probe, b"first")
    try:
        listed, content = filesystem.find(root, maxdepth=1), filesystem.cat_file(probe)
    finally:
        filesystem.rm_file(probe)
    if probe not in listed or content != b"first":
        raise StoreUnavailable(
            f"{without_secrets(url)}: what was just written is not listed, or not what was written.",
            "Use an object storage that answers with what was written last.",
            code="store_inconsistent",
        )


class _Elsewhere:
    """A filesystem away from this machine, whose errors are ours; but for what is there already or not there,
    which is for the caller to judge.
    """

    def __init__(self, filesystem: Any) -> None:
        self._filesystem = filesystem

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._filesystem, name)
        return self._naming(name, attribute) if callable(attribute) else attribute

    def _naming(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def named(*arguments: Any, **options: Any) -> Any:
            try:
                return method(*arguments, **options)
            except Exception as error:
                if (ours := self._ours(error, name, arguments)) is None:
                    raise
                raise ours from None

        return named

    def _ours(self, error: Exception, name: str, arguments: tuple[Any, ...]) -> StoreUnavailable | None:
        # Botocore's name for what it was answered.
        reason = type(error.__cause__ or error).__name__
        said = getattr(error.__cause__, "response", {}).get("Error", {}).get("Code", reason)
        path = arguments[1 if name == "put" else 0]
        first = path if isinstance(path, str) else path[0]
        where = without_secrets(str(self._filesystem.unstrip_protocol(first)))
        if reason == "NoSuchBucket" or (isinstance(error, FileNotFoundError) and name in WRITES):
            return StoreUnavailable(
                f"{where}: there is no such bucket.",
                "Make it, or correct E2I_ARTIFACTS. Nothing was changed.",
                code="store_missing",
            )
        if isinstance(error, PermissionError) or reason in NO_LOGIN:
            return StoreUnavailable(
                f"{where}: the object storage refuses it ({said}).",
                "Give this process a login that may read, list, write and delete below E2I_ARTIFACTS; "
                "then run the same again: what was published before stays.",
                code="store_refused",
            )
        if isinstance(error, FileExistsError | FileNotFoundError | IsADirectoryError | NotADirectoryError):
            return None
        return StoreUnavailable(
            f"{where}: the object storage does not answer ({said}).",
            "See that it runs and can be reached, then run the same again: what was published before stays.",
        )
