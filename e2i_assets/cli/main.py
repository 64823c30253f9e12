"""Commands and their options; what a command does is in the module that it imports."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from e2i_assets.cli import alerts, audit, cohort, data, db, deploy, models, retrain, scope
from e2i_assets.cli.output import EXIT_CODES, fail, say
from e2i_assets.errors import E2IError

app = typer.Typer(
    name="e2i",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich help alone takes three times as long as everything else
)
app.add_typer(data.app, name="data")
app.add_typer(cohort.app, name="cohort")
app.add_typer(audit.app, name="audit")
app.add_typer(models.app, name="models")
app.add_typer(deploy.app, name="deploy")
app.add_typer(scope.app, name="scope")
app.add_typer(alerts.app, name="alerts")
app.add_typer(retrain.app, name="retrain")
app.add_typer(db.app, name="db")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"e2i {version('e2i-assets')}")
        raise typer.Exit


@app.callback()
def e2i(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Pharma brand analytics as Dagster assets, one partition per brand and indication.

    From raw tables to a served model, through gates that publish nothing bad.
    """


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def _folder(text: str) -> Path:
    if not text.strip():
        raise typer.BadParameter("the folder has no name; `.` is the one you are in")
    return Path(text)


@app.command()
def init(
    folder: Annotated[
        Path,
        typer.Argument(
            parser=_folder, metavar="FOLDER", help="Folder to write to; made where it is not there."
        ),
    ],
) -> None:
    """Write a configuration to start from: cohorts, scopes, quality, expectations, workspace.yaml."""
    from e2i_assets.cli.init import run_init

    raise typer.Exit(run_init(folder))


@app.command()
def demo(
    full: Annotated[
        bool, typer.Option("--full", help="25,000 patients instead of 2,500, where no data are loaded.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the generated data.")] = 42,
    as_of: data.AsOf = None,
    json: Json = False,
) -> None:
    """Take every partition from raw tables to a Bento bundle.

    Ends with a table of how good each model is. Generates synthetic data when the warehouse is empty. What
    has not changed since the last run is not computed again. Exits with 1 when a gate fails.
    """
    from e2i_assets.cli.demo import run_demo

    raise typer.Exit(run_demo(full=full, seed=seed, as_of=as_of.date() if as_of else None, as_json=json))


@app.command()
def materialize(
    partition: Annotated[
        list[str] | None,
        typer.Option("--partition", "-p", help="Partition key; repeat for several. [default: all]"),
    ] = None,
    select: Annotated[
        str,
        typer.Option("--select", "-s", help="Dagster asset selection, e.g. 'cohort+' or 'key:\"splits\"'."),
    ] = "*",
    force: Annotated[bool, typer.Option("--force", help="Compute also what has not changed.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Run nothing; say of each stage whether it would run, and why.")
    ] = False,
    parallel: Annotated[
        int, typer.Option("--parallel", min=1, help="Partitions at the same time, each a process.")
    ] = 1,
    json: Json = False,
) -> None:
    """Materialize assets of one or more partitions, as Dagit would."""
    from e2i_assets.cli.materialize import run_materialize

    code = run_materialize(
        partition or [], select, force=force, explain=explain, parallel=parallel, as_json=json
    )
    raise typer.Exit(code)


Name = Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model, as `models list` shows it.")]
Number = Annotated[str, typer.Argument(metavar="VERSION", help="Number of its version.")]


OpenLineage = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|URL", help="Also tell it as OpenLineage events: lines of a file, or a receiver."
    ),
]


@app.command()
def lineage(model: Name, version: Number, openlineage: OpenLineage = None, json: Json = False) -> None:
    """Show the whole way of a registered version: loads, stages with their gates, registry, releases."""
    from e2i_assets.cli.lineage import run_lineage

    raise typer.Exit(run_lineage(model, version, openlineage, as_json=json))


@app.command()
def reproduce(model: Name, version: Number, openlineage: OpenLineage = None, json: Json = False) -> None:
    """Make a registered version again from what was kept, and compare fingerprint and figures.

    Publishes nothing and opens no sealed split. Exits with 1 where the two are not equal.
    """
    from e2i_assets.cli.reproduce import run_reproduce

    raise typer.Exit(run_reproduce(model, version, openlineage, as_json=json))


