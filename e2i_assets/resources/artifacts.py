"""What an artifact is: something that becomes the files of a folder, and comes back from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

from e2i_assets.json_files import from_json, read_json, to_json, write_json


@runtime_checkable
class Folder(Protocol):
    """An artifact that keeps itself as a folder of files."""

    def save(self, folder: Path) -> None:
        """Write every file; the same value must give the same bytes."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""


Artifact = Any
"""A `Folder`, or a dataclass of plain types, which is kept as record.json (and as report.html where it has
`to_html`)."""
A = TypeVar("A")


@runtime_checkable
class Identified(Protocol):
    """An artifact whose files may differ although it is the same: it names its content itself."""

    def identity(self) -> str:
        """Hex digits, the same for the same content before it is saved and after it is loaded."""


def sealed_files(kind: type[Any]) -> tuple[str, ...]:
    """Files of an artifact class that are stored encrypted."""
    return getattr(kind, "SEALED", ())


def save_artifact(artifact: Artifact, folder: Path) -> None:
    """Write every file of an artifact."""
    if isinstance(artifact, Folder):
        artifact.save(folder)
        return
    write_json(folder, "record.json", to_json(artifact))
    if hasattr(artifact, "to_html"):
        (folder / "report.html").write_text(artifact.to_html())


def load_artifact(kind: type[A], folder: Path) -> A:
    """Read what `save_artifact` wrote.

    Raises:
        pydantic.ValidationError: it was written in another form than this release's.
    """
    if issubclass(kind, Folder):
        return kind.load(folder)
    return from_json(kind, read_json(folder, "record.json"))
