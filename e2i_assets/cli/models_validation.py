"""`e2i models validate`: a registered version on patients of another partition or database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rich.console import Console

from e2i_assets.cli.lineage import registered
from e2i_assets.cli.output import print_json, say, show_table
from e2i_assets.cli.session import open_session
from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.json_files import to_json
from e2i_assets.partitions import cohort_config
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.settings import Settings, SettingsError
from e2i_assets.stages.context import quality_of
from e2i_assets.validation.errors import NotValidated
from e2i_assets.validation.external import ExternalValidation
from e2i_assets.validation.page import figure_rows, summary, validation_page
from e2i_assets.validation.validator import Elsewhere, Validator
from e2i_assets.warehouse.migrations import revisions
from e2i_assets.warehouse.queries.validations import record_external_validation
from e2i_assets.warehouse.warehouse import Warehouse


def validate(
    name: str, number: str, partition: str, *, database: str | None, other_people: bool, html: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Score, print, record.

    Args:
        database: name of the variable of the environment that has the URL of another database.
        other_people: whether that one numbers its patients by itself.
    """
    here, warehouse = open_session()
    _, version = registered(here, warehouse, name, number)
    cohort_config(here.config_dir, partition)
    elsewhere = Elsewhere(partition, warehouse)
    if database is not None:
        elsewhere = _other(here, partition, database, same_people=not other_people)
    with Console(stderr=True, quiet=as_json).status(version.title) as status:
        done, watched = Validator(here, warehouse, open_store(here)).validate(
            version, elsewhere, on_step=lambda step: status.update(f"{version.title}: {step}")
        )
    document = to_json(done)
    hide = here.small_cells == "hide"
    cells = Cells(quality_of(here, partition).minimum_cell_count if hide else None)
    record_external_validation(warehouse, _row(done, document))
    if html is not None:
        html.write_text(validation_page(done, watched, cells=cells), encoding="utf-8")
    if as_json:
        print_json(_as_told(document, cells))
    else:
        _show(done, cells)
    if html is not None:
        say(f"report: {html}", as_json=as_json)


def _other(here: Settings, partition: str, variable: str, *, same_people: bool) -> Elsewhere:
    """Another database, which is only read.

    Raises:
        SettingsError: there is no such variable, or it holds no URL of a PostgreSQL.
        NotValidated: the database is of another release.
    """
    url = os.environ.get(variable)
    if not url:
        raise SettingsError(
            "--database names no variable of the environment that holds a URL.",
            "Put the URL into a variable, and give the name of the variable: what stands on a command line "
            "is seen by others.",
        )
    if not url.startswith(("postgres://", "postgresql://", "postgresql+")):
        raise SettingsError(
            f"{variable}: must be the URL of a PostgreSQL, postgresql://user@host:5432/database"
        )
    other = Warehouse(here.model_copy(update={"database_url": type(here.otlp_headers)(url)}))
    _, revision = other.condition()
    if revision != revisions()[-1]:
        raise NotValidated(
            f"the database of {variable} has schema revision {revision or 'none'}, this release reads "
            f"{revisions()[-1]}",
            "Bring it to this release where it is at home: `e2i db migrate` there.",
            code="other_release",
        )
    return Elsewhere(partition, other, other.address, same_people)


def _row(done: ExternalValidation, document: dict[str, Any]) -> dict[str, Any]:
    return {
        "model_name": done.model_name, "model_version": done.version, "partition": done.partition,
        "database": done.database, "patients": done.patients, "metric": done.metric,
        "value": done.primary.value, "low": done.primary.low, "high": done.primary.high, "details": document,
    }  # fmt: skip


def _as_told(document: dict[str, Any], cells: Cells) -> dict[str, Any]:
    """The document with its counts of patients as `cells` says."""
    counts = {name: cells.figure(document[name]) for name in ("eligible", "patients", "rows", "equal_rows")}
    left_out = {reason: cells.figure(count) for reason, count in document["left_out"].items()}
    return {**document, **counts, "left_out": left_out}


def _show(done: ExternalValidation, cells: Cells) -> None:
    for line in summary(done, cells):
        say(line)
    for reason, count in done.left_out.items():
        if count:
            say(f"left out: {reason}: {cells.text(count)}")
    show_table("Figures with 95 % intervals", ["figure", *done.judged.figures], figure_rows(done))
    show_table(
        "What predictions would be corrected by",
        ["recalibration", "part", "value", "95 % interval"],
        [
            (way, part, f"{one.value:.3f}", f"{one.low:.3f} to {one.high:.3f}")
            for way, parts in done.judged.corrections.items()
            for part, one in parts.items()
        ],
    )
    say(f"drift against the version's profile: {done.drift['severity']}")
    for feature, share in done.unseen_levels.items():
        say(f"{feature}: {share:.1%} of the rows have a level that training did not have")
    for limit in done.limits:
        say(f"limit: {limit}")
