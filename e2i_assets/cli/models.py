"""`e2i models`: versions and their stages, cards, and what a model has learnt."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Versions and their stages, cards, explanations."
)

Name = Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model, as `list` shows it.")]
Number = Annotated[str, typer.Argument(metavar="VERSION", help="Number of the version, as `list` shows it.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


@app.command("list")
def list_models(json: Json = False) -> None:
    """Show every version of every model with its stage."""
    from e2i_assets.cli import models_registry

    models_registry.show_models(as_json=json)


@app.command("show")
def show_version(model: Name, version: Number, json: Json = False) -> None:
    """Show a version: its data, its figures with 95 % intervals, and what its next stage asks for."""
    from e2i_assets.cli import models_registry

    models_registry.show_version(model, version, as_json=json)


@app.command()
def compare(
    model: Name,
    first: Annotated[str, typer.Argument(metavar="A", help="Number of a version.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Number of another one.")],
    json: Json = False,
) -> None:
    """Show two versions side by side: figures with 95 % intervals, stages, and the data of each."""
    from e2i_assets.cli import models_registry

    models_registry.compare_versions(model, first, second, as_json=json)


@app.command()
def validate(
    model: Name,
    version: Number,
    on: Annotated[
        str, typer.Option(metavar="PARTITION", help="Whose patients: stem of a file in config/cohorts.")
    ],
    database: Annotated[
        str | None,
        typer.Option(
            metavar="VARIABLE",
            help="Environment variable with the URL of another database that has them; it is only read.",
        ),
    ] = None,
    other_people: Annotated[
        bool,
        typer.Option(
            "--other-people", help="An equal patient_id in that database is another person's than here."
        ),
    ] = False,
    html: Annotated[Path | None, typer.Option(help="File for the report as a page; none otherwise.")] = None,
    json: Json = False,
) -> None:
    """Score a version on patients of another partition or database, as served and recalibrated.

    No sealed split is opened. It is recorded, and changes neither what is served nor what may be promoted.
    """
    from e2i_assets.cli import models_validation

    if other_people and database is None:
        raise typer.BadParameter("--other-people is said of a --database")
    models_validation.validate(
        model, version, on, database=database, other_people=other_people, html=html, as_json=json
    )


@app.command()
def promote(
    model: Name,
    version: Number,
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="staging, shadow, production or archived.")],
    by: Annotated[str | None, typer.Option(help="Who asks. [default: your account]")] = None,
    json: Json = False,
) -> None:
    """Move a version to a stage whose rules hold; for production, ask for another person's approval."""
    from e2i_assets.cli import models_registry

    models_registry.promote(model, version, stage, by=by, as_json=json)


@app.command()
def approve(
    model: Name,
    version: Number,
    by: Annotated[str, typer.Option(help="Who approves: not the one who asked.")],
    json: Json = False,
) -> None:
    """Approve that a version goes to production, as somebody else asked; it goes there."""
    from e2i_assets.cli import models_registry

    models_registry.approve(model, version, by=by, as_json=json)


@app.command()
def archive(json: Json = False) -> None:
    """Archive what left production as long ago as `archived` in config/mlflow/mlflow.yaml says.

    `promote MODEL VERSION archived` archives one version at once.
    """
    from e2i_assets.cli import models_registry

    models_registry.archive(as_json=json)


@app.command()
def history(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="[default: all]")] = None,
    on: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="What was in production at the end of this day (UTC)."),
    ] = None,
    json: Json = False,
) -> None:
    """Show who moved what when; with --on what was in production on a day, and what it was trained on."""
    from e2i_assets.cli import models_registry

    models_registry.show_history(model, on.date() if on else None, as_json=json)


@app.command()
def card(
    which: Annotated[
        str,
        typer.Argument(
            metavar="VERSION|SCOPE/PARTITION",
            help="Version of a card or fingerprint of its model, or how it begins; or scope and partition.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write the page to.", dir_okay=False)
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    json: Json = False,
) -> None:
    """Tell where the card of a model is; write it to a file, or open it.

    A card is one page: what the model is for, how it was made and judged, its limits, and TRIPOD+AI.
    """
    from e2i_assets.cli.models_data import card_of
    from e2i_assets.cli.output import print_json, say
    from e2i_assets.cli.session import open_session

    here, _ = open_session()
    chosen = card_of(here, which)
    if out:
        out.write_text(chosen.card.page, encoding="utf-8")
    if show:
        typer.launch(str(out.resolve()) if out else chosen.location)
    if json:
        print_json(chosen.document())
        return
    say(f"{chosen.asset} of {chosen.partition}, version {chosen.version}, of model {chosen.model}")
    say(f"{out}" if out else f"{chosen.location}, with `e2i up` at {chosen.link}")


@app.command()
def explain(
    scope: Annotated[str, typer.Argument(help="Scope: the stem of a file in config/scopes.")],
    partition: Annotated[str, typer.Argument(help="Partition key: the stem of a file in config/cohorts.")],
    patient: Annotated[str, typer.Option(help="patient_id of a patient of train or validation.")],
    json: Json = False,
) -> None:
    """Take the published model's prediction for one patient apart, by SHAP values.

    The answer is patient data: it is printed, and kept nowhere. Patients of test and holdout are not shown.
    """
    from e2i_assets.cli import models_data
    from e2i_assets.cli.output import print_json, say, show_table
    from e2i_assets.cli.session import open_session
    from e2i_assets.json_files import to_json

    here, _ = open_session()
    explanations = models_data.explained(here, scope, partition, patient)
    if json:
        print_json({"rows": [to_json(row) for row in explanations]})
        return
    for row in explanations:
        say(f"prediction {_figures(row.prediction)}; base {_figures(row.base)} ({row.scale})")
        names = [f"effect {label}".strip() for label in row.outputs]
        show_table(
            f"{scope}, {partition}: what moves the score from its base",
            ["feature", "value", *names],
            [
                [name, _value(row.values[name]), *(f"{effect:+.4f}" for effect in effects)]
                for name, effects in row.effects.items()
            ],
        )


def _figures(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "unknown" if value is None else str(value)
