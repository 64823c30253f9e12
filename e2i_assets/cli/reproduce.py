"""`e2i reproduce`: a registered version made again, and what is not as it was."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from e2i_assets.cli.lineage import emit, registered
from e2i_assets.cli.output import print_json, say, show_table
from e2i_assets.cli.session import open_session
from e2i_assets.json_files import to_json
from e2i_assets.lineage.reproduce import Changes, Reproducer, Reproduction
from e2i_assets.lineage.told import work_of
from e2i_assets.resources.sealed_store import open_store

SHOWN = 5
"""Changed modules that are named in text; JSON has all."""


def run_reproduce(name: str, number: str, openlineage: str | None, *, as_json: bool) -> int:
    """Make a version again and compare; 1 where it is not the same."""
    started = dt.datetime.now(dt.UTC)
    from rich.console import Console

    here, warehouse = open_session()
    _, version = registered(here, warehouse, name, number)
    reproducer = Reproducer(here, warehouse, open_store(here))
    for line in _changes(reproducer.changes(version)):
        say(line, as_json=as_json)
    with Console(stderr=True, quiet=as_json).status(f"{version.title}: reading") as status:
        done = reproducer.reproduce(version, on_step=lambda step: status.update(f"{version.title}: {step}"))
    if as_json:
        print_json(_document(done))
    else:
        _show(done)
    exit_code = 0
    if openlineage is not None:
        exit_code = emit(openlineage, [work_of(done, started, dt.datetime.now(dt.UTC))])
    return exit_code if done.equal else 1


def _changes(changes: Changes) -> Iterator[str]:
    if changes.code_then is None:
        yield "which code trained it is not on record"
    if changes.code:
        yield f"other code trained it: {changes.code_then} then, {changes.code_now} now"
        modules = changes.modules
        if modules is None:
            yield "which modules that was is not on record"
        else:
            more = f" and {len(modules) - SHOWN} more" if len(modules) > SHOWN else ""
            yield f"changed since: {', '.join(modules[:SHOWN])}{more}"
    for name, (then, now) in changes.libraries.items():
        yield f"{name} was {then}, and is {now or 'not installed'}"


def _show(done: Reproduction) -> None:
    show_table(
        f"{done.version.title} as registered, and made again",
        ["figure", "registered", "again", "equal"],
        [
            ("model", done.recorded[:16], done.again[:16], "yes" if done.same_model else "no"),
            *(
                (name, _number(figure.recorded), _number(figure.again), "yes" if figure.same else "no")
                for name, figure in done.metrics.items()
            ),
        ],
    )
    for difference in done.differences:
        say(f"differs: {difference}")
    say("the same model with the same figures" if done.equal else "NOT the same")


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _document(done: Reproduction) -> dict[str, Any]:
    verdicts = {
        "equal": done.equal, "same_model": done.same_model, "same_metrics": done.same_metrics,
        "code_changed": done.changes.code,
    }  # fmt: skip
    return {**to_json(done), **verdicts}
