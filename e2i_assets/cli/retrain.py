"""`e2i retrain`: ask for a retraining, approve it, and see what came of it."""

from __future__ import annotations

from typing import Annotated

import typer

from e2i_assets.cli.output import MOST_RECORDS

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Train a served model again: ask, approve, look."
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Number = Annotated[
    int,
    typer.Argument(
        min=1, max=MOST_RECORDS, metavar="RETRAINING", help="Its number, as `e2i retrain status` shows it."
    ),
]
Note = Annotated[str | None, typer.Option(help="What they say; kept with it.")]


@app.command()
def request(
    scope: Annotated[str, typer.Argument(help="Scope: the stem of a file in config/scopes.")],
    partition: Annotated[str, typer.Option("--partition", "-p", help="Partition key.")],
    by: Annotated[str, typer.Option(help="Who asks.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    json: Json = False,
) -> None:
    """Ask that a registered model is trained again on the data that were published last.

    Somebody else approves; then retraining_sensor (`e2i up`) requests the run.
    """
    from e2i_assets.cli.retrain_data import ask

    ask(scope, partition, by=by, reason=reason, as_json=json)


@app.command()
def approve(
    number: Number,
    by: Annotated[str, typer.Option(help="Who approves: not the one who asked.")],
    note: Note = None,
    json: Json = False,
) -> None:
    """Approve a retraining that somebody else, or the platform, asked for."""
    from e2i_assets.cli.retrain_data import answer

    answer(number, approve=True, by=by, note=note, as_json=json)


@app.command()
def reject(
    number: Number,
    by: Annotated[str, typer.Option(help="Who rejects it.")],
    note: Note = None,
    json: Json = False,
) -> None:
    """Reject a retraining that waits for approval; it is not carried out."""
    from e2i_assets.cli.retrain_data import answer

    answer(number, approve=False, by=by, note=note, as_json=json)


@app.command()
def status(json: Json = False) -> None:
    """Show every retraining, the newest first: who asked, why, and what came of it."""
    from e2i_assets.cli.retrain_data import show_status

    show_status(as_json=json)
