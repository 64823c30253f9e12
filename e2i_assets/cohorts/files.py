"""Reading a definition file strictly: a key written twice is a mistake, not the later of the two."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from e2i_assets.cohorts.errors import CohortError


class _StrictLoader(yaml.CSafeLoader):
    """YAML's own rule (keys are unique), which PyYAML leaves to its users; libyaml reads ten times faster."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key_node.value!r} appears twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def read_mapping(path: Path) -> dict[str, Any]:
    """The YAML mapping in a file.

    Raises:
        CohortError: CC_001 when the file cannot be read, is not YAML, or holds something else.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise CohortError("CC_001", f"{path}: cannot be read ({type(error).__name__})") from None
    except yaml.YAMLError as error:
        raise CohortError("CC_001", f"{path}: not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise CohortError("CC_001", f"{path}: expected a mapping, found {type(content).__name__}")
    return content
