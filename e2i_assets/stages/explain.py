"""What a run would do, stage by stage, without running anything."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal, cast

import dagster as dg

from e2i_assets.errors import E2IError
from e2i_assets.partitions import serves
from e2i_assets.resources.io_manager import asset_name
from e2i_assets.resources.store import Published
from e2i_assets.stages.reasons import FORCED, NEVER_MADE, Reason, code_change, faults, reasons
from e2i_assets.stages.recipe import RECIPES, Recipe, stage_context_of

Verdict = Literal["runs", "reused", "open", "not served", "cannot run"]
STANDS: tuple[Verdict, ...] = ("reused", "not served")


@dataclass(frozen=True)
class Outlook:
    """What a run would do with a stage.

    Attributes:
        verdict: `open` where an input would be made anew: whether it comes out another one is not known
            before it is made.
        reasons: why it runs, might run or cannot.
    """

    asset: str
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()


def explain(
    assets: Sequence[dg.AssetsDefinition],
    resources: Mapping[str, Any],
    partition: str,
    keys: Sequence[dg.AssetKey],
    *,
    force: bool = False,
) -> list[Outlook]:
    """What a run of some assets of a partition would do, in their order.

    Args:
        assets: the definitions of at least these assets.
        resources: those of the code location.
        keys: what would be selected, each after those that it reads.
    """
    definitions = {key: asset for asset in assets for key in asset.keys}
    asked = SimpleNamespace(
        log=logging.getLogger(__name__),
        partition_key=partition,
        run_id="",
        resources=SimpleNamespace(**{**resources, "turn": None, "trace": None}),
    )
    outlooks: dict[dg.AssetKey, Outlook] = {}
    for key in keys:
        name, recipe = asset_name(key), RECIPES[definitions[key].op]
        try:
            outlooks[key] = _outlook(cast(Any, asked), name, recipe, outlooks, force)
        except (E2IError, dg.Failure) as error:
            # The run would end here with the same words.
            text = error.summary if isinstance(error, E2IError) else str(error.description)
            outlooks[key] = _stuck(name, text)
    return list(outlooks.values())


def _outlook(
    asked: dg.AssetExecutionContext,
    name: str,
    recipe: Recipe,
    before: Mapping[dg.AssetKey, Outlook],
    force: bool,
) -> Outlook:
    settings, store, partition = asked.resources.settings, asked.resources.store, asked.partition_key
    if recipe.scope and not serves(settings.config_dir, recipe.scope, partition):
        return Outlook(name, "not served")
    anew = [key for key in recipe.inputs.values() if key in before and before[key].verdict not in STANDS]
    if stuck := [asset_name(key) for key in anew if before[key].verdict == "cannot run"]:
        return _stuck(name, f"{', '.join(stuck)} cannot run")
    current = {p: store.current(asset_name(k), partition) for p, k in recipe.inputs.items() if k not in anew}
    if absent := [asset_name(recipe.inputs[p]) for p, published in current.items() if published is None]:
        return _stuck(name, f"{', '.join(absent)} has no published version, and is not selected")
    published = None if force else store.current(name, partition)
    if published is None:
        return Outlook(name, "runs", (FORCED if force else NEVER_MADE,))
    if anew:
        return _open(asked, published, recipe, [asset_name(key) for key in anew])
    why = tuple(reasons(recipe.context(asked, current), published, recipe.gates, recipe.lost))
    return Outlook(name, "runs" if why else "reused", why)


def _open(
    asked: dg.AssetExecutionContext, published: Published, recipe: Recipe, anew: Sequence[str]
) -> Outlook:
    """Of a stage whose inputs are not known yet: some is made again whatever they become."""
    context = stage_context_of(asked, recipe.module, None, {})
    certain = [code_change(context, published), *faults(context, published, recipe.gates)]
    if why := tuple(reason for reason in certain if reason):
        return Outlook(published.asset, "runs", why)
    text = f"{', '.join(anew)} would be made first; if that comes out the same, this may stand"
    return Outlook(published.asset, "open", (Reason("input_made_anew", text),))


def _stuck(name: str, text: str) -> Outlook:
    return Outlook(name, "cannot run", (Reason("cannot_run", text),))