@app.command()
def prune(
    keep: Annotated[int, typer.Option(min=1, help="Versions of each asset and partition, the newest.")],
    keep_days: Annotated[
        int | None,
        typer.Option("--keep-days", min=0, max=36_500, help="Also whatever was published so many days ago."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Free room: shows what would go, asks, and removes it.

    Keeps what is published or registered and all that it was made of. With --json it removes only with --yes.
    """
    from e2i_assets.cli.prune import run_prune

    raise typer.Exit(run_prune(keep, keep_days, sure=yes, as_json=json))


@app.command()
def drift(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="[default: all]")] = None,
    version: Annotated[str | None, typer.Argument(metavar="VERSION", help="[default: all]")] = None,
    partition: Annotated[str | None, typer.Option("--partition", "-p", help="Partition key.")] = None,
    run: Annotated[bool, typer.Option("--run", help="Compare now what came since.")] = False,
    json: Json = False,
) -> None:
    """Show what has drifted since versions were trained: their data, predictions, and how these come true.

    Ends with 1 where something has.
    """
    from e2i_assets.cli.drift import run_drift

    raise typer.Exit(run_drift(model, version, partition, watch=run, as_json=json))


def _port(variable: str, what: str) -> Any:
    return typer.Option(min=1, max=65535, envvar=variable, help=f"Port of {what}.")


@app.command()
def up(
    port: Annotated[int, _port("E2I_DAGIT_PORT", "Dagit")] = 3000,
    host: Annotated[str, typer.Option(help="Address that Dagit listens on.")] = "127.0.0.1",
    mlflow_port: Annotated[int | None, _port("E2I_MLFLOW_PORT", "MLflow")] = None,
    api_port: Annotated[int, _port("E2I_API_PORT", "the operations API")] = 8000,
    classification_port: Annotated[int, _port("E2I_CLASSIFICATION_PORT", "its service")] = 3001,
    regression_port: Annotated[int, _port("E2I_REGRESSION_PORT", "its service")] = 3002,
    causal_port: Annotated[int, _port("E2I_CAUSAL_PORT", "its service")] = 3003,
    only: Annotated[
        list[str] | None,
        typer.Option(help="dagit, mlflow, services or api; repeat for several. [default: all]"),
    ] = None,
) -> None:
    """Open Dagit, MLflow, the services and the operations API, until Ctrl-C.

    Starts the web server, the daemon (sensors, backfills, run queue) and the embedded warehouse. Dagit has no
    login: on another address than 127.0.0.1 whoever reaches it may read everything and start runs, and so may
    a site whose name leads there. Put a proxy before it that asks who it is.
    """
    from e2i_assets.cli.parts import PARTS
    from e2i_assets.cli.up import run_up

    if unknown := sorted(set(only or ()) - set(PARTS)):
        raise typer.BadParameter(f"--only {', '.join(unknown)}: there are {', '.join(PARTS)}")
    # Read from the environment by each part.
    ports = {
        "API": api_port, "CLASSIFICATION": classification_port, "REGRESSION": regression_port,
        "CAUSAL": causal_port,
    }  # fmt: skip
    os.environ.update({f"E2I_{name}_PORT": str(number) for name, number in ports.items()})
    if mlflow_port:
        os.environ["E2I_MLFLOW_URL"] = f"http://127.0.0.1:{mlflow_port}"
    raise typer.Exit(run_up(host, port, only or ()))


@app.command()
def serve() -> None:
    """Have the services answer with what was deployed, and look after them, until Ctrl-C.

    `e2i up` does so as well, beside everything else.
    """
    from e2i_assets.cli.serve import run_serve

    raise typer.Exit(run_serve())


@app.command()
def api() -> None:
    """Answer the operations API (`E2I_API_PORT`), until Ctrl-C; `e2i up` does so as well."""
    from e2i_assets.cli.api import run_api

    raise typer.Exit(run_api())


@app.command()
def down() -> None:
    """Stop services that run in the background, as the demo leaves them."""
    from e2i_assets.cli.serve import run_down

    raise typer.Exit(run_down())


@app.command()
def mlflow(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of MLflow. [default: that of E2I_MLFLOW_URL]")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Open MLflow on the runs of this installation, until Ctrl-C."""
    from e2i_assets.cli.tools import run_mlflow

    raise typer.Exit(run_mlflow(host, port))


@app.command()
def doctor(json: Json = False) -> None:
    """Look for what is wrong with this installation, and tell how to mend it.

    Configuration, versions, home, disk, key, database, MLflow, bundles, ports, processes and the last runs.
    Exits with 1 when something is wrong.
    """
    from e2i_assets.cli.doctor import run_doctor

    raise typer.Exit(run_doctor(as_json=json))


@app.command()
def traces(
    run_id: Annotated[
        str | None,
        typer.Argument(help="Run, as Dagit names it. [default: the slowest operations of a day]"),
    ] = None,
    json: Json = False,
) -> None:
    """Tell where the time of a run went: its stages, gates and trials."""
    from e2i_assets.cli.traces import run_traces

    raise typer.Exit(run_traces(run_id, as_json=json))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """Open the warehouse in psql; what follows is handed to it, for instance -c 'TABLE ml_gate_results'."""
    from e2i_assets.cli.tools import run_psql

    raise typer.Exit(run_psql(context.args))


def main() -> None:
    """Entry point: errors that a user can mend are one message, not a stack."""
    as_json = "--json" in sys.argv[1:]
    # What is imported stays: looking for garbage in it less often saves a tenth of the time of most commands.
    gc.set_threshold(100_000)
    try:
        # Left to itself Typer writes of a wrong usage what no script reads.
        sys.exit(app(standalone_mode=not as_json))
    except typer.TyperException as error:
        sys.exit(fail(_wrong_usage(error), as_json=as_json))
    except Exception as error:  # noqa: BLE001 -- the outermost place; anything unknown is shown whole
        sys.exit(fail(error, as_json=as_json))


def _wrong_usage(error: typer.TyperException) -> E2IError:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "e2i"
    return E2IError(error.format_message(), f"`{command} --help` tells what it takes.", code="usage")


for group in (
    app,
    data.app,
    cohort.app,
    audit.app,
    models.app,
    deploy.app,
    scope.app,
    alerts.app,
    retrain.app,
    db.app,
):
    group.info.epilog = EXIT_CODES
    for command in group.registered_commands:
        command.epilog = EXIT_CODES


if __name__ == "__main__":
    main()
