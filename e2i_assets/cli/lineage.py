"""`e2i lineage`: the way of a registered version as a tree that a narrow terminal shows as well."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from e2i_assets.addresses import without_secrets
from e2i_assets.cli.output import fail, print_json, say
from e2i_assets.cli.session import open_session
from e2i_assets.json_files import to_json
from e2i_assets.lineage.told import works_of
from e2i_assets.lineage.trace import Lineage, Step, Tracer
from e2i_assets.registry.ledger import Model, Version, version_number
from e2i_assets.resources.model_registry import ModelRegistry
from e2i_assets.resources.openlineage import Emitter, OpenLineageUnavailable, Work
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.resources.vault import SplitVault
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.deployments import Release
from e2i_assets.warehouse.queries.loads import LoadBatch
from e2i_assets.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from rich.tree import Tree


def lineage_of(here: Settings, warehouse: Warehouse, name: str, number: str) -> Lineage:
    """The way of a registered version.

    Raises:
        RegistryError: there is no such version.
    """
    model, version = registered(here, warehouse, name, number)
    tracer = Tracer(here, warehouse, open_store(here), SplitVault(here, warehouse))
    return tracer.trace(model, version)


def registered(here: Settings, warehouse: Warehouse, name: str, number: str) -> tuple[Model, Version]:
    """A model and one of its versions.

    Raises:
        RegistryError: there is no such version.
    """
    model = ModelRegistry(here, warehouse, ExperimentTracking(here)).model(name)
    return model, model.version(version_number(number))


def run_lineage(name: str, number: str, openlineage: str | None, *, as_json: bool) -> int:
    """Print the way of a version; also told as OpenLineage events where an address is given."""
    here, warehouse = open_session()
    lineage = lineage_of(here, warehouse, name, number)
    if as_json:
        print_json(to_json(lineage))
    else:
        from rich.console import Console

        Console(highlight=False).print(tree_of(lineage))
    return 0 if openlineage is None else emit(openlineage, works_of(lineage))


def emit(address: str, works: Iterable[Work]) -> int:
    """Send events and say how many, beside what is already printed; returns the exit code."""
    try:
        count = Emitter(address).emit(works)
    except (OpenLineageUnavailable, OSError) as error:
        return fail(error)
    say(f"{count} OpenLineage events: {without_secrets(address)}", as_json=True)
    return 0


def tree_of(lineage: Lineage) -> Tree:
    """The way as a tree: loads, stages, registry and releases in the order in which they came."""
    from rich.markup import escape
    from rich.tree import Tree

    def grow(branch: Tree, lines: Iterable[str]) -> None:
        for line in lines:
            branch.add(escape(line))

    version = lineage.version
    tree = Tree(escape(f"{version.title}, in {lineage.stage}"))
    grow(tree.add("loads"), map(_load, lineage.loads))
    for asset, steps in _grouped(lineage.steps).items():
        of_asset = tree.add(escape(asset))
        for step in steps:
            title = f"{step.asset} {step.version}" if len(steps) > 1 else step.version
            branch = of_asset.add(escape(title)) if len(steps) > 1 else of_asset
            grow(branch, _facts(step) if len(steps) > 1 else (f"version {title}", *_facts(step)))
    grow(
        tree.add("registered version"),
        (
            f"bundle {version.bento_tag}, files {version.files_hash}",
            f"model {version.model_fingerprint[:16]} ({version.algorithm})",
            f"MLflow version {version.mlflow_version}, run {version.mlflow_run_id}",
            f"registered {_minute(version.created_at)} by run {_run(version.run_id)}",
        ),
    )
    grow(
        tree.add("stages"),
        (
            f"{_minute(e.at)}: {'asked for ' if e.event == 'requested' else ''}{e.to_stage}, by {e.actor}"
            + (f", approved by {e.approved_by}" if e.approved_by else "")
            for e in lineage.entries
        ),
    )
    grow(tree.add("releases"), map(_release, lineage.releases) if lineage.releases else ("none",))
    if lineage.lost:
        grow(tree.add("not found"), lineage.lost)
    return tree


def _grouped(steps: Iterable[Step]) -> dict[str, list[Step]]:
    """Raw tables together, every other asset by itself."""
    groups: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        groups["raw tables" if step.asset.startswith("raw/") else step.asset].append(step)
    return groups


def _load(load: LoadBatch) -> str:
    at = _minute(load.committed_at or load.started_at)
    files = ", ".join(sorted(set(load.files.values()) - {load.source}))
    rows, rejected = sum(load.rows.values()), sum(load.rejected.values())
    return (
        f"load {load.load_id}: {load.source}{f' ({files})' if files else ''}, {at}, "
        f"by {load.loaded_by or 'whom is not on record'}; {rows:,} rows in {len(load.rows)} tables"
        + (f", {rejected:,} rejected" if rejected else "")
    )


def _facts(step: Step) -> Iterator[str]:
    if step.made_at is not None:
        yield f"made {_minute(step.made_at)}, run {_run(step.run_id)}, code {step.code}"
    if passed := [gate.gate for gate in step.gates if gate.passed]:
        yield f"gates passed: {', '.join(passed)}"
    for gate in step.gates:
        if not gate.passed:
            yield f"gate refused: {gate.gate} ({gate.reason})"
    for lost in step.lost:
        yield f"not found: {lost}"


def _release(release: Release) -> str:
    answered = f"answered from {_minute(release.answered_at)}" if release.answered_at else "never answered"
    ended = f" to {_minute(release.ended_at)}" if release.ended_at else ""
    return (
        f"{release.service_name} {release.release}: {release.status}, asked for by {release.asked_by} "
        f"({release.cause}), {answered}{ended}"
    )


def _run(run_id: str | None) -> str:
    """As Dagit writes it."""
    return (run_id or "not on record").partition("-")[0]


def _minute(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
