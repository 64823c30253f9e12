"""`e2i data`: fill the warehouse, and say what is in it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from e2i_assets.ingest.load import LoadReport

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Fill the warehouse, and say what is in it."
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
REASONS_SHOWN = 12
AsOf = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="Day on which the synthetic data end. [default: today]"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Do everything but commit.")]


@app.command()
def generate(
    small: Annotated[bool, typer.Option("--small", help="One tenth: 500 HCPs, 2,500 patients.")] = False,
    patients: Annotated[
        int | None, typer.Option(min=400, help="Another number of patients; HCPs and events grow with it.")
    ] = None,
    dgp: Annotated[
        Literal["simple_linear", "confounded", "heterogeneous", "time_series", "selection_bias"],
        typer.Option(
            help="Data-generating process: no confounding; confounding; effects that differ by severity; "
            "seasonality and an effect that wears off; outcomes known of a selection only."
        ),
    ] = "confounded",
    seed: Annotated[int, typer.Option(min=0, help="The same seed and --as-of give the same data.")] = 42,
    dirty: Annotated[
        float,
        typer.Option(
            min=0,
            max=0.5,
            help="Share of rows with a fault: missing, duplicate, late or impossible; dirt.json lists them. "
            "At most 0.02 of them break their contract and are rejected; the rest is for the gates to find.",
        ),
    ] = 0.0,
    as_of: AsOf = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Generate synthetic HCPs, patients, events and metrics whose true effects are known, and load them.

    5,000 HCPs, 25,000 patients and 75,000 treatment events, or a tenth with --small. Replaces the synthetic
    data of an earlier call; other data stay. The truth is printed, and kept as truth.json among the
    artifacts.
    """
    from e2i_assets.cli.generate import generate_and_load
    from e2i_assets.cli.output import print_json, say, show_table
    from e2i_assets.cli.session import open_session
    from e2i_assets.ingest.synthetic import GeneratorSpec
    from e2i_assets.json_files import to_json

    here, warehouse = open_session()
    spec = GeneratorSpec(
        dgp=dgp,
        seed=seed,
        scale="small" if small else "full",
        patients=patients,
        dirty=dirty,
        as_of=as_of.date() if as_of else here.today,
    )
    made = generate_and_load(here, warehouse, spec, dry_run=dry_run, show=not json)
    truth, dirt = made.declared.truth, made.declared.dirt
    faults = dirt.group_by("table", "kind", "found_by", maintain_order=True).len("rows")
    if json:
        document = {"load": to_json(made.report), "truth": truth, "dirt": faults.to_dicts()}
        print_json({**document, "kept": made.kept, "committed": not dry_run})
        return
    _show_load(made.report, dry_run)
    _show_truth(truth)
    if dirt.height:
        show_table("Faulty rows", faults.columns, [list(map(str, row)) for row in faults.rows()])
    if made.kept:
        say(f"the truth{' and the faulty rows are' if dirt.height else ' is'} kept in {made.kept}")


@app.command("import")
def import_(
    source: Annotated[
        str,
        typer.Argument(
            help="CSV or Parquet (a file, a folder, an fsspec URL such as s3://…), a DuckDB file, or "
            "postgresql://… (its password from PGPASSWORD or the password file)."
        ),
    ],
    mapping: Annotated[
        Path | None,
        typer.Option(
            help="YAML that maps the source's columns to ours; not needed for files named "
            "for our tables with our columns."
        ),
    ] = None,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Load nothing: draft a mapping, a cohort and a scope file.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            help="File for the drafted mapping, with cohorts/ and scopes/ beside it; without it the mapping "
            "alone is printed."
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="The delivery is whole: rows of its source that it lacks are removed."
        ),
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Load other people's data.

    A cell that is no value of its column makes its row a rejected one (e2i.ml_rejected_rows). A table loads
    when 95 % of its rows can be loaded; otherwise nothing is. Nothing is ever written to the source.
    """
    from e2i_assets.cli import importing
    from e2i_assets.cli.loading import load_with_progress
    from e2i_assets.cli.output import print_json, say, warn_of_wrong_files
    from e2i_assets.json_files import to_json

    if suggest:
        draft, files = importing.draft(source, output)
        if json:
            print_json(draft.document())
        else:
            say(f"written: {', '.join(map(str, files))}" if output else draft.text.rstrip())
        return
    from e2i_assets.cli.session import open_session
    from e2i_assets.settings import settings

    # A mistake in the source or the mapping is told before a database is started.
    warn_of_wrong_files(settings().config_dir)
    load = importing.read(source, mapping, settings().config_dir, replace=replace, show=not json)
    here, warehouse = open_session()
    report = load_with_progress(here, warehouse, load, dry_run=dry_run, show=not json)
    if json:
        print_json({"load": to_json(report), "committed": not dry_run, "notes": list(load.notes)})
        return
    _show_load(report, dry_run)
    for note in load.notes:
        say(note)


@app.command()
def delete(
    source: Annotated[str, typer.Option(help="The source, as in `data_source` of its rows.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove the rows; without it they are only shown.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove a source: its rows, what hangs on them, and its rejected rows.

    Shows what would go, and the partitions that lose rows; with --yes it goes, in one transaction, and the
    partitions are due. What was published of it before stays among the artifacts.
    """
    from e2i_assets.cli.output import print_json, say, show_table
    from e2i_assets.cli.session import open_session
    from e2i_assets.json_files import to_json

    _, warehouse = open_session()
    removal = warehouse.remove(source, dry_run=not yes)
    if json:
        print_json({"removal": to_json(removal), "committed": yes})
        return
    tables = dict.fromkeys([*removal.rows, *removal.kept])
    rows = [[table, f"{removal.rows.get(table, 0):,}", f"{removal.kept.get(table, 0):,}"] for table in tables]
    head = ["table", "rows", "stay, others refer to them"]
    show_table(f"{'Removed' if yes else 'Would be removed'}: source {source}", head, rows)
    say(f"rejected rows of its loads: {removal.rejected:,}")
    say(f"partitions touched: {', '.join(removal.partitions) or 'none'}")
    if not yes:
        say("nothing was removed; --yes removes it")


