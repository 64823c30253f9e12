"""`e2i scope`: write a question, and see whether the data can answer it before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Write a question, and see whether the data can answer it.",
)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the scope, and of its file in config/scopes.")],
    description: Annotated[str | None, typer.Option(help="The question, in a sentence.")] = None,
    problem_type: Annotated[
        str | None,
        typer.Option(
            help="binary_classification, multiclass_classification, regression or causal_inference."
        ),
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column of the outcome.")] = None,
    treatment: Annotated[
        str | None, typer.Option(help="Column of the treatment, 0/1, whose effect is asked for.")
    ] = None,
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="A value of the target, of several; repeat.")
    ] = None,
    horizon_days: Annotated[
        int | None,
        typer.Option(min=1, help="Days by which the outcome is known. [default: the cohort's follow-up]"),
    ] = None,
    minimum_samples: Annotated[
        int, typer.Option(min=1, help="Patients of train with a known outcome below which nothing is learnt.")
    ] = 100,
    require: Annotated[
        list[str] | None, typer.Option(help="Feature that every partition must have; repeat.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Feature that no model sees; repeat.")] = None,
    criterion: Annotated[
        list[str] | None,
        typer.Option(help="Success criterion, such as min_auc=0.7; repeat. [default: by problem type]"),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing; take what is suggested for what is not given.")
    ] = False,
) -> None:
    """Ask for what is not given, and write a commented scope file.

    Asks for the question, its problem type and its outcome, each with a suggestion. A file that is there is
    not touched, and a scope that contradicts itself is not written. List the scope in a cohort file next.
    """
    from e2i_assets.cli.output import say
    from e2i_assets.cli.scope_data import contracted_treatment, known_outcomes
    from e2i_assets.modeling.scopes.draft import ScopeDraft, suggested_problem_type, write_scope
    from e2i_assets.settings import config_dir

    def answer(given: str | None, question: str, suggestion: str) -> str:
        if given is not None or yes:
            return suggestion if given is None else given
        return str(typer.prompt(question, default=suggestion))

    config = config_dir()
    described = answer(description, "The question, in a sentence", f"{name}?")
    kind = answer(problem_type, "Problem type", suggested_problem_type(described))
    outcomes = known_outcomes(config, kind)
    draft = ScopeDraft(
        name=name,
        description=described,
        problem_type=kind,
        target=answer(target, f"Column of the outcome (such as {', '.join(outcomes)})", outcomes[0]),
        classes=tuple(classes or ()),
        horizon_days=horizon_days,
        minimum_samples=minimum_samples,
        required=tuple(require or ()),
        exclude=tuple(exclude or ()),
        criteria=_criteria(criterion or ()),
        treatment=treatment or (contracted_treatment() if kind == "causal_inference" else ""),
    )
    path = write_scope(config / "scopes", draft)
    say(
        f"wrote {path}\nNext: list {name} under `scopes` in a file of {config / 'cohorts'}, and see whether "
        f"the data can answer it:\n  e2i scope check {name}"
    )


def _criteria(texts: Sequence[str]) -> dict[str, float]:
    stated = [_criterion(text) for text in texts]
    if len(named := dict(stated)) < len(stated):
        raise typer.BadParameter("--criterion: one is stated twice; leave one of the two")
    return named


def _criterion(text: str) -> tuple[str, float]:
    name, _, threshold = text.partition("=")
    try:
        return name.strip(), float(threshold)
    except ValueError:
        raise typer.BadParameter(f"--criterion {text!r}: write min_<metric>=<number>") from None


@app.command()
def check(
    scope: Annotated[
        str | None, typer.Argument(help="Name of a scope. [default: all that are listed]")
    ] = None,
    partition: Annotated[
        list[str] | None,
        typer.Option("--partition", "-p", help="Partition key; repeat for several. [default: all]"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")] = False,
) -> None:
    """Say whether scopes can be answered on the data that are there, before anything is trained.

    Looks at train and validation of the published splits: patients with a known outcome, events (of the
    rarer outcome; of a number, all) for each feature, their rate or mean, required features, outcomes of
    other scopes among the features, the horizon, and leakage in train. A scope need not be listed by a cohort
    yet. Partitions without splits are passed over unless they are named. Exits with 1 where one cannot be
    answered.
    """
    from rich.console import Console

    from e2i_assets.build import build_resources
    from e2i_assets.cli import scope_data
    from e2i_assets.cli.cohort_data import cells
    from e2i_assets.cli.output import print_json
    from e2i_assets.cli.session import open_session

    here, _ = open_session()
    with Console(stderr=True).status("checking"):
        checked = scope_data.check_scopes(here, build_resources(here)["store"], scope, partition or [])
    refused = [one for one in checked if one.evidence.obstacles]
    documents = [one.document(cells(here)) for one in checked]
    if json:
        print_json({"answerable": not refused, "scopes": documents})
    else:
        _show(documents)
    raise typer.Exit(int(bool(refused)))


def _show(documents: list[dict[str, Any]]) -> None:
    from e2i_assets.cli.output import say, show_table

    figures = ["known", "events", "rate", "per_feature"]
    rows = [
        [
            document["partition"], document["scope"], "yes" if document["answerable"] else "no",
            *[f"{v:.4g}" if isinstance(v := document[name], float) else v for name in figures],
        ]
        for document in documents
    ]  # fmt: skip
    show_table("Scopes", ["partition", "scope", "answer", "known", "events", "rate", "per feature"], rows)
    for document in documents:
        of = f"{document['partition']} {document['scope']}"
        for obstacle in document["obstacles"]:
            say(f"REFUSED {of}: {obstacle['message']}. {obstacle['next_step']}")
        for remark in document["remarks"] if document["answerable"] else ():
            say(f"{of}: {remark}")
