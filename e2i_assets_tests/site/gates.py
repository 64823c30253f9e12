"""The page of the gates, from the definitions that Dagster loads."""

from __future__ import annotations

import dagster as dg

from e2i_assets.build import build_defs
from e2i_assets.contracts.markdown import Written, code, plain, table
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.settings import Settings, shipped

HEAD = """# Assets, gates and sensors

What Dagit shows of a partition, read from the definitions. A gate that refuses publishes nothing of its asset; one that
warns only tells. [Troubleshooting](../troubleshooting.md) has each reason, [Gates](../concepts/gates.md) how they work.
"""


def gates_page() -> str:
    """Assets with their gates, of all scopes, of one that predicts and of one of an effect; then what is automatic."""
    defs = build_defs(Settings(config=shipped("config")))
    scopes = load_scopes(shipped("config") / "scopes")
    predicts = next(name for name, scope in scopes.items() if not isinstance(scope, CausalScope))
    effect = next(name for name, scope in scopes.items() if isinstance(scope, CausalScope))
    assets = [asset for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition)]
    shared = [asset for asset in assets if not {s.group_name for s in asset.specs} & scopes.keys()]
    parts = [HEAD]
    for title, group in (
        ("Of a partition", shared),
        ("Of a scope that predicts", _of(assets, predicts)),
        ("Of a scope of an effect", _of(assets, effect)),
    ):
        parts.append(f"## {title}\n\n{_assets(group)}\n\n{_gates(group)}\n")
    parts.append(
        f"## Sensors and schedules\n\nSchedules are off until you turn them on.\n\n{_automatic(defs)}\n"
    )
    return "\n".join(parts)


def _of(assets: list[dg.AssetsDefinition], scope: str) -> list[dg.AssetsDefinition]:
    return [asset for asset in assets if {spec.group_name for spec in asset.specs} == {scope}]


def _assets(assets: list[dg.AssetsDefinition]) -> str:
    rows = [
        (code(_name(spec.key)), plain(spec.description or "")) for asset in assets for spec in asset.specs
    ]
    return table(("asset", "what it holds"), [(name, Written(text)) for name, text in rows])


def _gates(assets: list[dg.AssetsDefinition]) -> str:
    rows = [
        (
            code(spec.name),
            code(_name(spec.asset_key)),
            spec.description or "",
            "yes" if spec.blocking else "warns",
        )
        for asset in assets
        for spec in sorted(asset.check_specs, key=lambda spec: spec.name)
    ]
    return table(("gate", "of", "what must hold", "blocks"), rows)


def _name(key: dg.AssetKey) -> str:
    """Of an asset; `<scope>` stands for the name of any scope."""
    *folder, name = key.path
    return name if not folder else f"{folder[0] if folder[0] == 'raw' else '<scope>'}/{name}"


def _automatic(defs: dg.Definitions) -> str:
    rows = [
        (code(one.name), one.description or "") for one in (*(defs.sensors or ()), *(defs.schedules or ()))
    ]
    return table(("sensor or schedule", "what it does"), rows)
