"""`e2i deploy`: which versions answer, and how that is changed."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Deploy what is registered, look, roll back."
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


@app.command()
def run(
    model: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help="Names, as `e2i models list` shows them. [default: all]"),
    ] = None,
    json: Json = False,
) -> None:
    """Have the registry's versions answer: those in production, else the newest in staging.

    Waits until they do, and then holds each against the holdout split, which opens once for a model. A
    version whose release failed is tried again only where its model is named.
    """
    from e2i_assets.cli.deploy_data import run_deploy

    raise typer.Exit(run_deploy(model or None, as_json=json))


@app.command()
def status(json: Json = False) -> None:
    """Show what answers on which address, what is warm, and the newest incidents."""
    from e2i_assets.cli.deploy_data import show_status

    show_status(as_json=json)


@app.command()
def rollback(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of a model that answers.")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="[default: the whole release before]")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why; the ledger of the model keeps it.")] = None,
    json: Json = False,
) -> None:
    """Go back to an earlier version at once; the release before is still running.

    The model registry has it, so that what was rolled back is served again only after somebody promotes it
    again.
    """
    from e2i_assets.cli.deploy_data import run_rollback

    raise typer.Exit(run_rollback(model, to, reason=reason, as_json=json))


@app.command()
def history(
    service: Annotated[str | None, typer.Argument(metavar="SERVICE", help="[default: all]")] = None,
    json: Json = False,
) -> None:
    """Show every release that was asked for, and what became of it."""
    from e2i_assets.cli.deploy_data import show_history

    show_history(service, as_json=json)