@app.command()
def status(
    partition: Annotated[
        str | None, typer.Option("--partition", "-p", help="Show each table of this partition.")
    ] = None,
    json: Json = False,
) -> None:
    """Rows, rejected rows, dates, age and the last load of every table and partition.

    The first and last dates are those that the rows are about; the age is the days since the last of them.
    """
    from e2i_assets.cli.status import run_status

    run_status(partition, as_json=json)


@app.command()
def check(
    partition: Annotated[str, typer.Option("--partition", "-p", help="Partition whose rows are looked at.")],
    json: Json = False,
) -> None:
    """List the rows that quality control refuses: days that cannot be, broken references, contradictions.

    Prints the rows' keys with column and rule, nothing else of them, and exits with 1 when there are any.
    """
    from e2i_assets.cli.check import run_check

    raise typer.Exit(run_check(partition, as_json=json))


@app.command()
def dictionary(json: Json = False) -> None:
    """What every column means: type, unit, role, availability, allowed values. Markdown, or JSON.

    Covers the tables of the contracts and the clinical attributes that each cohort file declares.
    """
    from e2i_assets.cli.output import print_json, say, warn_of_wrong_files
    from e2i_assets.contracts import dictionary as contracts
    from e2i_assets.partitions import cohort_configs
    from e2i_assets.settings import settings

    warn_of_wrong_files(settings().config_dir)
    declared = {
        key: cohort_config.attributes for key, cohort_config in cohort_configs(settings().config_dir).items()
    }
    document = contracts.dictionary(declared)
    if json:
        print_json(document)
        return
    say(contracts.markdown(document))


def _show_load(report: LoadReport, dry_run: bool) -> None:
    from e2i_assets.cli.output import say, show_table

    rows = [
        [table, f"{count:,}", f"{report.changed[table]:,}", f"{report.rejected[table]:,}"]
        for table, count in report.rows.items()
    ]
    columns = ["table", "rows", "changed", "rejected"]
    show_table("Dry run, nothing committed" if dry_run else "Loaded", columns, rows)
    if report.resumed:
        say(f"{report.resumed:,} rows were there already, from a run that was interrupted")
    for reason in report.reasons[:REASONS_SHOWN]:
        say(f"rejected: {reason}")
    if len(report.reasons) > REASONS_SHOWN:
        say(f"rejected: {len(report.reasons) - REASONS_SHOWN} reasons more (--json has all)")
    if report.load_id is not None and any(report.rejected.values()):
        say(f"the rejected rows, with the rule that each breaks: e2i.ml_rejected_rows, load {report.load_id}")
    say(f"partitions touched: {', '.join(report.partitions) or 'none'}")


def _show_truth(truth: dict[str, Any]) -> None:
    from e2i_assets.cli.output import show_table

    figures = {
        "patients": "n",
        "outcome rate": "outcome_rate",
        "true effect": "average_effect",
        "on the treated": "effect_on_treated",
        "naive contrast": "naive_contrast",
        "oracle AUC": "oracle_auc",
    }
    later = {"churn AUC": ("discontinued", "oracle_auc"), "TRx R²": ("trx_followup", "attainable_r2"),
             "value R²": ("lifetime_value", "attainable_r2")}  # fmt: skip
    groups = {**truth["partitions"], "all": truth["overall"]}
    rows = [
        [
            name,
            *[
                f"{facts[key]:.3f}" if isinstance(facts[key], float) else facts[key]
                for key in figures.values()
            ],
            *[f"{facts['followup'][outcome][figure]:.3f}" for outcome, figure in later.values()],
        ]
        for name, facts in groups.items()
    ]
    show_table(f"Declared truth of {truth['dgp']}", ["partition", *figures, *later], rows)
    effects = [
        [f"{segment} {level}", *[_effect(facts, segment, level) for facts in groups.values()]]
        for segment, levels in truth["overall"]["effect_by_segment"].items()
        for level in levels
    ]
    show_table("True effect by segment", ["segment", *groups], effects)


def _effect(facts: dict[str, Any], segment: str, level: str) -> str:
    """Of a partition's patients of a segment; it may have none, as of a year of which a day is drawn."""
    figures = facts["effect_by_segment"][segment].get(level)
    return f"{figures['average_effect']:.3f}" if figures else "no patients"
