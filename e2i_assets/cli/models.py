"""`e2i models`: what a published model has learnt."""

from __future__ import annotations

from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What a published model has learnt.")


@app.command()
def explain(
    scope: Annotated[str, typer.Argument(help="Scope: the stem of a file in config/scopes.")],
    partition: Annotated[str, typer.Argument(help="Partition key: the stem of a file in config/cohorts.")],
    patient: Annotated[str, typer.Option(help="patient_id of a patient of train or validation.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")] = False,
) -> None:
    """Take the published model's prediction for one patient apart, by SHAP values.

    The answer is patient data: it is printed, and kept nowhere. Patients of test and holdout are not shown.
    """
    from e2i_assets.cli import models_data
    from e2i_assets.cli.output import print_json, say, show_table
    from e2i_assets.cli.session import open_session
    from e2i_assets.json_files import to_json

    here, _ = open_session()
    found = models_data.explained(here, scope, partition, patient)
    if json:
        print_json({"rows": [to_json(row) for row in found]})
        return
    for row in found:
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
