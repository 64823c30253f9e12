"""What is kept of a table or a version as a document of plain JSON types."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import ValidationError

from e2i_assets.json_files import from_json, to_json
from e2i_assets.monitoring.errors import DriftError


class Document:
    """A dataclass that is kept as JSON; `called` is what messages call it."""

    called: ClassVar[str]

    def document(self) -> dict[str, Any]:
        """As plain JSON types."""
        return dict(to_json(self))

    @classmethod
    def from_document(cls, document: Any) -> Self:
        """Inverse of `document`.

        Raises:
            DriftError: it is no such document.
        """
        try:
            return from_json(cls, document)
        except ValidationError as error:
            raise DriftError("bad_profile", f"this is no {cls.called} of this release") from error
