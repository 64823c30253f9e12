"""Deployment: the registered version answers, after the reconciler has brought its release up."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import dagster as dg

from e2i_assets.assets.scoped import stage_key
from e2i_assets.deployment.releases import (
    DeploymentError,
    answering_in,
    is_as_registered,
    members_from,
)
from e2i_assets.deployment.wishes import answering, await_release, deploy, registered, require_reconciler
from e2i_assets.gates.deployment import RELEASE_ANSWERS, Answering
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.registry.registered import RegisteredModel
from e2i_assets.resources.store import Published
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage


@dataclass(frozen=True)
class Deployed:
    """A registered version that answers.

    Attributes:
        release: of the service, that has it.
    """

    model_name: str
    version: int
    model_fingerprint: str
    service: str
    release: str


def build_deployment(scope: Scope) -> dg.AssetsDefinition:
    """The asset `<scope>/deployment`."""

    @stage(
        key=stage_key(scope, "deployment"),
        group=scope.name,
        scope=scope.name,
        description="The registered version answers at its service's address.",
        kinds={"bentoml"},
        gates=(RELEASE_ANSWERS,),
        inputs={"registered": stage_key(scope, "registered_model")},
        lost=_lost,
    )
    def deployment(context: StageContext, registered: RegisteredModel) -> StageResult:
        _require_served(context, registered)
        require_reconciler(context.warehouse)
        asked = deploy(context.warehouse, [registered.model_name], by="dagster", run_id=context.run_id)
        release = await_release(context.warehouse, asked[registered.service]).release
        url = context.settings.service_url(registered.service)
        deployed = Deployed(
            registered.model_name,
            registered.version,
            registered.model_fingerprint,
            registered.service,
            release,
        )
        return StageResult(
            deployed,
            gate_input=answered_by(health_of(url), deployed),
            metadata={
                "model_name": deployed.model_name,
                "model_version": deployed.version,
                "release": f"{deployed.service}:{release}",
                "address": dg.MetadataValue.url(f"{url}/{deployed.model_name}/predict"),
                "health": dg.MetadataValue.url(f"{url}/health"),
            },
        )

    return deployment


def _require_served(context: StageContext, version: RegisteredModel) -> None:
    """Refuse a version that is not to answer: another one is in production, or this one was rolled back.

    Raises:
        DeploymentError: that is so.
    """
    served = answering_in(registered(context.warehouse)[version.service]).get(version.model_name)
    if served is None or served.version != version.version:
        raise DeploymentError(
            f"version {version.version} of {version.model_name} is not the one that is to answer"
            + (f": version {served.version} is, in {served.stage}" if served else ""),
            f"`e2i models history {version.model_name}` shows why; promote this one to have it answer.",
            code="not_served",
        )


def health_of(url: str) -> dict[str, Any]:
    """What an address says of itself; nothing where it does not answer."""
    import httpx

    with suppress(httpx.TransportError, ValueError):
        return dict(httpx.get(f"{url}/health", timeout=20, trust_env=False).json())
    return {}


def answered_by(health: Mapping[str, Any], deployed: Deployed) -> Answering:
    """What a service's health says of a deployment."""
    version = health.get("models", {}).get(deployed.model_name, {}).get("version")
    release = str(health.get("release", "")).partition(":")[2] or None
    answered = None if version is None else int(version)
    return Answering(deployed.model_name, deployed.version, answered, deployed.release, release)


def _lost(context: StageContext, current: Published) -> str | None:
    """Whether the published deployment answers no more, or not in the stages that the registry has now."""
    deployed = context.open(current, Deployed)
    deployed_now = answering(context.warehouse, deployed.model_name)
    if deployed_now is None or deployed_now[1].version != deployed.version:
        return f"version {deployed.version} of {deployed.model_name} does not answer any more"
    wanted = registered(context.warehouse)[deployed.service]
    if not is_as_registered(wanted, members_from(deployed_now[0].members), deployed.model_name):
        return f"stages of {deployed.model_name} have changed since its release was built"
    return None
