"""What `e2i deploy` does and shows."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from e2i_assets.api.documents import deployments
from e2i_assets.automation.jobs import ASKED_FOR, DEPLOY
from e2i_assets.cli.output import print_json, say, show_table
from e2i_assets.cli.session import open_session
from e2i_assets.deployment.releases import SERVICES, DeploymentError
from e2i_assets.deployment.rollback import roll_back
from e2i_assets.deployment.status import ServiceStatus, statuses
from e2i_assets.deployment.wishes import await_release, deploy, require_reconciler
from e2i_assets.json_files import to_json
from e2i_assets.registry.registered import RegisteredModel
from e2i_assets.resources.model_registry import ModelRegistry
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.deployments import Release, incidents_of
from e2i_assets.warehouse.queries.deployments import history as releases_of

if TYPE_CHECKING:
    from e2i_assets.cli.runner import PartitionRun

INCIDENTS = 5


def run_deploy(models: Sequence[str] | None, *, as_json: bool) -> int:
    """Ask for the registry's versions, and wait until they answer.

    Raises:
        DeploymentError: no reconciler runs, or a release does not come to answer.
    """
    here, warehouse = open_session()
    require_reconciler(warehouse)
    asked = deploy(warehouse, models, by=getpass.getuser())
    answering = [await_release(warehouse, one) for one in asked.values()]
    if not as_json:
        _tell(answering, as_json=False)
    for gone in sorted(set(models or ()) - {m["model_name"] for one in answering for m in one.members}):
        say(f"{gone} answers no more: the registry has no version of it to serve", as_json=as_json)
    named = [m for one in answering for m in one.members if not models or m["model_name"] in models]
    published, other = _published(here, [one for one in named if one["role"] == "active"])
    for one in other:
        say(f"{one['model_name']} {one['version']} is not the version that {one['scope']}/registered_model "
            f"published for {one['partition']}: it is not validated again", as_json=as_json)  # fmt: skip
    runs = _validate(here, published)
    if as_json:
        print_json({"releases": [to_json(one) for one in answering], "runs": [to_json(run) for run in runs]})
    for run in runs if not as_json else ():
        say(f"{run.partition}: {'as on test, on holdout' if run.success else 'refused'}")
        for gate, reason in run.failed_gates.items():
            say(f"  {gate}: {reason}")
        if run.error:
            say(f"  {run.error}")
    return 0 if all(run.success for run in runs) else 1


def _published(
    here: Settings, members: Sequence[Mapping[str, Any]]
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Members whose version the assets have, and the others: an earlier one answers in production."""
    store = open_store(here)
    groups: tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]] = ([], [])
    for one in members:
        asset = f"{one['scope']}/registered_model"
        current = store.current(asset, one["partition"])
        version = current and store.read(asset, one["partition"], current.version, RegisteredModel).version
        groups[version != one["version"]].append(one)
    return groups


def _validate(here: Settings, members: Sequence[Mapping[str, Any]]) -> list[PartitionRun]:
    """Record the deployments, and hold each model against the holdout split: the job that Dagit shows."""
    from e2i_assets.build import build_defs
    from e2i_assets.cli.instance import dagster_instance
    from e2i_assets.cli.runner import run_partitions

    scopes: dict[str, list[str]] = {}
    for member in members:
        scopes.setdefault(member["partition"], []).append(member["scope"])
    defs, runs = build_defs(), []
    with dagster_instance() as instance:
        for partition, names in scopes.items():
            select = " or ".join(f'key:"{name}/{stage}"' for name in names for stage in ASKED_FOR)
            runs += run_partitions(defs, instance, here, [partition], select=select, show=False, job=DEPLOY)
    return runs


def run_rollback(model: str, version: str | None, *, reason: str | None, as_json: bool) -> int:
    """Ask for an earlier version, and wait until it answers.

    Raises:
        DeploymentError: no reconciler runs, or there is nothing to go back to.
        RegistryError: the registry does not let the version answer.
    """
    here, warehouse = open_session()
    require_reconciler(warehouse)
    back = roll_back(warehouse, here, model, version, by=getpass.getuser(), reason=reason)
    code = _tell([await_release(warehouse, back.release)], as_json=as_json)
    registry = ModelRegistry(here, warehouse, ExperimentTracking(here))
    for name in back.models:
        if not_told := registry.tell_mlflow(name):
            say(not_told, as_json=as_json)
    return code


def _tell(answering: Sequence[Release], *, as_json: bool) -> int:
    if as_json:
        print_json({"releases": [to_json(one) for one in answering]})
        return 0
    for one in answering:
        say(f"{one.service_name} answers with release {one.release}: {_named(one)}")
    return 0


def _named(release: Release) -> str:
    return ", ".join(f"{one['model_name']} {one['version']}" for one in release.members)


def show_status(*, as_json: bool) -> None:
    """What answers, what is warm, and the newest incidents."""
    here, warehouse = open_session()
    if as_json:
        print_json(deployments(here, warehouse))
        return
    services, incidents = statuses(here, warehouse), incidents_of(warehouse, INCIDENTS)
    show_table(
        "Deployments",
        ["model", "version", "stage", "service", "address", "release", "state"],
        [row for service in services for row in _rows(service)],
    )
    if not any(service.reconciled for service in services):
        say("No reconciler runs: nothing is started, switched or watched. `e2i up` or `e2i serve` starts it.")
    for one in incidents:
        say(f"{one.occurred_at:%Y-%m-%d %H:%M} {one.service_name}: {one.reason}; {one.action}")


def _rows(service: ServiceStatus) -> list[tuple[object, ...]]:
    shown = [(service.active, "answers" if service.reconciled else "was answering")]
    shown += [(service.wanted, "wanted"), (service.previous, "before it")]
    return [
        (
            one["model_name"], one["version"], one["stage"], service.service_name, service.url,
            release.release, state if one["role"] == "active" else "shadow",
        )
        for release, state in shown
        if release
        for one in release.members
    ]  # fmt: skip


def show_history(service: str | None, *, as_json: bool) -> None:
    """Every release, the newest first.

    Raises:
        DeploymentError: there is no such service.
    """
    if service is not None and service not in SERVICES:
        raise DeploymentError(f"there is no service {service!r}", f"There are {', '.join(SERVICES)}.")
    _, warehouse = open_session()
    releases = releases_of(warehouse, service)
    if as_json:
        print_json({"releases": [to_json(one) for one in releases]})
        return
    show_table(
        "Releases",
        ["service", "release", "status", "cause", "by", "asked", "answered", "models", "reason"],
        [
            (
                one.service_name, one.release, one.status, one.cause, one.asked_by,
                f"{one.created_at:%Y-%m-%d %H:%M:%S}",
                f"{one.answered_at:%Y-%m-%d %H:%M:%S}" if one.answered_at else None, _named(one), one.reason,
            )
            for one in releases
        ],
    )  # fmt: skip
