"""What decides whether a stage is made: its code, its inputs, its configuration and its gates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from e2i_assets.json_files import json_hash
from e2i_assets.stages.code_version import code_version
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.unforeseen import without_data

if TYPE_CHECKING:
    import dagster as dg

    from e2i_assets.resources.store import Published

Lost = Callable[[StageContext, "Published"], str | None]


@dataclass(frozen=True)
class Recipe:
    """A stage but for its making; what the fields are is told by `stage`."""

    module: str
    inputs: Mapping[str, dg.AssetKey] = field(default_factory=dict)
    config: Callable[[StageContext], Any] | None = None
    gates: Collection[str] = ()
    lost: Lost | None = None
    scope: str | None = None

    def context(self, asked: dg.AssetExecutionContext, inputs: Mapping[str, Published]) -> StageContext:
        """The context of the stage with these inputs.

        Raises:
            E2IError: the configuration cannot be made; its text names no value.
        """
        with without_data():
            configuration = self.config(StageContext(asked, inputs)) if self.config else None
        return stage_context_of(asked, self.module, configuration, inputs)


RECIPES: WeakKeyDictionary[Any, Recipe] = WeakKeyDictionary()
"""Of each stage, by `AssetsDefinition.op`."""


def stage_context_of(
    asked: dg.AssetExecutionContext, module: str, configuration: Any, inputs: Mapping[str, Published]
) -> StageContext:
    """The context of a stage whose module, configuration and inputs are known."""
    code = code_version(module)
    versions = {name: published.version for name, published in inputs.items()}
    fingerprint = json_hash({"code": code, "config": configuration, "inputs": versions})
    return StageContext(asked, inputs, configuration, code, fingerprint, module)
