"""The documentation site's pages that are written from the code: what a file, a command or a gate may say.

`mkdocs.yml` names the hook; pages that people write are in `docs/`.
"""
