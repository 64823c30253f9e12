"""What `e2i models` shows of the registry, and does in it."""

from __future__ import annotations

import datetime as dt

from e2i_assets.cli.output import print_json, say, show_table
from e2i_assets.cli.session import open_session
from e2i_assets.json_files import to_json
from e2i_assets.registry.ledger import Model
from e2i_assets.resources.model_registry import ModelRegistry, Moved
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.warehouse.queries.registry import models


def _registry() -> ModelRegistry:
    here, warehouse = open_session()
    return ModelRegistry(here, warehouse, ExperimentTracking(here))


def _models(name: str | None) -> list[Model]:
    if name is not None:
        return [_registry().model(name)]
    _, warehouse = open_session()
    return models(warehouse)


def show_models(*, as_json: bool) -> None:
    """Every version with its stage."""
    rows = [(version, of.stages()[version.version]) for of in _models(None) for version in of.versions]
    if as_json:
        print_json({"versions": [{**to_json(version), "stage": stage} for version, stage in rows]})
        return
    show_table(
        "Registered versions",
        ["model", "version", "stage", "algorithm", "registered"],
        [
            (v.model_name, v.version, stage, v.algorithm, f"{v.created_at:%Y-%m-%d %H:%M}")
            for v, stage in rows
        ],
    )


def promote(model: str, version: str, stage: str, *, by: str | None, as_json: bool) -> None:
    """Move a version."""
    _tell(_registry().transition(model, version, stage, by=by), as_json=as_json)


def approve(model: str, version: str, *, by: str, as_json: bool) -> None:
    """Approve a version for production."""
    _tell(_registry().approve(model, version, by=by), as_json=as_json)


def _tell(moved: Moved, *, as_json: bool) -> None:
    if as_json:
        print_json(to_json(moved))
        return
    say(f"{moved.version.title} is in {moved.entry.to_stage}")
    if moved.replaced:
        say(f"{moved.replaced.title} left production")
    if moved.not_told:
        say(moved.not_told)


def show_history(name: str | None, on: dt.date | None, *, as_json: bool) -> None:
    """The ledger, or what was in production at the end of a day."""
    if on is not None:
        _show_production(_models(name), on, as_json=as_json)
        return
    entries = [entry for of in _models(name) for entry in of.entries]
    if as_json:
        print_json({"entries": [to_json(entry) for entry in entries]})
        return
    show_table(
        "Ledger of stages",
        ["model", "version", "at", "event", "from", "to", "by", "approved by", "note"],
        [
            (
                e.model_name, e.version, f"{e.at:%Y-%m-%d %H:%M}", e.event, e.from_stage, e.to_stage, e.actor,
                e.approved_by, e.note,
            )
            for e in entries
        ],
    )  # fmt: skip


def _show_production(known: list[Model], on: dt.date, *, as_json: bool) -> None:
    end = dt.datetime.combine(on, dt.time.max, dt.UTC)
    champions = [found for of in known if (found := of.champion(end))]
    if as_json:
        print_json({"on": str(on), "production": [to_json(version) for version in champions]})
        return
    if not champions:
        say(f"nothing was in production on {on}")
        return
    show_table(
        f"In production at the end of {on}",
        ["model", "version", "bundle", "trained on"],
        [
            (v.model_name, v.version, v.bento_tag, ", ".join(f"{k} {v.trained_on[k]}" for k in v.trained_on))
            for v in champions
        ],
    )
