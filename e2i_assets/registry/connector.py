"""The guide's call: `transition_model_stage` of this installation's registry, awaited or not."""

from __future__ import annotations

import asyncio
from typing import Any


class MLflowConnector:
    """Moves versions of this installation's registry between stages."""

    async def transition_model_stage(
        self, model_name: str, version: int | str, stage: str, *, by: str | None = None
    ) -> Any:
        """`transition_model_stage_sync`, off the event loop."""
        return await asyncio.to_thread(self.transition_model_stage_sync, model_name, version, stage, by=by)

    def transition_model_stage_sync(
        self, model_name: str, version: int | str, stage: str, *, by: str | None = None
    ) -> Any:
        """Move a version to a stage; gives `resources.model_registry.Moved`.

        Args:
            by: who asks; the account of the operating system when left out.

        Raises:
            RegistryError: there is no such model, version, stage or move.
            PromotionRefused: rules do not hold, or the approval is missing.
        """
        from e2i_assets.resources.model_registry import ModelRegistry
        from e2i_assets.resources.tracking import ExperimentTracking
        from e2i_assets.settings import settings
        from e2i_assets.warehouse.warehouse import Warehouse

        here = settings()
        registry = ModelRegistry(here, Warehouse(here), ExperimentTracking(here))
        return registry.transition(model_name, version, stage, by=by)
