"""`e2i cohort`: what a cohort's definition says, whom it removes, and what a change of it does."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from e2i_assets.cohorts.attrition import CohortResult, EligibilityLogEntry
    from e2i_assets.cohorts.diff import DefinitionDiff, Effect
    from e2i_assets.cohorts.small_cells import Cells

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What a cohort's definition says, whom it removes, and what a change of it does.",
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Partition = Annotated[str, typer.Argument(help="Partition key: the stem of a file in config/cohorts.")]
Definition = Annotated[
    str,
    typer.Argument(help="YAML file, partition key, or hash (or its beginning) of a stored version."),
]

FIGURES = ("removed_count", "remaining_count", "sole_removed_count")


@app.command()
def show(definition: Definition, json: Json = False) -> None:
    """Show a definition with its clinical rationale, and its stored versions."""
    from e2i_assets.cli import cohort_data
    from e2i_assets.cli.output import print_json, say, show_table

    here, warehouse = _session()
    config = cohort_data.definition(here, warehouse, definition)
    versions = cohort_data.versions(warehouse, config)
    if json:
        print_json(
            {"config_hash": config.config_hash, "definition": config.model_dump(mode="json")}
            | {"versions": cohort_data.cells(here).document(list(versions))}
        )
        return
    windows = config.temporal_requirements
    say(f"{config.cohort_name} ({config.cohort_id}, {config.status}, hash {config.config_hash})")
    say(f"{config.clinical_rationale}\n")
    kinds = ["inclusion"] * len(config.inclusion_criteria) + ["exclusion"] * len(config.exclusion_criteria)
    rows = [
        [i, kind, c.condition, c.description, c.clinical_rationale]
        for i, (kind, c) in enumerate(zip(kinds, config.criteria, strict=True), start=1)
    ]
    show_table("Criteria", ["#", "type", "condition", "description", "rationale"], rows)
    observed = (
        f"Observed {windows.lookback_days} days before and {windows.followup_days} days after "
        f"{windows.index_date_field}"
        if windows
        else "No index date and no window asked for"
    )
    say(f"\n{observed}; at least {config.minimum_size} members.\n")
    columns = ["config_hash", "version", "created_at", "total_count", "eligible_count"]
    documents = [cohort_data.cells(here).document(dict(version)) for version in versions]
    show_table("Stored versions", columns, [[version[name] for name in columns] for version in documents])


@app.command()
def attrition(
    partition: Partition,
    order: Annotated[
        str, typer.Option(help="Rules to apply first, by number: 7,2. [default: as defined]")
    ] = "",
    without: Annotated[str, typer.Option(help="What if these rules, by number, were dropped: 3,5.")] = "",
    masks: Annotated[bool, typer.Option("--masks", help="Also which rules fail together.")] = False,
    png: Annotated[Path | None, typer.Option(help="Write the flow picture to this file.")] = None,
    json: Json = False,
) -> None:
    """Show whom each rule of the newest construction removed, also when a gate refused it.

    `no value`: rows that reached the rule and have no value for it. `alone`: rows that only this rule keeps
    out, in whatever order; so many more would be eligible without it.
    """
    from e2i_assets.cli import cohort_data
    from e2i_assets.cli.output import print_json, say
    from e2i_assets.cohorts.flow import flow_picture
    from e2i_assets.json_files import to_json

    here, warehouse = _session()
    execution = cohort_data.newest(here, warehouse, partition)
    result = execution.result
    entries, dropped = result.in_order(_numbers("--order", order)), _numbers("--without", without)
    what_if = result.eligible_without(dropped) if dropped else None
    cells = cohort_data.cells(here)
    if png is not None:
        png.write_bytes(flow_picture(result, cells))
    if json:
        print_json(
            cells.document(
                to_json(execution)
                | {"attrition": [to_json(entry) for entry in entries]}
                | ({"without": dropped, "eligible_without": what_if} if dropped else {})
            )
        )
        return
    _show_attrition(f"{partition}, {execution.standing}", result, entries, cells)
    if what_if is not None:
        more = cells.text(what_if - result.eligible_count)
        say(f"\nwithout {', '.join(map(str, dropped))}: {cells.text(what_if)} eligible, {more} more")
    if masks:
        _show_masks(result, cells)
    if png is not None:
        say(f"\nflow picture: {png}")


@app.command()
def diff(before: Definition, after: Definition, json: Json = False) -> None:
    """Compare two versions of a definition, and whom they take from the certified data.

    Exits with 0 whether they differ or not. Without certified data that both can read, only the definitions
    are compared.
    """
    from e2i_assets.cli import cohort_data
    from e2i_assets.cli.output import print_json, say
    from e2i_assets.cohorts import CohortError
    from e2i_assets.cohorts.diff import diff_definitions, effect_of
    from e2i_assets.json_files import to_json

    here, warehouse = _session()
    one, other = (cohort_data.definition(here, warehouse, name) for name in (before, after))
    changes = diff_definitions(one, other)
    data, cells = cohort_data.certified(here, other), cohort_data.cells(here)
    effect, unavailable = (
        None,
        f"no certified data of {other.brand} / {other.indication}; materialize qc_report",
    )
    if data:
        try:
            effect, unavailable = effect_of(one, other, data.journeys, data.events), ""
        except CohortError as error:
            unavailable = str(error)
    if json:
        print_json(
            {"before": one.config_hash, "after": other.config_hash}
            | to_json(changes)
            | {"effect": cells.document(to_json(effect)) if effect else None}
            | {"effect_unavailable": unavailable or None, "data": data.versions if data else None}
        )
        return
    if one.config_hash == other.config_hash:
        say("the definitions are the same")
        return
    _show_diff(changes)
    if effect is None:
        say(f"\ncounts are unavailable: {unavailable}")
        return
    _show_effect(effect, cells)


@app.command("import")
def import_(
    definition: Annotated[
        Path, typer.Argument(help="JSON of an OHDSI cohort definition, as ATLAS exports it.")
    ],
    brand: Annotated[str, typer.Option(help="Brand of the partition.")],
    indication: Annotated[str, typer.Option(help="Indication of the partition.")],
    as_of: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Day of the CDM's release.")],
    source: Annotated[str, typer.Option(help="Name of the CDM, for the record.")] = "OMOP CDM",
    mapping: Annotated[
        Path | None, typer.Option(help="File for the mapping. [default: beside the definition]")
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            help="Do without this part, which says when members leave: EndStrategy, CensoringCriteria."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    json: Json = False,
) -> None:
    """Read an OHDSI cohort definition (Circe) into a cohort file, and a mapping of the OMOP CDM for it.

    What cannot be taken over is refused, each construct by its path and name, and nothing is written.
    """
    from e2i_assets.cli.cohort_import import asked_of, import_files
    from e2i_assets.cli.output import print_json, say, show_table

    asked = asked_of(brand, indication, as_of.date(), source, leave_out or [])
    imported, written = import_files(definition, asked, mapping, force=force)
    if json:
        print_json(
            {
                "config_hash": imported.config.config_hash,
                "definition": imported.config.model_dump(mode="json"),
            }
            | {"files": [str(path) for path in written], "rules": imported.rules, "notes": imported.notes}
        )
        return
    rows = [[i, c.description, c.condition] for i, c in enumerate(imported.config.criteria, start=1)]
    show_table("Criteria", ["#", "rule", "condition"], rows)
    for note in imported.notes:
        say(f"note: {note}")
    say("\n".join(f"written: {path}" for path in written))


def _session() -> tuple[Any, Any]:
    from e2i_assets.cli.session import open_session

    return open_session()


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise typer.BadParameter(f"{option} takes numbers of rules, such as 3,1; not {text!r}") from None


def _show_attrition(
    title: str, result: CohortResult, entries: Iterable[EligibilityLogEntry], cells: Cells
) -> None:
    from e2i_assets.cli.output import show_table

    rows: list[list[Any]] = [["", "all journeys", "", "", cells.text(result.total_count), ""]]
    for e in entries:
        counts = (e.removed_count, e.null_count, e.remaining_count, e.sole_removed_count)
        rows.append([e.criterion_order, e.criterion_name, *map(cells.text, counts)])
    show_table(title, ["#", "rule", "removed", "no value", "left", "alone"], rows)


def _show_masks(result: CohortResult, cells: Cells) -> None:
    from e2i_assets.cli.output import show_table

    def listed(numbers: tuple[int, ...]) -> str:
        return ", ".join(map(str, numbers)) or "none"

    rows = [
        [listed(failed), listed(unknown), cells.text(rows)]
        for failed, unknown, rows in result.failing_together()
    ]
    show_table("Rules failed together", ["failed", "no value", "rows"], rows)


def _show_diff(changes: DefinitionDiff) -> None:
    from e2i_assets.cli.output import say, show_table

    if not changes.criteria and not changes.settings:
        say("the same rules in another order")
    if changes.criteria:
        rows = [
            [c.criterion_name, c.change, c.criterion_type, c.before or "", c.after or ""]
            for c in changes.criteria
        ]
        show_table("Criteria", ["criterion", "change", "type", "before", "after"], rows)
    if changes.settings:
        rows = [[s.name, *("" if v is None else v for v in (s.before, s.after))] for s in changes.settings]
        show_table("Settings", ["setting", "before", "after"], rows)


def _show_effect(effect: Effect, cells: Cells) -> None:
    from e2i_assets.cli.output import say, show_table
    from e2i_assets.cohorts.diff import zip_rules

    pairs = zip_rules(effect.before, effect.after)
    rows = [
        [name, *(_both((getattr(e, figure, None) for e in pair), cells) for figure in FIGURES)]
        for name, pair in pairs
    ]
    show_table("On the certified data", ["rule", "removed", "left", "alone"], rows)
    eligible = _both((effect.before.eligible_count, effect.after.eligible_count), cells)
    stayed, gained, lost = map(cells.text, (effect.stayed, effect.gained, effect.lost))
    say(f"eligible {eligible}: {stayed} stay, {gained} gained, {lost} lost")


def _both(figures: Iterable[int | None], cells: Cells) -> str:
    return " → ".join("-" if figure is None else cells.text(figure) for figure in figures)
