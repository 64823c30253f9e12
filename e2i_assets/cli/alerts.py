"""`e2i alerts`: what deserves attention, who took it on, and whether anybody is told."""

from __future__ import annotations

from typing import Annotated

import typer

from e2i_assets.cli.output import MOST_RECORDS

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What deserves attention: look, take it on, try the channels.",
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Number = Annotated[
    int,
    typer.Argument(
        min=1, max=MOST_RECORDS, metavar="ALERT", help="Its number, as `e2i alerts list` shows it."
    ),
]


@app.command("list")
def list_alerts(
    every: Annotated[bool, typer.Option("--all", help="Also those that somebody took on.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")] = 100,
    json: Json = False,
) -> None:
    """Show the alerts that nobody has taken on, the newest first, and the notices that could not be sent."""
    from e2i_assets.cli.alerts_data import show_alerts

    show_alerts(every=every, limit=limit, as_json=json)


@app.command()
def show(number: Number, json: Json = False) -> None:
    """Show one alert whole: what happened, what to do, and who was told over which channel."""
    from e2i_assets.cli.alerts_data import show_alert

    show_alert(number, as_json=json)


@app.command()
def ack(
    number: Number,
    by: Annotated[str, typer.Option(help="Who takes it on.")],
    note: Annotated[str | None, typer.Option(help="What they say; kept with it.")] = None,
    json: Json = False,
) -> None:
    """Take an alert on: nobody is told of it any more, until it comes back after an hour of silence."""
    from e2i_assets.cli.alerts_data import acknowledge_alert

    acknowledge_alert(number, by=by, note=note, as_json=json)


@app.command("test")
def try_channel(
    channel: Annotated[str, typer.Option(help="log, webhook, slack or email.")], json: Json = False
) -> None:
    """Send a message over a channel of config/alerts.yaml at once, whether it is on or not."""
    from e2i_assets.cli import alerts_data

    alerts_data.try_channel(channel, as_json=json)
