"""What `e2i retrain` does and shows."""

from __future__ import annotations

from e2i_assets.cli.output import print_json, say, show_table
from e2i_assets.cli.session import open_session
from e2i_assets.errors import E2IError
from e2i_assets.json_files import to_json
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.modeling.scopes.scope import PredictiveScope
from e2i_assets.monitoring.retraining import Retraining
from e2i_assets.registry.ledger import Version
from e2i_assets.registry.people import require_person, same_person
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.registry import models
from e2i_assets.warehouse.queries.retraining import (
    Wanted,
    answer_request,
    request_retraining,
    retraining_of,
    retrainings,
)
from e2i_assets.warehouse.warehouse import Warehouse


def ask(scope: str, partition: str, *, by: str, reason: str, as_json: bool) -> None:
    """Ask for a retraining, which waits for approval.

    Raises:
        RegistryError: `by` is no person's name.
        E2IError: the scope cannot be retrained so, has no registered model, or a retraining is open.
    """
    person = require_person(by)
    here, warehouse = open_session()
    old = _champion(here, warehouse, scope, partition)
    wanted = Wanted(partition, scope, old.model_name, old.version, "person", reason, person)
    made = request_retraining(warehouse, wanted, approval=True)
    if made is None:
        raise E2IError(
            f"a retraining of {scope} of {partition} is open already", "`e2i retrain status` shows it.",
            code="retraining_open",
        )  # fmt: skip
    if as_json:
        print_json({"retraining": to_json(made)})
        return
    say(f"retraining {made.id} of {made.title} waits for approval by somebody else: "
        f"e2i retrain approve {made.id} --by NAME")  # fmt: skip


def _champion(here: Settings, warehouse: Warehouse, scope: str, partition: str) -> Version:
    """The version that is served; where none is, the newest.

    Raises:
        E2IError: there is no such scope, it is of an effect, or no version is registered.
    """
    scopes = load_scopes(here.config_dir / "scopes")
    if scope not in scopes:
        raise E2IError(f"there is no scope {scope!r}", f"Scopes: {', '.join(scopes)}.", code="no_scope")
    if not isinstance(scopes[scope], PredictiveScope):
        raise E2IError(
            f"{scope} asks for an effect, of which two versions cannot be compared on the same rows",
            f"Make it anew and look yourself: e2i materialize -p {partition} -s 'key:\"{scope}/*\"' --force",
            code="effect",
        )
    mine = [
        m for m in models(warehouse) if (m.versions[0].scope, m.versions[0].partition) == (scope, partition)
    ]
    if not mine:
        raise E2IError(
            f"no version of {scope} of {partition} is registered",
            f"Train a first one: e2i materialize -p {partition}",
            code="not_registered",
        )
    served = next((version for version, role in mine[0].served() if role == "active"), None)
    return served or mine[0].versions[-1]


def answer(number: int, *, approve: bool, by: str, note: str | None, as_json: bool) -> None:
    """Approve or reject a retraining.

    Raises:
        RegistryError: `by` is no person's name.
        E2IError: there is none that waits, or the one who approves may be the one who asked.
    """
    person = require_person(by)
    _, warehouse = open_session()
    asked = retraining_of(warehouse, number)
    if asked is None:
        raise E2IError(
            f"there is no retraining {number}", "`e2i retrain status` shows those there are.",
            code="no_retraining",
        )  # fmt: skip
    if approve and same_person(person, asked.requested_by):
        raise E2IError(
            f"{person} may be {asked.requested_by}, who asked for it",
            "Let somebody else approve; names that may be spellings of one are taken for one person.",
            code="same_person",
        )
    made = answer_request(warehouse, number, approve=approve, by=person, note=note)
    if made is None:
        raise E2IError(
            f"retraining {number} is {asked.status}, and waits for no approval",
            "`e2i retrain status` shows what came of it.",
            code="not_waiting",
        )
    if as_json:
        print_json({"retraining": to_json(made)})
        return
    say(f"retraining {number} of {made.title} is {made.status}"
        + ("; retraining_sensor requests the run (`e2i up`)" if approve else ""))  # fmt: skip


def show_status(*, as_json: bool) -> None:
    """Every retraining, the newest first."""
    _, warehouse = open_session()
    history = retrainings(warehouse)
    if as_json:
        print_json({"retrainings": [to_json(one) for one in history]})
        return
    show_table(
        "Retrainings",
        ["retraining", "model", "from", "to", "status", "why", "asked by", "approved by", "asked", "result"],
        [_row(one) for one in history],
    )


def _row(one: Retraining) -> tuple[object, ...]:
    return (
        one.id, one.model_name, one.old_model_version, one.new_model_version, one.status, one.trigger_reason,
        one.requested_by, one.approved_by, f"{one.triggered_at:%Y-%m-%d %H:%M}", one.note,
    )  # fmt: skip
