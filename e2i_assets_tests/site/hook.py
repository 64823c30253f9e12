"""MkDocs' hook: adds the pages of `reference/` that are written from the code. They are never in the folder."""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from e2i_assets_tests.site.pages import generated


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add each generated page at its place."""
    for path, content in generated().items():
        files.append(File.generated(config, path, content=content))
    return files
