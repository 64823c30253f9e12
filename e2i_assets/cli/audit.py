"""`e2i audit`: does a table know what it should not, and how do the indicators stand?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from e2i_assets.leakage import LeakageReport

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look for leakage, and at the KPIs.")


@app.callback()
def audits() -> None:
    """Look for leakage in a table, and at the KPIs of a partition."""


@app.command(no_args_is_help=True)
def leakage(
    file: Annotated[Path | None, typer.Argument(help="CSV or Parquet file: the training rows.")] = None,
    target: Annotated[str, typer.Option(help="Column of the outcome.")] = "",
    id_column: Annotated[str | None, typer.Option(help="Column of the patient.")] = None,
    event_times: Annotated[str | None, typer.Option(help="Column of each row's index date.")] = None,
    contract: Annotated[
        str | None,
        typer.Option(
            help="YAML or JSON: a list of columns known only afterwards, or each with role and available_at."
        ),
    ] = None,
    other_split: Annotated[
        list[Path] | None, typer.Option(help="File of another split; repeat for several.")
    ] = None,
    read: Annotated[
        str | None,
        typer.Option(
            help="How CSV is to be read, as in a mapping: '{encoding: latin-1, decimal: \",\", nulls: [NA]}'."
        ),
    ] = None,
    partition: Annotated[
        str | None, typer.Option("--partition", "-p", help="Audit the published splits of a partition.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="File for the report as a page; none otherwise.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")] = False,
) -> None:
    """Look for temporal and target leakage and contamination; exits with 1 when there is any.

    A contract finds what the data cannot tell: [discharge_date], or {discharge_date: {role: post_outcome}};
    the name of one of our tables is one, too.
    Of a partition train and validation are audited, for each of its scopes; test and holdout stay sealed.
    """
    from rich.console import Console

    from e2i_assets.cli import audit_data
    from e2i_assets.cli.output import fail, print_json, say
    from e2i_assets.html_pages import stamped
    from e2i_assets.json_files import to_json
    from e2i_assets.leakage.render import html as page
    from e2i_assets.settings import settings

    if (file is None) == (partition is None) or (file is not None and not target):
        raise typer.BadParameter("give either a file and its --target, or a --partition")
    try:
        with Console(stderr=True).status("auditing"):
            if file is not None:
                reports = audit_data.audit_files(
                    file,
                    target,
                    id_column=id_column,
                    contract=contract,
                    other_splits=other_split or [],
                    event_times=event_times,
                    reading=audit_data.stated_reading(read) if read else audit_data.CUSTOMARY,
                )
            else:
                reports = _of_partition(str(partition))
    except Exception as error:
        fail(error, as_json=json)
        raise typer.Exit(2) from error  # 1 is a finding and nothing else
    if html is not None:
        about = f"{', '.join(reports)}, {settings().day_of_judgement}"
        html.write_text(stamped(page(reports), about), encoding="utf-8")
    if json:
        print_json({name: to_json(report) | {"ok": report.ok} for name, report in reports.items()})
    else:
        _show(reports)
    if html is not None:
        say(f"report: {html}", as_json=json)
    raise typer.Exit(int(any(not report.ok for report in reports.values())))


@app.command()
def kpi(
    partition: Annotated[
        list[str] | None,
        typer.Option("--partition", "-p", help="Partition key; repeat for several. [default: all]"),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="File for the report as a page; none otherwise.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="File for the report in Markdown.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")] = False,
) -> None:
    """Compute the KPIs of config/kpis; exits with 1 when one has no value, or a critical one.

    Each is checked against the tables, views, columns and types that the database has; what asks for others
    is not computable, and says what is missing. Nothing is written to the database.
    """
    from e2i_assets.cli.kpis import run_kpis

    raise typer.Exit(run_kpis(partition or [], html=html, markdown=markdown, as_json=json))


def _of_partition(partition: str) -> dict[str, LeakageReport]:
    from e2i_assets.build import build_resources
    from e2i_assets.cli import audit_data
    from e2i_assets.cli.session import open_session

    here, _ = open_session()
    return audit_data.audit_partition(here, build_resources(here)["store"], partition)


def _show(reports: Mapping[str, LeakageReport]) -> None:
    from e2i_assets.cli.output import say, show_table

    for name, report in reports.items():
        looked = ", ".join(f"{kind} {n}" for kind, n in report.examined.items())
        if report.ok:
            say(f"{name}: no leakage found in {report.rows:,} rows (looked at: {looked})")
        else:
            rows = [
                [f.column, f.kind, f"{f.statistic:.3f}", f"{f.threshold:.3f}", f.evidence]
                for f in report.findings
            ]
            show_table(f"{name}: leakage", ["column", "kind", "statistic", "threshold", "evidence"], rows)
            say(f"looked at: {looked}")
        for limit in report.limits:
            say(f"not to be decided: {limit}")
        if report.undeclared:
            say(report.not_declared)
