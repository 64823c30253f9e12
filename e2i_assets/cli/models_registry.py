"""What `e2i models` shows of the registry, and does in it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from e2i_assets.cli.models_data import Figure, figures_of
from e2i_assets.cli.output import print_json, say, show_table
from e2i_assets.cli.session import open_session
from e2i_assets.json_files import to_json
from e2i_assets.registry.errors import RegistryError
from e2i_assets.registry.ledger import Model, Version, version_number
from e2i_assets.registry.rollback import SERVED
from e2i_assets.registry.stages import ARCHIVED, MOVES
from e2i_assets.resources.model_registry import ModelRegistry, Moved
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.registry import models
from e2i_assets.warehouse.queries.validations import ValidatedElsewhere, external_validations_of


def _open() -> tuple[Settings, ModelRegistry]:
    here, warehouse = open_session()
    return here, ModelRegistry(here, warehouse, ExperimentTracking(here))


def _models(name: str | None) -> list[Model]:
    if name is not None:
        return [_open()[1].model(name)]
    _, warehouse = open_session()
    return models(warehouse)


def show_models(*, as_json: bool) -> None:
    """Every version with its stage."""
    rows = [(version, of.stages()[version.version]) for of in _models(None) for version in of.versions]
    if as_json:
        print_json({"versions": [{**to_json(version), "stage": stage} for version, stage in rows]})
        return
    if not rows:
        say("nothing is registered: `e2i materialize` registers what passes every gate")
        return
    show_table(
        "Registered versions",
        ["model", "version", "stage", "algorithm", "registered"],
        [(v.model_name, v.version, stage, v.algorithm, _minute(v.created_at)) for v, stage in rows],
    )


def show_version(name: str, number: str, *, as_json: bool) -> None:
    """One version with its figures, and what the stage after its own asks for."""
    here, registry = _open()
    model = registry.model(name)
    version = model.version(version_number(number))
    figures, request = figures_of(here, version), model.open_request(version.version)
    stage = model.stages()[version.version]
    onward = next((next_stage for next_stage in MOVES[stage] if next_stage != ARCHIVED), None)
    required = registry.required(version, onward) if onward else ()
    _, warehouse = open_session()
    elsewhere = external_validations_of(warehouse, name, version.version)
    if as_json:
        asked = {"stage": onward, "requirements": [to_json(one) for one in required]} if onward else None
        print_json(
            {
                **_document(version, stage, figures),
                "external_validations": [to_json(one) for one in elsewhere],
                "request": request and to_json(request),
                "next": asked,
            }
        )
        return
    facts = _facts(version, stage)
    show_table("Registered version", ["version", *facts], [[version.title, *facts.values()]])
    show_table(
        "Figures",
        ["figure", "value", "95 % interval"],
        [(name, _figure(figure), _interval(figure)) for name, figure in figures.items()],
    )
    if elsewhere:
        show_table(
            "On patients of other partitions and databases",
            ["partition", "database", "patients", "figure", "value", "95 % interval", "on"],
            [
                (one.partition, one.database or "this one", one.patients, one.metric, _figure(one),
                 _interval(one), _minute(one.validated_at))
                for one in elsewhere
            ],
        )  # fmt: skip
    if onward:
        show_table(
            f"What {onward} asks for",
            ["rule", "wanted", "found", "met"],
            [(one.name, one.wanted, one.found, "yes" if one.met else "no") for one in required],
        )
    if request:
        say(
            f"{request.actor} asked at {_minute(request.at)} for it to go to {request.to_stage}; "
            f"somebody else says: e2i models approve {name} {version.version} --by NAME"
        )


def compare_versions(name: str, first: str, second: str, *, as_json: bool) -> None:
    """Two versions of a model side by side."""
    here, registry = _open()
    model = registry.model(name)
    both = [model.version(version_number(number)) for number in (first, second)]
    if both[0] == both[1]:
        raise RegistryError(
            f"{both[0].title} is to be compared with itself",
            "Name two versions; `e2i models list` shows them.",
            code="same_version",
        )
    stages = [model.stages()[version.version] for version in both]
    figures = [figures_of(here, version) for version in both]
    same_data = both[0].data_version == both[1].data_version
    if as_json:
        sides = [_document(*of) for of in zip(both, stages, figures, strict=True)]
        print_json({"versions": sides, "same_data": same_data})
        return
    columns = [f"version {version.version}" for version in both]
    facts = [_facts(version, stage) for version, stage in zip(both, stages, strict=True)]
    show_table(name, ["", *columns], _side_by_side(facts))
    columns_of_figures = [
        {key: f"{_figure(of[key])} {_interval(of[key])}".strip() for key in of} for of in figures
    ]
    show_table("Figures with 95 % intervals", ["figure", *columns], _side_by_side(columns_of_figures))
    if not same_data:
        say("Their splits differ: part of any difference is that of the patients.")


def _side_by_side(those: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(name, *(of.get(name) for of in those)) for name in dict.fromkeys(k for of in those for k in of)]


def _document(version: Version, stage: str, figures: dict[str, Figure]) -> dict[str, Any]:
    return {**to_json(version), "stage": stage, "figures": {k: to_json(v) for k, v in figures.items()}}


def _facts(version: Version, stage: str) -> dict[str, Any]:
    """What a person asks of a version first."""
    return {
        "stage": stage,
        "algorithm": version.algorithm,
        "registered": _minute(version.created_at),
        "bundle": version.bento_tag,
        "files": version.files_hash,
        "model": version.model_fingerprint[:16],
        "MLflow": f"version {version.mlflow_version}, run {version.mlflow_run_id}",
        **{f"patients of {split}": count for split, count in version.samples.items()},
        **{f"trained on {data}": of for data, of in version.trained_on.items()},
    }


def _figure(figure: Figure | ValidatedElsewhere) -> str:
    return "not known" if figure.value is None else f"{figure.value:.4g}"


def _interval(figure: Figure | ValidatedElsewhere) -> str:
    return "" if figure.low is None or figure.high is None else f"({figure.low:.4g} to {figure.high:.4g})"


def _minute(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def promote(model: str, version: str, stage: str, *, by: str | None, as_json: bool) -> None:
    """Move a version."""
    _, registry = _open()
    _tell(registry.transition(model, version, stage, by=by), as_json=as_json)


def approve(model: str, version: str, *, by: str, as_json: bool) -> None:
    """Approve a version for production."""
    _, registry = _open()
    _tell(registry.approve(model, version, by=by), as_json=as_json)


def archive(*, as_json: bool) -> None:
    """Archive what left production long enough ago."""
    _, registry = _open()
    archived = registry.archive_retired()
    if as_json:
        print_json({"archived": [to_json(moved) for moved in archived]})
        return
    for moved in archived:
        _tell(moved, as_json=False)
    if not archived:
        say(f"nothing left production {registry.rules.archived.after_days:g} days ago or earlier")


def _tell(moved: Moved, *, as_json: bool) -> None:
    if as_json:
        print_json(to_json(moved))
        return
    say(f"{moved.version.title} is in {moved.entry.to_stage}")
    if moved.replaced:
        say(f"{moved.replaced.title} left production")
    if {moved.entry.from_stage, moved.entry.to_stage} & set(SERVED):
        say(f"services answer as before until: e2i deploy run {moved.version.model_name}")
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
                e.model_name, e.version, _minute(e.at), e.event, e.from_stage, e.to_stage, e.actor,
                e.approved_by, e.note,
            )
            for e in entries
        ],
    )  # fmt: skip


def _show_production(known: list[Model], on: dt.date, *, as_json: bool) -> None:
    end = dt.datetime.combine(on, dt.time.max, dt.UTC)
    champions = [champion for of in known if (champion := of.champion(end))]
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
