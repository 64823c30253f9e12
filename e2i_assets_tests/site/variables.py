"""The page of the environment's variables, from `Settings`."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from e2i_assets.contracts.markdown import Written, code, table
from e2i_assets.settings import Settings
from e2i_assets_tests.site.docstrings import attributes_of
from e2i_assets_tests.site.schema import words

HEAD = """# Configuration variables

What one installation is told by its environment. Each is read once per process; one that cannot be used is an
error that names it, never its value.
"""


def variables_page() -> str:
    """Every variable with its default, what it may be, and what it decides."""
    properties = Settings.model_json_schema()["properties"]
    meaning = attributes_of(Settings)
    rows = [
        (
            code(f"E2I_{name.upper()}"),
            _default(name),
            Written(words(schema, {}).removesuffix(" or null")),
            Written(meaning[name].replace("|", "\\|")),
        )
        for name, schema in properties.items()
    ]
    return f"{HEAD}\n{table(('variable', 'default', 'may be', 'what it decides'), rows)}\n"


def _default(name: str) -> str:
    value: Any = Settings.model_fields[name].default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return "none" if value in (None, "") else code(str(value))
